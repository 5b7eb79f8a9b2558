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
from oneshot_cli.model.engine.capability import reads_jointly
from oneshot_cli.model.engine.linear import Linear
from oneshot_cli.model.engine.sampling import sum_of_transforms

WINDOW_PARAMETERS = 6
WINDOW_GAIN = 0.2
LOG_SCALE_RANGE = 1.2
ANGLE_RANGE = 0.5
SHEAR_RANGE = 0.5
LEAST_AREA = 1e-4
"""The least absolute determinant of A when it is inverted. Only unbounded windows reach it."""


def windows(raw: Tensor, scale: float) -> Tensor:
    """The (..., 2, 3) maps [A | b] of `raw` (..., 6), unbounded outputs of a network.

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


@cache
@torch.inference_mode(mode=False)
def _quarters(device: torch.device) -> Tensor:
    """Shifts s for which cos(angle + s) are a rotation's entries (cos, sin, -sin, cos)."""
    return torch.tensor([0.0, -pi / 2, pi / 2, 0.0], device=device)


def inverse(window: Tensor) -> Tensor:
    """The (..., 2, 3) maps [A^-1 | -A^-1 b], in closed form.

    A determinant between -LEAST_AREA and LEAST_AREA is replaced by the one of these that has its
    sign, and 0 by LEAST_AREA. So the inverse stays finite and no map is mirrored.
    """
    a, b, tx, c, d, ty = window.flatten(-2).unbind(-1)
    determinant = a * d - b * c
    least = torch.where(determinant < 0, -LEAST_AREA, LEAST_AREA)
    determinant = torch.where(determinant.abs() < LEAST_AREA, least, determinant)
    ia, ib, ic, id_ = d / determinant, -b / determinant, -c / determinant, a / determinant
    entries = [ia, ib, -(ia * tx + ib * ty), ic, id_, -(ic * tx + id_ * ty)]
    return torch.stack(entries, -1).unflatten(-1, (2, 3))


@reads_jointly("forward", "window", "read")
class SpatialTransformer(Attention):
    """Bounded windows (..., 2, 3).

    A window moves the whole patch, so its weights get gradients ten times those of all others. The
    gain WINDOW_GAIN compensates for that. Without it windows jump and training diverges.
    """

    def __init__(self, hidden: int, size: int, side: int, scale: float) -> None:
        super().__init__(hidden, size, side, scale)
        self.scale = scale
        self.linear = Linear(hidden, WINDOW_PARAMETERS)

    def window_parameters(self, h: Tensor) -> Tensor:
        return self.linear(h)

    def window(self, parameters: Tensor) -> Tensor:
        return windows(WINDOW_GAIN * parameters.float(), self.scale)

    def read(self, images: Tensor, window: Tensor) -> Tensor:
        return transform(images, window, self.side)

    def write(self, patches: Tensor, window: Tensor, size: int) -> Tensor:
        return transform(patches, inverse(window), size)

    def write_all(self, patches: Tensor, window: Tensor, size: int) -> Tensor:
        return sum_of_transforms(patches, inverse(window), size)

    def frame(self, window: Tensor) -> Tensor:
        return window


@reads_jointly("forward", "window", "read")
class FreeTransformer(SpatialTransformer):
    """Unbounded windows, as in the paper: the network's outputs are the six entries of [A | b].

    Kept for comparison. Windows collapse easily and their inverses diverge, see docs/recipe.md.
    """

    def window(self, parameters: Tensor) -> Tensor:
        start = self.scale * torch.eye(2, 3, device=parameters.device)
        return parameters.float().unflatten(-1, (2, 3)) + start
