"""Spatial-transformer attention (Jaderberg et al. 2015): windows that move, scale, turn and shear.

A window is an affine map from patch coordinates u in [-1, 1]^2 to image coordinates p in [-1, 1]^2,

    p = A u + b,    A = R(angle) [[1, shear], [0, 1]] diag(scale),

(x, y) in that order, as `torch.nn.functional.grid_sample` has it. Reading samples the image at
A u + b for every patch pixel u; writing samples the patch at A^-1 (p - b) for every canvas pixel p.
"""

from __future__ import annotations

from functools import cache
from math import pi

import torch
from torch import Tensor

from oneshot_cli.affine import transform
from oneshot_cli.model.attention.base import Attention
from oneshot_cli.model.attention.sampling import gradient_of_maps, slopes, sum_of_transforms
from oneshot_cli.model.linear import Linear

WINDOW_PARAMETERS = 6
WINDOW_GAIN = 0.2
LOG_SCALE_RANGE = 1.2
ANGLE_RANGE = 0.5
SHEAR_RANGE = 0.5
LEAST_AREA = 1e-4
"""The least absolute determinant that A is given when it is inverted.

Only unbounded windows get there.
"""


def windows(raw: Tensor, scale: float) -> Tensor:
    """The (..., 2, 3) maps [A | b] of `raw` (..., 6), unbounded numbers from a network.

    The centre is in [-1, 1]; each scale within a factor exp(1.2) of `scale`; angle (radians) and
    shear within 0.5. Bounded on a logarithmic scale, a window can shrink to a stroke and its
    inverse cannot blow up, which raw affine entries do.
    """
    centre, extent, turn, lean = torch.tanh(raw.float()).split([2, 2, 1, 1], -1)
    sx, sy = (scale * torch.exp(LOG_SCALE_RANGE * extent)).chunk(2, -1)
    angles = torch.add(_quarters(raw.device), turn, alpha=ANGLE_RANGE)
    along, across = torch.cos(angles).chunk(2, -1)
    across = torch.addcmul(across, along, lean, value=SHEAR_RANGE)
    return torch.stack([along * sx, across * sy, centre], -1)


def windows_slopes(raw: Tensor, maps: Tensor) -> Tensor:
    """How `maps` (..., 2, 3) = windows(raw, scale) change with each of `raw`, (..., 6, 2, 3).

    With the columns a and b of A: a log-scale stretches its column, the angle turns both by a
    right angle, and the shear moves b along a, sy / sx = (a x b) / (a . a) of it.
    """
    columns, a, b = maps[..., :2], maps[..., 0], maps[..., 1]
    area = a[..., 0] * b[..., 1] - b[..., 0] * a[..., 1]
    slopes = maps.new_zeros(*raw.shape, 2, 3)
    slopes[..., (0, 1), (0, 1), 2] = 1.0
    torch.mul(a, LOG_SCALE_RANGE, out=slopes[..., 2, :, 0])
    torch.mul(b, LOG_SCALE_RANGE, out=slopes[..., 3, :, 1])
    torch.mul(columns[..., 1, :], -ANGLE_RANGE, out=slopes[..., 4, 0, :2])
    torch.mul(columns[..., 0, :], ANGLE_RANGE, out=slopes[..., 4, 1, :2])
    along = SHEAR_RANGE * area / a.square().sum(-1)
    torch.mul(a, along[..., None], out=slopes[..., 5, :, 1])
    return slopes * (1 - torch.tanh(raw).square())[..., None, None]


@cache
@torch.inference_mode(mode=False)
def _quarters(device: torch.device) -> Tensor:
    """What makes of cos(angle + this) the columns of a rotation, (cos, sin, -sin, cos)."""
    return torch.tensor([0.0, -pi / 2, pi / 2, 0.0], device=device)


def inverse(window: Tensor) -> Tensor:
    """The (..., 2, 3) maps [A^-1 | -A^-1 b], in closed form.

    A determinant between -LEAST_AREA and LEAST_AREA is taken for the one of them that has its sign,
    and 0 for LEAST_AREA, so that the inverse stays finite and no map is mirrored.
    """
    a, b, tx, c, d, ty = window.flatten(-2).unbind(-1)
    determinant = a * d - b * c
    least = torch.where(determinant < 0, -LEAST_AREA, LEAST_AREA)
    determinant = torch.where(determinant.abs() < LEAST_AREA, least, determinant)
    ia, ib, ic, id_ = d / determinant, -b / determinant, -c / determinant, a / determinant
    entries = [ia, ib, -(ia * tx + ib * ty), ic, id_, -(ic * tx + id_ * ty)]
    return torch.stack(entries, -1).unflatten(-1, (2, 3))


class SpatialTransformer(Attention):
    """The window that a state chooses: (..., hidden) -> (..., 2, 3).

    A window moves the whole picture, so its weights get gradients ten times those of all others.
    The gain brings them into line: without it, windows jump about and training blows up.
    """

    def __init__(self, hidden: int, size: int, side: int, scale: float) -> None:
        super().__init__(size, side)
        self.scale = scale
        self.linear = Linear(hidden, WINDOW_PARAMETERS)

    def numbers(self, h: Tensor) -> Tensor:
        return self.linear(h)

    def window(self, numbers: Tensor) -> Tensor:
        return windows(WINDOW_GAIN * numbers.float(), self.scale)

    def window_slopes(self, numbers: Tensor, window: Tensor) -> Tensor:
        """How a window (..., 2, 3) changes with each of its numbers (..., 6): (..., 6, 2, 3)."""
        return WINDOW_GAIN * windows_slopes(WINDOW_GAIN * numbers, window)

    def read(self, images: Tensor, window: Tensor) -> Tensor:
        return transform(images, window, self.side)

    def slopes(self, images: Tensor, window: Tensor) -> Tensor:
        """How what is read changes as its points move, for windows (B, T, 2, 3)."""
        return slopes(images, window, self.side)

    def read_backward(self, slopes: Tensor, gradient: Tensor) -> Tensor:
        """The gradient for windows (B, 2, 3), given that for what is read, (B, C * N * N)."""
        moved = gradient.view(slopes.shape[:-1])[..., None] * slopes
        return gradient_of_maps(moved.sum(1))

    def write(self, patches: Tensor, window: Tensor, size: int) -> Tensor:
        return transform(patches, inverse(window), size)

    def write_all(self, patches: Tensor, window: Tensor, size: int) -> Tensor:
        return sum_of_transforms(patches, inverse(window), size)

    def frame(self, window: Tensor) -> Tensor:
        return window


class FreeTransformer(SpatialTransformer):
    """The same with six unbounded entries, as the paper has it: [A | b] is what the network says.

    Kept for comparison. Windows collapse and their inverses blow up easily, see docs/recipe.md.
    """

    def window(self, numbers: Tensor) -> Tensor:
        start = self.scale * torch.eye(2, 3, device=numbers.device)
        return numbers.float().unflatten(-1, (2, 3)) + start

    def window_slopes(self, numbers: Tensor, window: Tensor) -> Tensor:
        entries = torch.eye(WINDOW_PARAMETERS, device=numbers.device).view(-1, 2, 3)
        return entries.expand(*numbers.shape, 2, 3)
