"""Warnings about exemplars that the model cannot vary well, one line each.

The thresholds are set so that there is no warning about any first drawing of the 150 test
characters of `weak`, nor about any of 24 symbols of other kinds that people draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt, find_objects, label
from torch import Tensor

from oneshot_cli.imaging.exemplar import Drawing, at_size
from oneshot_cli.imaging.ink import Mask, depth

LOST = 3
"""An exemplar is too fine if at least so many of its holes are filled at the model's size.

None of the first drawings of Omniglot's 1,623 characters loses more than two.
"""

SOLID = 3 / 28
"""Strokes have merged if their ink is deeper than this share of the frame.

That holds for 1 in 1,000 of the first drawings of Omniglot's characters.
"""

SIMILAR_HEIGHT = 0.6
"""Characters are at least this share of their line's height; lower parts are accents and dots."""

WIDE = 1.2
"""Two parts side by side are two characters if their width is more than this times their height."""

SMALLEST = 0.2
"""Lines lower than this share of the frame are dots or dashes, not characters."""

NEAR = 1 / 52
"""How far a redrawn stroke may lie from the exemplar's, as a share of the frame."""

MISSED = 0.08
"""The redrawing failed if `missed` exceeds this. It is at most 0.06 for the test characters."""


@dataclass(frozen=True)
class Concern:
    """Why variations of an exemplar may disappoint: the `kind`, and a line that says what to do."""

    kind: str
    text: str


SEVERAL = Concern(
    "several-characters",
    "looks like several characters, which are drawn as one; --each takes each as an exemplar",
)
BOX_REMOVED = Concern(
    "box-removed", "had a printed box around it, which is left out; --box keep draws it, too"
)
BOX_KEPT = Concern(
    "box-kept", "has a box around it, which is drawn, too; --box remove leaves it out"
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
    """The warnings about an exemplar, in a fixed order; an empty list if there are none.

    `redrawn` (S, S) are the probabilities of ink when the posterior reconstructs the exemplar.
    `read_size` is the height and width that the model reads, in pixels.
    """
    found = [SEVERAL] if several_characters(drawing.mask) else []
    if drawing.box:
        found.append(BOX_REMOVED if drawing.box == "removed" else BOX_KEPT)
    if drawing.filled:
        found.append(FILLED)
    own = _at(drawing.mask, redrawn.shape[-1])
    solid = not drawing.filled and deepest(own) > SOLID
    if solid or lost_holes(drawing.shown, _at(drawing.mask, read_size)) >= LOST:
        found.append(TOO_FINE)
    elif missed(own, redrawn.numpy() > 0.5) > MISSED:
        found.append(NOT_REDRAWN)
    return found


def several_characters(mask: Mask) -> bool:
    """Whether the ink (S, S) looks like several characters side by side.

    Rows without ink separate lines, columns without ink separate groups in a line. A group nearly
    as high as its line is a character. Three characters, in one line or more, are several; so are
    two in a line that is wider than high.
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


def _runs(values: Any) -> list[tuple[int, int]]:
    """The start and the end (exclusive) of each run of true values in a vector of booleans."""
    return [(run.start, run.stop) for (run,) in find_objects(label(values)[0])]


def lost_holes(shown: Mask, read: Mask) -> int:
    """How many holes of the ink `shown` (S, S) in the picture are filled in `read` (R, R).

    Holes smaller than a pixel of `read` do not count: they are gaps of the pen's line.
    """
    return max(0, _holes(shown, (len(shown) / len(read)) ** 2) - _holes(read, 1))


def deepest(mask: Mask) -> float:
    """The largest distance of ink (S, S) from the nearest paper, as a share of the frame."""
    return float(depth(mask).max()) / len(mask)


def _holes(mask: Mask, least: float) -> int:
    """How many components of the paper that ink encloses have at least `least` pixels."""
    areas = np.bincount(label(~np.pad(mask, 1))[0].ravel())[1:]
    return int((areas >= least).sum()) - 1


def _at(mask: Mask, size: int) -> Mask:
    return at_size(mask, size).numpy() > 0


def missed(exemplar: Mask, redrawn: Mask) -> float:
    """The share of the exemplar's ink (S, S) that the redrawing (S, S) lacks, plus the share of the
    redrawing's ink that the exemplar lacks: 0 to 2.

    Ink within NEAR of the other drawing's ink is not lacking there.
    """
    if not exemplar.any() or not redrawn.any():
        return 0.0 if exemplar.any() == redrawn.any() else 2.0
    shares = [
        (distance_transform_edt(~other)[one] > NEAR * len(one)).mean()
        for one, other in ((exemplar, redrawn), (redrawn, exemplar))
    ]
    return float(sum(shares))
