"""f_o: from the canvas's linear read-out to the parameters of p(x | canvas).

In Rezende et al. 2016 f_o is a 1 x 1 convolution, which belongs to the canvas
(`canvas.read_out`). An output network follows it: none, or a small residual network.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneshot_cli.model.config import SequentialConfig

INPUT_SCALE = 0.25
"""Logits reach ten and more; the network's input is scaled by this."""
BLOCK = 2
"""Height and width of the blocks of pixels that become channels."""


class Output(nn.Module, ABC):
    """Maps the linear read-out of the canvas to `parameters` parameters of the observation."""

    def __init__(self, config: SequentialConfig, parameters: int) -> None:
        super().__init__()

    @abstractmethod
    def canvas_size(self, size: int) -> int:
        """The height and width at which the canvas is to be drawn for a picture of `size`."""

    @abstractmethod
    def forward(self, parameters: Tensor, size: int) -> Tensor:
        """(B, P, S, S) with S = `canvas_size(size)` -> (B, P, size, size)."""


class LinearOutput(Output):
    """The linear read-out itself, at any size: the paper's f_o."""

    def canvas_size(self, size: int) -> int:
        return size

    def forward(self, parameters: Tensor, size: int) -> Tensor:
        return parameters


class ResidualOutput(Output):
    """l + up(conv(silu(conv(silu(conv(down(l / 4))))))) for the linear read-out l.

    down turns blocks of 2 x 2 pixels into the channels of one (Shi et al. 2016, sub-pixel
    convolution), up is its inverse, and each conv is 3 x 3. With few channels that is several times
    as fast as convolutions of all pixels. The receptive field is twice as wide: 14 x 14 pixels. The
    last convolution starts at zero, so that training starts with the linear read-out.

    Convolutions work at one scale only. So each size that the model is trained at has its own
    network. A picture of another size is resampled from the next larger one, or the largest.
    """

    def __init__(self, config: SequentialConfig, parameters: int) -> None:
        super().__init__(config, parameters)
        self.sizes = sorted({config.input_size, config.size})
        channels, count = config.output_channels, len(self.sizes)
        self.first = StackedConv2d(count, parameters * BLOCK**2, channels, 3)
        self.second = StackedConv2d(count, channels, channels, 3)
        self.last = StackedConv2d(count, channels, parameters * BLOCK**2, 3)
        nn.init.zeros_(self.last.weight)

    def canvas_size(self, size: int) -> int:
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
    """`count` convolutions of one shape; each call uses one of them.

    One parameter holds the weights of all, so that every parameter has a gradient at every step, as
    distributed training needs.
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
    """(B, P, S, S) at `size` x `size`: bicubic, with antialiasing where it gets smaller."""
    if parameters.shape[-1] == size:
        return parameters
    return F.interpolate(parameters, (size, size), mode="bicubic", antialias=True)
