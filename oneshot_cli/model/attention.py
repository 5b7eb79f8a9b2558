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
WINDOW_GAIN = 0.2
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
    return F.grid_sample(
        images.float(), sampling_grid(maps.float(), size), padding_mode="zeros", align_corners=False
    )


def sampling_grid(maps: Tensor, size: int) -> Tensor:
    """Where `maps` (B, 2, 3) take the pixels of a size x size patch: (B, size, size, 2).

    As `torch.nn.functional.affine_grid`, whose matrix product autocast would run in bfloat16, off
    by a fraction of a pixel; sums of outer products are exact and several times faster on the CPU.
    """
    pixel = (2 * torch.arange(size, device=maps.device, dtype=maps.dtype) + 1) / size - 1
    across = maps[:, :, 0, None] * pixel
    down = maps[:, :, 1, None] * pixel + maps[:, :, 2:]
    return (down[:, :, :, None] + across[:, :, None, :]).permute(0, 2, 3, 1)


class Aim(nn.Module):
    """The window that a state chooses: (..., hidden) -> (..., 2, 3).

    A window moves the whole picture, so its weights get gradients ten times those of all others.
    The gain brings them into line: without it, windows jump about and training blows up.
    """

    def __init__(self, hidden: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.linear = nn.Linear(hidden, WINDOW_PARAMETERS)

    def forward(self, h: Tensor) -> Tensor:
        return windows(WINDOW_GAIN * self.linear(h).float(), self.scale)


class Reader(nn.Module):
    """Takes a glimpse of an image through a window that h chooses: (B, N * N)."""

    def __init__(self, hidden: int, glimpse: int, scale: float) -> None:
        super().__init__()
        self.glimpse = glimpse
        self.aim = Aim(hidden, scale)

    def forward(self, images: Tensor, window: Tensor) -> Tensor:
        """Read (B, 1, H, W) through `window` (B, 2, 3)."""
        return transform(images, window, self.glimpse).flatten(1)


class Writer(nn.Module):
    """Turns states into patches and the windows that place them on the canvas."""

    def __init__(self, hidden: int, patch: int, channels: int, scale: float) -> None:
        super().__init__()
        self.patch = patch
        self.channels = channels
        self.aim = Aim(hidden, scale)
        self.content = nn.Linear(hidden, channels * patch * patch)

    def patches(self, h: Tensor, mix: Tensor | None = None) -> Tensor:
        """The patches (B, C, N, N) for states (B, hidden).

        With `mix` (O, C), a 1 x 1 convolution of the canvas, the patches (B, O, N, N) come already
        mixed: writing is linear, so mixing the few numbers of a patch before it is written equals
        mixing the canvas after, and it can be folded into the weights that make the patch.
        """
        weight, bias = self.content.weight, self.content.bias
        channels = self.channels
        if mix is None:
            patches = F.linear(h, weight, bias)
        else:
            folded = mix @ weight.view(channels, -1)
            patches = F.linear(
                h, folded.view(-1, weight.shape[1]), (mix @ bias.view(channels, -1)).view(-1)
            )
            channels = len(mix)
        return patches.view(-1, channels, self.patch, self.patch)

    def forward(self, patches: Tensor, window: Tensor, size: int) -> Tensor:
        """Place (B, C, N, N) on empty size x size canvases through `window` (B, 2, 3)."""
        return transform(patches, inverse(window), size)
