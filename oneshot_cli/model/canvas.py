"""The hidden canvas: f_c, how it takes up a write, and f_o, what it says of x."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from oneshot_cli.model.engine.capability import sums_writes


@sums_writes("forward", "read_out")
class AdditiveCanvas(nn.Module):
    """c_t = c_{t-1} + w_t (as in DRAW), read out by a 1 x 1 convolution."""

    def __init__(self, channels: int, start: Tensor) -> None:
        super().__init__()
        self.channels = channels
        self.output = read_out(channels, start, gain=channels**-0.5)

    def forward(self, canvas: Tensor, write: Tensor) -> Tensor:
        """One step: (B, C, H, W) and (B, C, H, W) -> (B, C, H, W)."""
        return canvas + write

    def read_out(self, canvas: Tensor) -> Tensor:
        """f_o: the parameters of the observation, (B, P, H, W)."""
        return self.output(canvas)


class GatedCanvas(nn.Module):
    """c_t = CGRU(c_{t-1}, w_t): a convolutional gated recurrent unit (Kaiser & Sutskever 2015).

    u = sigmoid(U * [c, w]),  r = sigmoid(R * [c, w]),  c' = u c + (1 - u) tanh(V * [r c, w]),
    where * is a 3 x 3 convolution.
    """

    def __init__(self, channels: int, start: Tensor) -> None:
        super().__init__()
        self.channels = channels
        self.gates = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1)
        self.candidate = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.output = read_out(channels, start, gain=6.0 / channels)
        with torch.no_grad():
            # A new canvas starts as a memory that lets about a quarter of each write in, so that
            # twenty or more writes can still be seen at the end; its range is [-1, 1], which the
            # gain of the read-out has to stretch to the logits of ink.
            assert self.gates.bias is not None
            self.gates.bias[:channels].fill_(1.0)

    def forward(self, canvas: Tensor, write: Tensor) -> Tensor:
        """One step: (B, C, H, W) and (B, C, H, W) -> (B, C, H, W)."""
        # Channels last, as the convolutions like it, and each gate in one piece, as what follows.
        canvas, write = (t.to(memory_format=torch.channels_last) for t in (canvas, write))
        update, reset = (
            torch.sigmoid(gate.contiguous(memory_format=torch.channels_last))
            for gate in self.gates(torch.cat([canvas, write], 1)).chunk(2, 1)
        )
        candidate = self.candidate(torch.cat([reset * canvas, write], 1)).to(canvas.dtype)
        # 2 sigmoid(2 a) - 1 is tanh(a), which takes the CPU four times as long.
        candidate = 2 * torch.sigmoid(2 * candidate) - 1
        return torch.lerp(candidate, canvas, update.to(canvas.dtype))

    def read_out(self, canvas: Tensor) -> Tensor:
        """f_o: the parameters of the observation, (B, P, H, W)."""
        return self.output(canvas)


CANVASES: dict[str, type[AdditiveCanvas | GatedCanvas]] = {
    "additive": AdditiveCanvas,
    "gated": GatedCanvas,
}


def read_out(channels: int, start: Tensor, gain: float) -> nn.Conv2d:
    """A 1 x 1 convolution to P numbers a pixel, `start` (P,) where the canvas is empty.

    A single number is the sum of the channels, times `gain`; several begin as random sums.
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
