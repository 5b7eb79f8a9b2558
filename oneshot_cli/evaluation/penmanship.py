"""Measures of strokes: components, ends, widths and blobs of drawings, beside those of people's."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from oneshot_cli.evaluation.oneshot_scores import Estimate, bootstrap
from oneshot_cli.imaging.ink import Mask, components, depth
from oneshot_cli.imaging.redrawing import line_ends, thinned

EACH = 5
"""The number of drawings of each character that are measured."""

UNSURE = (0.2, 0.8)
"""A pixel whose probability of ink lies between these is unsure: neither paper nor ink."""


@dataclass(frozen=True)
class Strokes:
    """Measures of strokes, averaged over the drawings of a character, then over characters.

    `parts` is the number of connected components, `ends` that of the ends of centre lines (a broken
    stroke has two more). `width` is the number of inked pixels divided by that of the centre lines;
    `thickest` is the width at the widest place, `unevenness` the standard deviation of the width
    along the centre lines, all in pixels. `deepest` (C, n) is `thickest` for each drawing.
    """

    parts: Estimate
    ends: Estimate
    width: Estimate
    thickest: Estimate
    unevenness: Estimate
    deepest: Tensor

    def as_dict(self) -> dict[str, dict[str, float | None]]:
        """The figures with their intervals, for JSON."""
        return {name: getattr(self, name).as_dict() for name in MEASURES}


MEASURES = tuple(field.name for field in fields(Strokes) if field.name != "deepest")


@dataclass(frozen=True)
class Penmanship:
    """A model's strokes beside people's, both at `size` x `size`.

    `blobs` is the share of the model's drawings that are somewhere thicker than 99 % of people's.
    `fog` is the number of unsure pixels divided by that of inked ones.
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

    The first EACH of each character are measured, at S x S. `seed` draws the bootstrap.
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
    """Measure `drawings` (C, n, 1, S, S); pixels above 0.5 are ink. `seed` draws the bootstrap."""
    masks = (drawings[:, :, 0] > 0.5).numpy()
    measures = torch.tensor([[_measured(mask) for mask in each] for each in masks])
    figures = {
        name: bootstrap(each.mean(1), seed)
        for name, each in zip(MEASURES, measures.unbind(-1), strict=True)
    }
    return Strokes(**figures, deepest=measures[..., MEASURES.index("thickest")])


def _measured(mask: Mask) -> tuple[float, ...]:
    """The MEASURES of one drawing (S, S); all 0 without ink."""
    if not mask.any():
        return (0.0,) * len(MEASURES)
    centre = thinned(mask)
    widths = 2 * depth(mask) - 1
    return (
        float(components(mask)[1]),
        float(line_ends(centre)),
        float(mask.sum() / centre.sum()),
        float(widths.max()),
        float(widths[centre].std()),
    )
