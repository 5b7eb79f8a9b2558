"""Augmentation by random affine maps: new characters, and new drawings of a character."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from oneshot_cli.affine import transform
from oneshot_cli.imaging.resampling import resampled
from oneshot_cli.ranges import SHARE, check_fields, number

CHUNK = 32
"""Drawings transformed in one chunk on the CPU. Its samples fit in the processor's cache."""


@dataclass(frozen=True)
class Augmentation:
    """Strengths of the random affine maps of a target and its context images.

    `shared` is the strength of the map that a target and its context have in common, which makes a
    new character of them. `own` is the strength of a map that each image has for itself. Strengths
    are standard deviations of the angle in radians, the log-scales, the shear, and the shift in
    half-widths of the image. 0 is no map.

    `turned` is the share of targets that are rotated by 90, 180 or 270 degrees, together with their
    context. `plain` is the share of targets that are not augmented, nor is their context.
    """

    shared: float = number(0.0, SHARE)
    own: float = number(0.0, SHARE)
    turned: float = number(0.0, SHARE)
    plain: float = number(0.0, SHARE)

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def any(self) -> bool:
        return self.shared > 0 or self.own > 0 or self.turned > 0

    def scaled(self, share: float) -> Augmentation:
        """The same with its strengths times `share`; `plain` is unchanged."""
        return replace(
            self, shared=self.shared * share, own=self.own * share, turned=self.turned * share
        )

    def maps(self, batch: int, members: int, generator: torch.Generator) -> Tensor:
        """Random maps (batch, members, 2, 3) of the `members` images of each example."""
        shared = random_affine(batch, self.shared, generator)
        if self.turned > 0:
            shared = quarter_turns(batch, self.turned, generator) @ shared
        own = random_affine(batch * members, self.own, generator)
        return (shared[:, None] @ own.unflatten(0, (batch, members)))[:, :, :2]

    def draw_augmented(self, batch: int, generator: torch.Generator) -> Tensor:
        """Which examples are augmented, at random: (batch,) bool. The others are left plain.

        Draws no random numbers if all are augmented.
        """
        if self.plain == 0:
            return torch.ones(batch, dtype=torch.bool)
        return torch.rand(batch, generator=generator) >= self.plain


NO_AUGMENTATION = Augmentation()
"""Drawings are not changed."""


def random_affine(count: int, strength: float, generator: torch.Generator) -> Tensor:
    """(count, 3, 3) maps: rotation, two scales, shear and shift, each N(0, strength^2)."""
    draws = strength * torch.randn(count, 6, generator=generator)
    angle, sx, sy, shear, tx, ty = draws.unbind(-1)
    zero, one = torch.zeros(count), torch.ones(count)
    cos, sin, sx, sy = torch.cos(angle), torch.sin(angle), sx.exp(), sy.exp()
    rows = [cos * sx, (cos * shear - sin) * sy, tx, sin * sx, (sin * shear + cos) * sy, ty]
    return torch.stack([*rows, zero, zero, one], -1).view(-1, 3, 3)


def quarter_turns(count: int, share: float, generator: torch.Generator) -> Tensor:
    """(count, 3, 3) maps: rotations by 90, 180 or 270 degrees for a `share`, else the identity."""
    draws = torch.rand(2, count, generator=generator)
    turns = torch.where(draws[0] < share, 1 + (3 * draws[1]).floor(), 0.0)
    cos, sin = torch.cos(turns * math.pi / 2).round(), torch.sin(turns * math.pi / 2).round()
    zero, one = torch.zeros(count), torch.ones(count)
    rows = [cos, -sin, zero, sin, cos, zero, zero, zero, one]
    return torch.stack(rows, -1).view(-1, 3, 3)


def warped(originals: Tensor, maps: Tensor, size: int, resample: str) -> Tensor:
    """Drawings (B, S, S) transformed by `maps` (B, 2, 3): float ink (B, size, size).

    A map is applied at the drawings' own resolution with nearest-neighbour sampling. The result is
    resampled to `size` like the data set itself, by `resampled`. So the identity reproduces the
    data set pixel for pixel, and a quarter turn its rotated drawings.
    """
    chunk = CHUNK if originals.device.type == "cpu" else max(1, len(originals))
    side = originals.shape[-1]
    parts = [
        resampled(transform(part[:, None], part_maps, side, "nearest")[:, 0], size, resample)
        for part, part_maps in zip(originals.split(chunk), maps.split(chunk), strict=True)
    ]
    return torch.cat(parts).float()
