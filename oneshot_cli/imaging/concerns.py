"""What speaks against an exemplar: pictures that the model cannot vary well, told in one line each.

The thresholds are set so that none of the first drawings of the 150 test characters of `weak` is
told of, nor any of 24 symbols of other kinds that people draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, find_objects, label
from torch import Tensor

from oneshot_cli.data.resampling import box_ink
from oneshot_cli.imaging.exemplar import Drawing
from oneshot_cli.imaging.ink import Mask

LOST = 3
"""So many holes lost, between the picture and what is read of it, are too many.

Of the first drawings of Omniglot's 1,623 characters none loses more than two.
"""

SOLID = 3 / 28
"""Strokes whose ink is deeper than this part of the frame have run together.

Of the first drawings of Omniglot's characters 1 in 1,000 is.
"""

SIMILAR_HEIGHT = 0.6
"""Characters are at least this part of their line's height; what is lower are accents and dots."""

WIDE = 1.2
"""Two parts side by side are two characters if their width is more than this times their height."""

SMALLEST = 0.2
"""Lower lines than this, as a part of the frame, are dots or dashes, not characters."""

NEAR = 1 / 52
"""How far a redrawn stroke may lie from the exemplar's, as a part of the frame."""

MISSED = 0.08
"""Shares of ink that the redrawing lacks, and has too much, whose sum is too large.

For the test characters of `weak` it is at most 0.06.
"""


@dataclass(frozen=True)
class Concern:
    """Why variations of an exemplar may disappoint: the `kind`, and a line with what to do."""

    kind: str
    text: str


SEVERAL = Concern(
    "several-characters",
    "looks like several characters; cut out one for each picture, or they are drawn as one",
)
FILLED = Concern(
    "filled", "is a filled shape; its outline is drawn, so give a line drawing if that is not meant"
)
TOO_FINE = Concern(
    "too-fine",
    "has detail finer than the model reads, which will run together; give a simpler drawing, or a "
    "part of it",
)
NOT_REDRAWN = Concern(
    "not-redrawn",
    "is more than the model can redraw; expect variations that differ, and try a simpler drawing",
)


def concerns(drawing: Drawing, redrawn: Tensor, read_size: int) -> list[Concern]:
    """What speaks against an exemplar, given its redrawing by the posterior.

    `redrawn` (S, S) are probabilities of ink, of the exemplar as the model has it at S x S;
    `read_size` is the height and width of what the model reads, in pixels.
    """
    found = [SEVERAL] if several_characters(drawing.mask) else []
    if drawing.filled:
        found.append(FILLED)
    own = _at(drawing.mask, redrawn.shape[-1])
    solid = not drawing.filled and depth(own) > SOLID
    if solid or lost_holes(drawing.shown, _at(drawing.mask, read_size)) >= LOST:
        found.append(TOO_FINE)
    elif missed(own, redrawn.numpy() > 0.5) > MISSED:
        found.append(NOT_REDRAWN)
    return found


def several_characters(mask: Mask) -> bool:
    """Whether the ink (S, S) stands in groups side by side that look like characters of a line.

    Three such groups, in one line or more, or two that are together wider than high.
    """
    found = 0
    for top, bottom in _runs(mask.any(1)):
        line = mask[top:bottom]
        groups = [line[:, left:right] for left, right in _runs(line.any(0))]
        heights = [np.ptp(np.flatnonzero(group.any(1))) + 1 for group in groups]
        letters = sum(bool(height >= SIMILAR_HEIGHT * len(line)) for height in heights)
        if letters < 2 or len(line) < SMALLEST * len(mask):
            continue
        width = np.ptp(np.flatnonzero(line.any(0))) + 1
        if letters == 2 and width > WIDE * len(line):
            return True
        found += letters
    return found >= 3


def _runs(there: Any) -> list[tuple[int, int]]:
    """The first and the end of each run of true values in a vector of them."""
    return [(run.start, run.stop) for (run,) in find_objects(label(there)[0])]


def lost_holes(shown: Mask, read: Mask) -> int:
    """How many holes of the ink in a picture (S, S) are lost in what is read of it.

    Those smaller than a pixel of `read` do not count: they are the pen's, not the drawing's.
    """
    return max(0, _holes(shown, (len(shown) / len(read)) ** 2) - _holes(read, 1))


def depth(mask: Mask) -> float:
    """How far the ink (S, S) reaches from the nearest paper, at most, as a part of the frame."""
    return float(distance_transform_edt(np.pad(mask, 1)).max()) / len(mask)


def _holes(mask: Mask, least: float) -> int:
    """How many parts of the paper that ink surrounds have at least `least` pixels."""
    areas = np.bincount(label(~np.pad(mask, 1))[0].ravel())[1:]
    return int((areas >= least).sum()) - 1


def _at(mask: Mask, size: int) -> Mask:
    ink: NDArray[np.uint8] = box_ink(torch.from_numpy(mask.astype(np.uint8))[None], size)[0].numpy()
    return ink > 0


def missed(exemplar: Mask, redrawn: Mask) -> float:
    """The share of the exemplar's ink (S, S) that the redrawing lacks, and of its ink that is new.

    Their sum; ink within NEAR of the other's counts as the same.
    """
    if not exemplar.any() or not redrawn.any():
        return 0.0 if exemplar.any() == redrawn.any() else 2.0
    shares = [
        (distance_transform_edt(~other)[one] > NEAR * len(one)).mean()
        for one, other in ((exemplar, redrawn), (redrawn, exemplar))
    ]
    return float(sum(shares))
