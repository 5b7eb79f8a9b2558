"""From a model's picture to a vector drawing: smooth strokes, dots, and filled areas."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.linalg import solveh_banded
from scipy.ndimage import distance_transform_edt, gaussian_filter, label, maximum
from skimage.measure import find_contours
from skimage.morphology import skeletonize

from oneshot_cli.imaging.centrelines import Path, arc_length, centre_paths
from oneshot_cli.imaging.exemplar import PEN
from oneshot_cli.imaging.ink import Mask, components, depth
from oneshot_cli.imaging.pen import Points, Stroke, VectorDrawing, drawn

Grid = NDArray[np.float32]

GRID = 208
"""Centre lines are found on a grid of this many pixels, whatever the size of the picture."""
HALF = PEN * GRID / 2
"""Half the width that strokes are expected to have, in pixels of the grid."""
CERTAIN = 3.0
"""Logits are limited to this magnitude."""
SMOOTHED = 1.0
"""Standard deviation of the smoothing of the logits, in pixels of the grid."""
LEVEL = 0.4
"""Ink is where the smoothed logits exceed this."""
SPECK = 16
"""Components and holes of fewer pixels of the grid are removed."""
HAIR = 0.4
"""Connections of a smaller half-width, in units of HALF, are cut; a pen would thicken them."""
DOT = 0.5
"""A component whose centre line is shorter than this, in half-widths, is a dot."""
FILLED = 2.5
"""Ink wider than this, in usual stroke widths, is a filled area, unless strokes cover it."""
DISC = 1.4
"""The same for a component about as long as it is wide: a large dot."""
ROUND = 2.0
"""Such a component has a centre line shorter than this, in its greatest half-width."""
TAPER = 1.15
"""A filled area extends into a stroke as far as it is wider than this, in usual stroke widths."""
SLIT = 0.9
"""Slits in filled areas are closed if they are narrower than twice this, in units of HALF."""
UNCOVERED = 0.1
"""Strokes do not cover an area if they leave more than this share of it white."""
STIFF = 80.0
"""Weight of the curvature when lines are smoothed. It removes waves shorter than about
2 pi STIFF^(1/4) pixels."""
CORNER = 0.12
"""Curvature, in radians per pixel of the grid, beyond which a bend is a corner and kept."""
ROUNDS = 4
"""Iterations of the smoothing; each takes its weights from the curve before."""
WRAP = 40
"""The number of points of a closed line that are repeated at its ends for smoothing."""
MARGIN = 4
"""Pixels of paper around the ink when it is cropped."""


@dataclass(frozen=True)
class _Ink:
    """The ink of a picture on the grid, cropped; `corner` (x, y) is the crop's first pixel.

    `logits` (H, W) are smoothed; `mask` (H, W) is the ink that becomes strokes; `half_width` (H, W)
    is the distance to paper, in pixels of the grid.
    """

    corner: Points
    logits: Grid
    mask: Mask
    half_width: Grid

    def framed(self, points: Points) -> Points:
        """Points (N, 2) in pixels of the crop, as shares of the frame."""
        return (points + self.corner + 0.5) / GRID


def strokes_in(logits: Grid, width: float = PEN, *, filled: bool = True) -> VectorDrawing:
    """The strokes and areas in a picture of logits of ink (H, H).

    `width` is that of the pen which will draw the strokes, as a share of the frame: they end where
    its round tip reaches the end of the ink. Areas are wide ink that a pen of the usual width, PEN,
    would leave white; unless `filled`, only large dots are areas.
    """
    found = _ink(logits)
    if found is None:
        return VectorDrawing(())
    centre = skeletonize(found.mask)
    paths = centre_paths(centre, found.half_width, HALF)
    strokes = tuple(_stroke(path, found, width * GRID / 2) for path in paths)
    return VectorDrawing(strokes, _areas(found, centre, strokes, FILLED if filled else math.inf))


def _ink(logits: Grid) -> _Ink | None:
    """The ink of `logits` (H, H), resampled to the grid; None if there is no ink."""
    limited = np.clip(logits, -CERTAIN, CERTAIN).astype(np.float32)
    if limited.shape != (GRID, GRID):
        how = Image.Resampling.BICUBIC
        limited = np.asarray(Image.fromarray(limited).resize((GRID, GRID), how))
    smooth = gaussian_filter(limited, SMOOTHED, truncate=3)
    inside = smooth > LEVEL
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if not len(rows):
        return None
    top, left = max(rows[0] - MARGIN, 0), max(columns[0] - MARGIN, 0)
    cut = slice(top, rows[-1] + MARGIN + 1), slice(left, columns[-1] + MARGIN + 1)
    mask = _without_specks(inside[cut], smooth[cut] <= 0)
    half_width = depth(mask).astype(np.float32)
    mask = _without_hairs(mask, half_width)
    return _Ink(np.array([left, top], np.float64), smooth[cut], mask, half_width)


def _without_specks(mask: Mask, paper: Mask) -> Mask:
    """`mask` without components of fewer than SPECK pixels, and without holes that have fewer than
    SPECK pixels of `paper`; both (H, W)."""
    parts = components(mask)[0]
    kept = np.bincount(parts.ravel()) >= SPECK
    kept[0] = False
    ink = kept[parts]
    holes, count = label(np.pad(~ink, 1, constant_values=True))
    holes = holes[1:-1, 1:-1]
    gone = np.bincount(holes[paper], minlength=count + 1) < SPECK
    gone[1] = False  # around the drawing
    return gone[holes] | ink


def _without_hairs(mask: Mask, half_width: Grid) -> Mask:
    """`mask` (H, W) opened with a disc of radius HAIR * HALF; components narrower than it stay."""
    core = half_width > HAIR * HALF
    opened = distance_transform_edt(~core) <= HAIR * HALF if core.any() else core
    parts = components(mask)[0]
    thin = np.ones(parts.max() + 1, bool)
    thin[parts[core]] = False
    return mask & (opened | thin[parts])


def _areas(
    ink: _Ink, centre: Mask, strokes: tuple[Stroke, ...], widest_stroke: float
) -> tuple[Points, ...]:
    """The outlines (N, 2), as shares of the frame, of wide ink that `strokes` leave white.

    `centre` (H, W) has the centre lines of the ink. Large dots are wide, and what is wider than
    `widest_stroke`, in usual stroke widths.
    """
    whole, count = components(ink.mask)
    length = np.bincount(whole[centre], minlength=count + 1)
    widest = np.asarray(maximum(ink.half_width, whole, np.arange(count + 1)))
    limit = np.where(length < ROUND * widest, DISC, widest_stroke)[whole]
    parts = components(ink.half_width > TAPER * HALF)[0]
    wide = np.zeros(parts.max() + 1, bool)
    wide[parts[ink.half_width > limit * HALF]] = True
    if not wide.any():
        return ()
    # a dilation of the core, closed so that no slits remain between its parts
    reached = distance_transform_edt(~wide[parts]) <= (TAPER + SLIT) * HALF
    body = (distance_transform_edt(reached) > SLIT * HALF) & ink.mask
    left, top = ink.corner.astype(int)
    height, across = body.shape
    covered = (
        drawn(VectorDrawing(strokes), GRID, PEN)[top : top + height, left : left + across] > 0.5
    )
    parts = components(body)[0]
    white = np.bincount(parts[body & ~covered], minlength=parts.max() + 1)
    body &= (white > UNCOVERED * np.bincount(parts.ravel()))[parts]
    if not body.any():
        return ()
    inside = distance_transform_edt(body) - distance_transform_edt(~body)
    level = np.minimum(ink.logits, gaussian_filter(inside, SMOOTHED) + 1)
    outlines = find_contours(np.pad(level, 1, constant_values=-CERTAIN), 0.0)
    return tuple(ink.framed(outline[:, ::-1] - 1) for outline in outlines)


def _stroke(path: Path, ink: _Ink, half: float) -> Stroke:
    """The smoothed curve of a path, for a pen of half-width `half` in pixels; or a dot."""
    points = path.points
    middle = points.mean(0)
    x, y = np.rint(middle).astype(int)
    if all(path.free) and arc_length(points)[-1] <= DOT * ink.half_width[y, x]:
        return Stroke(ink.framed(middle[None]), width=2 * float(ink.half_width[y, x]) / GRID)
    curve = smooth(points, closed=path.closed)
    if path.free[0]:
        curve = _ended(curve, ink, half)
    if path.free[1]:
        curve = _ended(curve[::-1], ink, half)[::-1]
    # every other point is enough: a chord is within a tenth of a pixel of the sharpest bend
    kept = (
        curve[::2] if path.closed or len(curve) % 2 else np.concatenate([curve[:-1:2], curve[-1:]])
    )
    return Stroke(ink.framed(kept), path.closed)


def smooth(points: Points, *, closed: bool = False) -> Points:
    """A smooth curve along `points` (N, 2), in pixels; its points are about a pixel apart."""
    if closed:
        points = np.concatenate([points, points[:1]])
    along = arc_length(points)
    count = max(2, round(float(along[-1])) + 1)
    even = np.linspace(0, along[-1], count)
    points = np.stack([np.interp(even, along, axis) for axis in points.T], 1)
    if count < 6:
        return points[:-1] if closed else points
    if not closed:
        return _smoothed(points)
    around = min(count - 1, WRAP)
    ring = np.concatenate([points[-around - 1 : -1], points, points[1 : around + 1]])
    return _smoothed(ring)[around : around + count - 1]


def _smoothed(points: Points) -> Points:
    """The curve p that minimizes |p - points|^2 + STIFF |w D p|^2, where D is the second difference
    (Whittaker 1923), for evenly spaced `points` (N, 2).

    The squared weights w^2 are 1 where the curvature is less than CORNER, and fall with its square
    beyond. So small waves are smoothed and corners are kept.
    """
    weight = np.ones(len(points) - 2)
    second = (1.0, -2.0, 1.0)
    curve = points
    for _ in range(ROUNDS):
        banded = np.zeros((3, len(points)))
        banded[0] = 1
        for i, a in enumerate(second):
            for j, b in enumerate(second[: i + 1]):
                banded[i - j, j : j + len(weight)] += STIFF * weight * a * b
        curve = solveh_banded(banded, points, lower=True)
        bend = np.hypot(*np.diff(curve, 2, axis=0).T)
        weight = np.minimum(1, (CORNER / np.maximum(bend, 1e-9)) ** 2)
    return curve


def _ended(curve: Points, ink: _Ink, half: float) -> Points:
    """The curve, extended or cut at its beginning so that the pen's tip ends where the ink does.

    Thinning shortens strokes by about half their width, and pointed ones by more. `half` is the
    pen's half-width in pixels.
    """
    back = min(len(curve) - 1, max(2, round(HALF)))
    direction = curve[0] - curve[back]
    direction = direction / max(float(np.hypot(*direction)), 1e-9)
    reach = np.arange(0, 4 * HALF, 0.5)
    ahead = np.rint(curve[0] + reach[:, None] * direction).astype(int)
    limit = np.array(ink.logits.shape[::-1])
    outside = ((ahead < 0) | (ahead >= limit)).any(1)
    x, y = ahead.clip(0, limit - 1).T
    paper = np.flatnonzero(outside | (ink.logits[y, x] <= 0))
    more = (float(reach[paper[0]]) if len(paper) else half) - half
    if more > 0:
        steps = np.arange(more, 0, -1.0)
        return np.concatenate([curve[0] + steps[:, None] * direction, curve])
    along = arc_length(curve)
    return curve[along >= min(-more, 0.4 * float(along[-1]))]
