"""Random affine maps of drawings: new characters of old ones, and new drawings of one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from oneshot_cli.affine import transform
from oneshot_cli.data.resampling import resampled
from oneshot_cli.ranges import SHARE, check_numbers, number

AT_ONCE = 32
"""Drawings that are seen through maps in one go on the CPU: their samples stay in its cache."""


@dataclass(frozen=True)
class Augmentation:
    """Random affine maps: `shared` by a target and its context (a new character), and `own`.

    Each is the standard deviation of angle (radians), log-scales and shear, and of the shift as
    a share of the image's half-width; 0 leaves drawings as they are. `turned` is the share of the
    targets that are turned, their context with them, by 90, 180 or 270 degrees. `plain` is the
    share of the targets that are left as the data set has them, their context with them.
    """

    shared: float = number(0.0, SHARE)
    own: float = number(0.0, SHARE)
    turned: float = number(0.0, SHARE)
    plain: float = number(0.0, SHARE)

    def __post_init__(self) -> None:
        check_numbers(self)

    @property
    def any(self) -> bool:
        return self.shared > 0 or self.own > 0 or self.turned > 0

    def scaled(self, share: float) -> Augmentation:
        """The same, `share` times as strong; as many drawings are left plain."""
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

    def moved(self, batch: int, generator: torch.Generator) -> Tensor:
        """Which examples are seen through their maps, and not left plain: (batch,) bool.

        Draws no numbers where none is left plain.
        """
        if self.plain == 0:
            return torch.ones(batch, dtype=torch.bool)
        return torch.rand(batch, generator=generator) >= self.plain


NO_AUGMENTATION = Augmentation()
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

    A map is applied at the drawings' own resolution, where each pixel takes the ink of the one
    that it comes from; the result is brought to `size` as the data set is, by `resampled`. So the
    identity gives the data's own drawings, and a quarter turn those turned, pixel for pixel.
    """
    some = AT_ONCE if originals.device.type == "cpu" else max(1, len(originals))
    side = originals.shape[-1]
    parts = [
        resampled(transform(part[:, None], where, side, "nearest")[:, 0], size, resample)
        for part, where in zip(originals.split(some), maps.split(some), strict=True)
    ]
    return torch.cat(parts).float()
