"""Are they strokes? Parts, loose ends, widths and blobs of drawings beside those of people's."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from oneshot_cli.evaluation.oneshot_scores import Estimate, bootstrap
from oneshot_cli.imaging.ink import Mask, components, depth
from oneshot_cli.imaging.redrawing import line_ends, thinned

EACH = 5
"""Drawings of each character that are measured: a hundredth of a second each, at 52 x 52."""

UNSURE = (0.2, 0.8)
"""Probabilities of ink between these are fog: neither paper nor stroke."""


@dataclass(frozen=True)
class Strokes:
    """What a drawing is made of, averaged over the drawings of a character and over characters.

    `parts` that hang together, `ends` of its centre lines (a stroke that breaks has two more),
    `width` of its strokes (ink by length of the centre lines) and where it is `thickest`, in
    pixels. `deepest` (C, n) is the latter of every drawing.
    """

    parts: Estimate
    ends: Estimate
    width: Estimate
    thickest: Estimate
    deepest: Tensor

    def as_dict(self) -> dict[str, dict[str, float | None]]:
        """The figures with their intervals, for JSON."""
        return {name: getattr(self, name).as_dict() for name in MEASURES}


MEASURES = tuple(field.name for field in fields(Strokes) if field.name != "deepest")


@dataclass(frozen=True)
class Penmanship:
    """A model's strokes beside people's, at one size.

    `blobs` is the share of its drawings that are somewhere thicker than 99 % of people's, `fog` how
    many pixels it is unsure of for each that it inks.
    """

    size: int
    drawings: Strokes
    people: Strokes
    blobs: float
    fog: float

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "size": self.size,
            "drawings": self.drawings.as_dict(),
            "people": self.people.as_dict(),
            "thicker_than_99_percent_of_people": round(self.blobs, 4),
            "unsure_pixels_per_inked": round(self.fog, 4),
        }


def penmanship(drawings: Tensor, people: Tensor, seed: int = 0) -> Penmanship:
    """Compare `drawings` (C, n, 1, H, H) with those of `people` (C, m, 1, S, S), ink in [0, 1].

    The first few of each character are measured, at S x S. `seed` draws the bootstrap.
    """
    drawings, people = drawings[:, :EACH], people[:, :EACH]
    if drawings.shape[-1] != people.shape[-1]:
        flat = F.interpolate(drawings.flatten(0, 1), people.shape[-2:], mode="area")
        drawings = flat.unflatten(0, drawings.shape[:2])
    mine, theirs = (strokes(each, seed) for each in (drawings, people))
    limit = theirs.deepest.flatten().double().quantile(0.99)
    unsure = (drawings > UNSURE[0]) & (drawings < UNSURE[1])
    return Penmanship(
        size=drawings.shape[-1],
        drawings=mine,
        people=theirs,
        blobs=(mine.deepest > limit).double().mean().item(),
        fog=(unsure.sum() / (drawings > 0.5).sum().clamp(min=1)).item(),
    )


def strokes(drawings: Tensor, seed: int = 0) -> Strokes:
    """Measure `drawings` (C, n, 1, S, S), inked where they are above 0.5."""
    masks = (drawings[:, :, 0] > 0.5).numpy()
    found = torch.tensor([[_measured(mask) for mask in each] for each in masks])
    parts, ends, width, thickest = (bootstrap(each.mean(1), seed) for each in found.unbind(-1))
    return Strokes(parts, ends, width, thickest, deepest=found[..., -1])


def _measured(mask: Mask) -> tuple[float, ...]:
    """Parts, ends, width and greatest thickness of one drawing; all 0 without ink."""
    centre = thinned(mask)
    length = max(1, int(centre.sum()))
    thickest = 2 * float(depth(mask).max()) - 1
    return (
        float(components(mask)[1]),
        float(line_ends(centre)),
        float(mask.sum()) / length,
        max(0.0, thickest),
    )
