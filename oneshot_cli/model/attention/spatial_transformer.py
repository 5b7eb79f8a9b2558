"""Spatial-transformer attention (Jaderberg et al. 2015): windows that move, scale, turn and shear.

A window is an affine map from patch coordinates u in [-1, 1]^2 to image coordinates p in [-1, 1]^2,

    p = A u + b,    A = R(angle) [[1, shear], [0, 1]] diag(scale),

(x, y) in that order, as `torch.nn.functional.grid_sample` has it. Reading samples the image at
A u + b for every patch pixel u; writing samples the patch at A^-1 (p - b) for every canvas pixel p.
"""

from __future__ import annotations

import torch
from torch import Tensor

from oneshot_cli.model.attention.base import Attention
from oneshot_cli.model.attention.sampling import sum_of_transforms, transform
from oneshot_cli.model.linear import Linear

WINDOW_PARAMETERS = 6
WINDOW_GAIN = 0.2
LOG_SCALE_RANGE = 1.2
ANGLE_RANGE = 0.5
SHEAR_RANGE = 0.5
LEAST_AREA = 1e-4
"""Of a window that is written through, in canvases; only unbounded ones get there."""


def windows(raw: Tensor, scale: float) -> Tensor:
    """The (..., 2, 3) maps [A | b] of `raw` (..., 6), unbounded numbers from a network.

    The centre is in [-1, 1]; each scale within a factor exp(1.2) of `scale`; angle (radians) and
    shear within 0.5. Bounded on a logarithmic scale, a window can shrink to a stroke and its
    inverse cannot blow up, which raw affine entries do.
    """
    x, y, across, down, turn, lean = torch.tanh(raw.float()).unbind(-1)
    sx, sy = (scale * torch.exp(LOG_SCALE_RANGE * extent) for extent in (across, down))
    angle, shear = ANGLE_RANGE * turn, SHEAR_RANGE * lean
    cos, sin = torch.cos(angle), torch.sin(angle)
    entries = [cos * sx, (cos * shear - sin) * sy, x, sin * sx, (sin * shear + cos) * sy, y]
    return torch.stack(entries, -1).unflatten(-1, (2, 3))


def inverse(window: Tensor) -> Tensor:
    """The (..., 2, 3) maps [A^-1 | -A^-1 b], in closed form."""
    a, b, tx, c, d, ty = window.flatten(-2).unbind(-1)
    determinant = a * d - b * c
    determinant = torch.where(determinant.abs() < LEAST_AREA, LEAST_AREA, determinant)
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

    def read(self, images: Tensor, window: Tensor) -> Tensor:
        return transform(images, window, self.side)

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
