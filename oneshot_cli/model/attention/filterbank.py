"""DRAW's attention (Gregor et al. 2015, section 3.2): a grid of Gaussian filters.

On an A x A image, pixels counted from 1, an N x N grid has the centre (g_X, g_Y), the stride d and
the width s, all from the state:

    (g~_X, g~_Y, log s^2, log d~, log gamma) = W(h)
    g_X = (A + 1) / 2 (g~_X + 1),   d = (A - 1) / (N - 1) d~,   mu_i = g + (i - N / 2 - 1/2) d
    F[i, a] = exp(-(a - mu_i)^2 / (2 s^2)) / sum over a
    read(x) = gamma F_Y x F_X^T,    write(w) = 1 / gamma F_Y^T w F_X

At W(h) = 0 the grid covers the whole image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from oneshot_cli.model.attention.base import Attention
from oneshot_cli.model.engine.capability import reads_jointly
from oneshot_cli.model.engine.linear import Linear

PARAMETERS = 5
LOG_LIMIT = 5.0
"""Widths, strides and gains are kept within a factor e^5 of 1."""


def filters(
    centre: Tensor, stride: Tensor, variance: Tensor, side: int, size: int, pixels: int
) -> Tensor:
    """F (..., side, pixels) of centres, strides and variances (...), in pixels of `size`.

    `pixels` may be another resolution of the same image. Each row sums to one: a softmax over the
    pixels, which stays so where a filter lies outside the image.
    """
    offsets = torch.arange(side, device=centre.device, dtype=centre.dtype) - (side - 1) / 2
    means = centre[..., None] + stride[..., None] * offsets
    place = (torch.arange(pixels, device=centre.device, dtype=centre.dtype) + 0.5) / pixels
    distance = (0.5 + size * place) - means[..., None]
    return torch.softmax(-0.5 * distance.square() / variance[..., None, None], -1)


@reads_jointly("forward", "window", "read")
class GaussianFilters(Attention):
    """A window is (g_X, g_Y, d, s^2, gamma), (..., 5), in pixels of the model's own size.

    `scale` is the share of the image's width that the grid covers before training.
    """

    def __init__(self, hidden: int, size: int, side: int, scale: float) -> None:
        super().__init__(hidden, size, side, scale)
        self.stride = scale * (size - 1) / max(side - 1, 1)
        self.linear = Linear(hidden, PARAMETERS)
        nn.init.normal_(self.linear.weight, std=0.1 * hidden**-0.5)
        nn.init.zeros_(self.linear.bias)

    def window_parameters(self, h: Tensor) -> Tensor:
        return self.linear(h)

    def window(self, parameters: Tensor) -> Tensor:
        raw = parameters.float()
        centre = (self.size + 1) / 2 * (raw[..., 0:2] + 1)
        variance, stride, gain = raw[..., 2:].clamp(-LOG_LIMIT, LOG_LIMIT).exp().unbind(-1)
        return torch.stack([*centre.unbind(-1), self.stride * stride, variance, gain], -1)

    def read(self, images: Tensor, window: Tensor) -> Tensor:
        across, down = self._banks(window, images.shape[-1])
        with torch.autocast(images.device.type, enabled=False):
            patches = down @ images.float() @ across.mT
        return window[:, 4, None, None, None] * patches

    def write(self, patches: Tensor, window: Tensor, size: int) -> Tensor:
        """At `size` pixels a row of F is spread over more of them; the ink stays as strong."""
        across, down = self._banks(window, size)
        with torch.autocast(patches.device.type, enabled=False):
            written = down.mT @ patches.float() @ across
        return (size / self.size) ** 2 / window[:, 4, None, None, None] * written

    def frame(self, window: Tensor) -> Tensor:
        x, y, stride, _, _ = window.unbind(-1)
        half = self.side * stride / self.size
        zero = torch.zeros_like(half)
        x, y = ((2 * centre - 1) / self.size - 1 for centre in (x, y))
        return torch.stack([torch.stack([half, zero, x], -1), torch.stack([zero, half, y], -1)], -2)

    def _banks(self, window: Tensor, pixels: int) -> tuple[Tensor, Tensor]:
        """F_X and F_Y, each (B, 1, side, pixels), for windows (B, 5)."""
        x, y, stride, variance, _ = window.unbind(-1)
        both = torch.stack([x, y], 1)
        bank = filters(both, stride[:, None], variance[:, None], self.side, self.size, pixels)
        return bank[:, 0:1], bank[:, 1:2]
