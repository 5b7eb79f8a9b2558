"""The hidden canvas: f_c, how it takes up a write, and f_o, how it becomes the parameters of x."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class AdditiveCanvas(nn.Module):
    """c_t = c_{t-1} + w_t (as in DRAW), read out by a 1 x 1 convolution."""

    def __init__(self, channels: int, ink: float) -> None:
        super().__init__()
        self.channels = channels
        self.output = nn.Conv2d(channels, 1, 1)
        nn.init.constant_(self.output.weight, channels**-0.5)
        nn.init.constant_(_bias(self.output), math.log(ink / (1 - ink)))

    def forward(self, canvas: Tensor, write: Tensor) -> Tensor:
        """One step: (B, C, H, W) and (B, C, H, W) -> (B, C, H, W)."""
        return canvas + write

    def logits(self, canvas: Tensor) -> Tensor:
        """f_o: the logits of ink, (B, 1, H, W)."""
        return self.output(canvas)


class GatedCanvas(nn.Module):
    """c_t = CGRU(c_{t-1}, w_t): a convolutional gated recurrent unit (Kaiser & Sutskever 2015).

    u = sigmoid(U * [c, w]),  r = sigmoid(R * [c, w]),  c' = u c + (1 - u) tanh(V * [r c, w]),
    where * is a 3 x 3 convolution.
    """

    def __init__(self, channels: int, ink: float) -> None:
        super().__init__()
        self.channels = channels
        self.gates = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1)
        self.candidate = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.output = nn.Conv2d(channels, 1, 1)
        with torch.no_grad():
            # A new canvas starts as a memory that lets about a quarter of each write in, so that
            # twenty or more writes can still be seen at the end; its range is [-1, 1], which the
            # read-out has to stretch to the logits of ink.
            _bias(self.gates)[:channels].fill_(1.0)
            nn.init.constant_(self.output.weight, 6.0 / channels)
            nn.init.constant_(_bias(self.output), math.log(ink / (1 - ink)))

    def forward(self, canvas: Tensor, write: Tensor) -> Tensor:
        """One step: (B, C, H, W) and (B, C, H, W) -> (B, C, H, W)."""
        update, reset = torch.sigmoid(self.gates(torch.cat([canvas, write], 1))).chunk(2, 1)
        candidate = torch.tanh(self.candidate(torch.cat([reset * canvas, write], 1)))
        return update * canvas + (1 - update) * candidate

    def logits(self, canvas: Tensor) -> Tensor:
        """f_o: the logits of ink, (B, 1, H, W)."""
        return self.output(canvas)


Canvas = AdditiveCanvas | GatedCanvas


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias
