"""Spatial-transformer attention (Jaderberg et al. 2015): windows, reading them, writing them.

A window is an affine map from patch coordinates u in [-1, 1]^2 to image coordinates p in [-1, 1]^2,

    p = A u + b,    A = R(angle) [[1, shear], [0, 1]] diag(scale),

(x, y) in that order, as `torch.nn.functional.grid_sample` has it. Reading samples the image at
A u + b for every patch pixel u; writing samples the patch at A^-1 (p - b) for every canvas pixel p.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WINDOW_PARAMETERS = 6

LOG_SCALE_RANGE = 1.2
ANGLE_RANGE = 0.5
SHEAR_RANGE = 0.5


def windows(raw: Tensor, scale: float) -> Tensor:
    """The (..., 2, 3) maps [A | b] of `raw` (..., 6), unbounded numbers from a network.

    The centre is in [-1, 1]; each scale within a factor exp(1.2) of `scale`; angle (radians) and
    shear within 0.5. Bounded on a logarithmic scale, a window can shrink to a stroke and its
    inverse cannot blow up, which raw affine entries do.
    """
    raw = raw.float()
    centre = torch.tanh(raw[..., 0:2])
    extent = scale * torch.exp(LOG_SCALE_RANGE * torch.tanh(raw[..., 2:4]))
    angle = ANGLE_RANGE * torch.tanh(raw[..., 4])
    shear = SHEAR_RANGE * torch.tanh(raw[..., 5])
    cos, sin = torch.cos(angle), torch.sin(angle)
    sx, sy = extent.unbind(-1)
    rows = [
        torch.stack([cos * sx, (cos * shear - sin) * sy, centre[..., 0]], -1),
        torch.stack([sin * sx, (sin * shear + cos) * sy, centre[..., 1]], -1),
    ]
    return torch.stack(rows, -2)


def inverse(window: Tensor) -> Tensor:
    """The (..., 2, 3) maps [A^-1 | -A^-1 b], in closed form."""
    (a, b, tx), (c, d, ty) = (row.unbind(-1) for row in window.unbind(-2))
    determinant = a * d - b * c
    ia, ib, ic, id_ = d / determinant, -b / determinant, -c / determinant, a / determinant
    rows = [
        torch.stack([ia, ib, -(ia * tx + ib * ty)], -1),
        torch.stack([ic, id_, -(ic * tx + id_ * ty)], -1),
    ]
    return torch.stack(rows, -2)


def transform(images: Tensor, maps: Tensor, size: int) -> Tensor:
    """Sample (B, C, H, W) bilinearly at `maps` (B, 2, 3) of a size x size grid; 0 outside."""
    grid = F.affine_grid(maps, [len(images), 1, size, size], align_corners=False)
    return F.grid_sample(images.float(), grid, padding_mode="zeros", align_corners=False)


class Reader(nn.Module):
    """Takes a glimpse of an image through a window that h chooses: (B, N * N)."""

    def __init__(self, hidden: int, glimpse: int, scale: float) -> None:
        super().__init__()
        self.glimpse = glimpse
        self.scale = scale
        self.window = nn.Linear(hidden, WINDOW_PARAMETERS)

    def look(self, h: Tensor) -> Tensor:
        """The reading windows (B, 2, 3) for states (B, hidden)."""
        return windows(self.window(h), self.scale)

    def forward(self, images: Tensor, window: Tensor) -> Tensor:
        """Read (B, 1, H, W) through `window` (B, 2, 3)."""
        return transform(images, window, self.glimpse).flatten(1)


class Writer(nn.Module):
    """Turns states into patches and the windows that place them on the canvas."""

    def __init__(self, hidden: int, patch: int, channels: int, scale: float) -> None:
        super().__init__()
        self.patch = patch
        self.channels = channels
        self.scale = scale
        self.window = nn.Linear(hidden, WINDOW_PARAMETERS)
        self.content = nn.Linear(hidden, channels * patch * patch)

    def place(self, h: Tensor) -> Tensor:
        """The writing windows (..., 2, 3) for states (..., hidden)."""
        return windows(self.window(h), self.scale)

    def patches(self, h: Tensor, mix: Tensor | None = None) -> Tensor:
        """The patches (B, C, N, N) for states (B, hidden).

        With `mix` (O, C), a 1 x 1 convolution of the canvas, the patches (B, O, N, N) come already
        mixed: writing is linear, so mixing the few numbers of a patch before it is written equals
        mixing the canvas after, and it can be folded into the weights that make the patch.
        """
        weight, bias = self.content.weight, self.content.bias
        channels = self.channels
        if mix is not None:
            weight = (mix @ weight.view(channels, -1)).view(-1, weight.shape[1])
            bias = (mix @ bias.view(channels, -1)).view(-1)
            channels = len(mix)
        return F.linear(h, weight, bias).view(-1, channels, self.patch, self.patch)

    def forward(self, patches: Tensor, window: Tensor, size: int) -> Tensor:
        """Place (B, C, N, N) on empty size x size canvases through `window` (B, 2, 3)."""
        return transform(patches, inverse(window), size)
