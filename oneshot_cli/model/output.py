"""f_o: from the numbers that the canvas gives for each pixel to the parameters of p(x | canvas).

In Rezende et al. 2016 f_o is a 1 x 1 convolution, which belongs to the canvas
(`canvas.read_out`). What comes here follows it: nothing, or a small residual network. Adding
another is a class, and a line in OUTPUTS.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneshot_cli.model.config import ModelConfig

INPUT_SCALE = 0.25
"""Logits reach ten and more; the network reads them at this scale."""
BLOCK = 2
"""Height and width of the blocks of pixels that become channels."""


class Output(nn.Module, ABC):
    """Maps the linear read-out of the canvas to the parameters of the observation."""

    @abstractmethod
    def drawn_at(self, size: int) -> int:
        """The height and width at which the canvas is to be drawn for a picture of `size`."""

    @abstractmethod
    def forward(self, parameters: Tensor, size: int) -> Tensor:
        """(B, P, S, S) with S = `drawn_at(size)` -> (B, P, size, size)."""


class LinearOutput(Output):
    """The linear read-out as it is, at any size: the paper's f_o."""

    def __init__(self, config: ModelConfig, parameters: int) -> None:
        super().__init__()

    def drawn_at(self, size: int) -> int:
        return size

    def forward(self, parameters: Tensor, size: int) -> Tensor:
        return parameters


class ResidualOutput(Output):
    """l + up(conv(silu(conv(silu(conv(down(l / 4))))))) for the linear read-out l.

    down makes a block of 2 x 2 pixels the channels of one (Shi et al. 2016, sub-pixel convolution),
    up is its inverse, and each conv is 3 x 3. With few channels that is several times as fast as
    convolutions of all pixels, and sees twice as far: 14 x 14 pixels. The last convolution is zero
    at first, so that training begins with the linear read-out.

    Convolutions know one scale only. So each size that the model is trained at has a network of its
    own; a picture of another size is resampled from the next larger of these, or from the largest.
    """

    def __init__(self, config: ModelConfig, parameters: int) -> None:
        super().__init__()
        self.sizes = sorted({config.reading, config.size})
        channels, count = config.output_channels, len(self.sizes)
        self.first = StackedConv2d(count, parameters * BLOCK**2, channels, 3)
        self.second = StackedConv2d(count, channels, channels, 3)
        self.last = StackedConv2d(count, channels, parameters * BLOCK**2, 3)
        nn.init.zeros_(self.last.weight)

    def drawn_at(self, size: int) -> int:
        return next((each for each in self.sizes if each >= size), self.sizes[-1])

    def forward(self, parameters: Tensor, size: int) -> Tensor:
        side = parameters.shape[-1]
        which, rest = self.sizes.index(side), -side % BLOCK
        even = F.pad(parameters, (0, rest, 0, rest), mode="replicate") if rest else parameters
        blocks = F.pixel_unshuffle(INPUT_SCALE * even, BLOCK)
        hidden = F.silu(self.first(blocks.contiguous(memory_format=torch.channels_last), which))
        hidden = F.silu(self.second(hidden, which))
        change = F.pixel_shuffle(self.last(hidden, which), BLOCK)
        return resampled(parameters + change[..., :side, :side], size)


class StackedConv2d(nn.Module):
    """`count` convolutions of one shape, of which each call uses one.

    One parameter holds the weights of all. So every parameter has a gradient at every step,
    whichever is used, as distributed training needs.
    """

    def __init__(self, count: int, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.padding = kernel // 2
        bound = (inputs * kernel**2) ** -0.5  # as torch.nn.Conv2d starts
        weight = torch.empty(outputs, inputs, kernel, kernel).uniform_(-bound, bound)
        self.weight = nn.Parameter(weight.expand(count, -1, -1, -1, -1).clone())
        self.bias = nn.Parameter(torch.zeros(count, outputs))

    def forward(self, x: Tensor, which: int) -> Tensor:
        """Convolution number `which` of (B, inputs, H, W): (B, outputs, H, W)."""
        return F.conv2d(x, self.weight[which], self.bias[which], padding=self.padding)


def resampled(parameters: Tensor, size: int) -> Tensor:
    """(B, P, S, S) at `size` x `size`: bicubic, smoothed where it gets smaller."""
    if parameters.shape[-1] == size:
        return parameters
    return F.interpolate(parameters, (size, size), mode="bicubic", antialias=True)


OUTPUTS: dict[str, type[LinearOutput | ResidualOutput]] = {
    "linear": LinearOutput,
    "residual": ResidualOutput,
}
