"""The hidden canvas: f_c, which adds a write to it, and f_o, which reads it out."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from oneshot_cli.model.engine.capability import sums_writes


class Canvas(nn.Module, ABC):
    """A canvas of `channels` channels, whose read-out is `start` (P,) at each pixel when empty."""

    def __init__(self, channels: int, start: Tensor) -> None:
        super().__init__()
        self.channels = channels

    @abstractmethod
    def forward(self, canvas: Tensor, write: Tensor) -> Tensor:
        """One step: (B, C, H, W) and (B, C, H, W) -> (B, C, H, W)."""

    @abstractmethod
    def read_out(self, canvas: Tensor) -> Tensor:
        """f_o: the parameters of the observation, (B, P, H, W)."""


@sums_writes("forward", "read_out")
class AdditiveCanvas(Canvas):
    """c_t = c_{t-1} + w_t (as in DRAW), read out by a 1 x 1 convolution."""

    def __init__(self, channels: int, start: Tensor) -> None:
        super().__init__(channels, start)
        self.output = read_out(channels, start, gain=channels**-0.5)

    def forward(self, canvas: Tensor, write: Tensor) -> Tensor:
        return canvas + write

    def read_out(self, canvas: Tensor) -> Tensor:
        return self.output(canvas)


class GatedCanvas(Canvas):
    """c_t = CGRU(c_{t-1} + w_t): a convolutional gated recurrent unit (Kaiser & Sutskever 2015).

    The write is added, then the sum is gated, as in the paper: s = c_{t-1} + w_t,
    u = sigmoid(U * s),  r = sigmoid(R * s),  c_t = u s + (1 - u) tanh(V * (r s)),
    where * is a 3 x 3 convolution.
    """

    def __init__(self, channels: int, start: Tensor) -> None:
        super().__init__(channels, start)
        self.gates = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.candidate = nn.Conv2d(channels, channels, 3, padding=1)
        self.output = read_out(channels, start, gain=channels**-0.5)
        with torch.no_grad():
            # At first u is about 0.98, so that the canvas nearly adds up the writes.
            assert self.gates.bias is not None
            self.gates.bias[:channels].fill_(4.0)

    def forward(self, canvas: Tensor, write: Tensor) -> Tensor:
        # Channels last for the convolutions, and each gate contiguous for what follows.
        added = (canvas + write).to(memory_format=torch.channels_last)
        update, reset = (
            torch.sigmoid(gate.contiguous(memory_format=torch.channels_last))
            for gate in self.gates(added).chunk(2, 1)
        )
        candidate = self.candidate(reset * added).to(added.dtype)
        # 2 sigmoid(2 a) - 1 is tanh(a), which takes the CPU four times as long.
        candidate = 2 * torch.sigmoid(2 * candidate) - 1
        return torch.lerp(candidate, added, update.to(added.dtype))

    def read_out(self, canvas: Tensor) -> Tensor:
        return self.output(canvas)


def read_out(channels: int, start: Tensor, gain: float) -> nn.Conv2d:
    """A 1 x 1 convolution to P numbers a pixel, `start` (P,) where the canvas is empty.

    For P = 1 the weights start at `gain`, otherwise as random numbers of that deviation.
    """
    output = nn.Conv2d(channels, len(start), 1)
    assert output.bias is not None
    with torch.no_grad():
        if len(start) == 1:
            output.weight.fill_(gain)
        else:
            output.weight.normal_(std=gain)
        output.bias.copy_(start)
    return output
