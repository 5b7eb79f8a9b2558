"""Random affine maps of drawings: new characters of old ones, and new drawings of one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from oneshot_cli.affine import transform
from oneshot_cli.data.resampling import CROP

SUPERSAMPLING = 3
AT_ONCE = 16
"""Drawings that are seen through maps in one go on the CPU: their samples stay in its cache."""


@dataclass(frozen=True)
class Augmentation:
    """Random affine maps: `shared` by a target and its context (a new character), and `own`.

    Each is the standard deviation of angle (radians), log-scales and shear, and of the shift as
    a share of the image's half-width; 0 leaves drawings as they are. `turned` is the share of the
    targets that are turned, their context with them, by 90, 180 or 270 degrees.
    """

    shared: float = 0.0
    own: float = 0.0
    turned: float = 0.0

    @property
    def any(self) -> bool:
        return self.shared > 0 or self.own > 0 or self.turned > 0

    def scaled(self, share: float) -> Augmentation:
        """The same, `share` times as strong."""
        return replace(
            self, shared=self.shared * share, own=self.own * share, turned=self.turned * share
        )

    def maps(self, batch: int, members: int, generator: torch.Generator) -> Tensor:
        """A map for each of the `members` pictures of each example: (batch, members, 2, 3)."""
        shared = random_affine(batch, self.shared, generator)
        if self.turned > 0:
            shared = quarter_turns(batch, self.turned, generator) @ shared
        own = random_affine(batch * members, self.own, generator)
        return (shared[:, None] @ own.unflatten(0, (batch, members)))[:, :, :2]


PLAIN = Augmentation()
"""Drawings as they are."""


def random_affine(count: int, strength: float, generator: torch.Generator) -> Tensor:
    """(count, 3, 3) maps: rotation, two scales, shear and shift, each N(0, strength^2)."""
    draws = strength * torch.randn(count, 6, generator=generator)
    angle, sx, sy, shear, tx, ty = draws.unbind(-1)
    zero, one = torch.zeros(count), torch.ones(count)
    cos, sin, sx, sy = torch.cos(angle), torch.sin(angle), sx.exp(), sy.exp()
    rows = [cos * sx, (cos * shear - sin) * sy, tx, sin * sx, (sin * shear + cos) * sy, ty]
    return torch.stack([*rows, zero, zero, one], -1).view(-1, 3, 3)


def quarter_turns(count: int, share: float, generator: torch.Generator) -> Tensor:
    """(count, 3, 3) maps: for a `share` of them a turn by 90, 180 or 270 degrees, else none."""
    draws = torch.rand(2, count, generator=generator)
    turns = torch.where(draws[0] < share, 1 + (3 * draws[1]).floor(), 0.0)
    cos, sin = torch.cos(turns * math.pi / 2).round(), torch.sin(turns * math.pi / 2).round()
    zero, one = torch.zeros(count), torch.ones(count)
    rows = [cos, -sin, zero, sin, cos, zero, zero, zero, one]
    return torch.stack(rows, -1).view(-1, 3, 3)


def warped(originals: Tensor, maps: Tensor, size: int, resample: str) -> Tensor:
    """Drawings (B, S, S), seen through `maps` (B, 2, 3), as float ink (B, size, size).

    Brought to `size` as the data set is: by the area of ink in a pixel, or by any ink in it.
    """
    if resample == "area":
        some = AT_ONCE if originals.device.type == "cpu" else max(1, len(originals))
        grey = [
            F.avg_pool2d(transform(part[:, None], where, SUPERSAMPLING * size), SUPERSAMPLING)[:, 0]
            for part, where in zip(originals.split(some), maps.split(some), strict=True)
        ]
        return (torch.cat(grey) > 0.5).float()
    side = originals.shape[-1]
    corner = torch.tensor([[CROP, 0, CROP - side], [0, CROP, CROP - side], [0, 0, side]]) / side
    sampled = transform(originals[:, None], maps @ corner, CROP)[:, 0]
    return F.max_pool2d((sampled > 0.5).float(), CROP // size)
