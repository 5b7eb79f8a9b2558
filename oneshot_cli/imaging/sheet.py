"""The sheet of paper in a photo or a scan: what lies around it is no drawing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import (
    binary_dilation,
    binary_erosion,
    binary_fill_holes,
    distance_transform_edt,
    label,
)
from skimage.filters import threshold_otsu
from skimage.measure import regionprops

from oneshot_cli.imaging.light import closed
from oneshot_cli.imaging.reading import Levels, luminance

SMALL = 160
"""A sheet is looked for on a picture of this longer side, in pixels."""

LEAST_PHOTO = 300
"""Smaller pictures, in pixels, are cut from a sheet rather than showing one."""

STROKE = 9
"""Strokes up to this many of those pixels wide are erased first."""

LEAST, MOST = 0.12, 0.97
"""The range of a sheet's area as a share of the picture's."""

RECTANGULAR = 0.86
"""A sheet fills at least this share of the smallest rectangle around it."""

STEP = 0.10
"""The least difference of brightness between a sheet and what lies beside its edge."""

BLACK = 0.12
"""A scanner's border is darker than this."""


def sheet(levels: Levels) -> NDArray[np.bool_] | None:
    """Where the sheet is in a picture (H, W, C), as a mask (H, W); None where no edge is seen.

    A sheet is a bright, filled, nearly rectangular region with a sharp edge, and darker than it is
    what lies around it. A lit part of a sheet, which the picture's border cuts on three sides, is
    no sheet, unless a scanner's black border is beside it.
    """
    grey = luminance(levels)
    height, width = grey.shape
    if max(height, width) < LEAST_PHOTO:
        return None
    scale = SMALL / max(height, width)
    size = (max(16, round(width * scale)), max(16, round(height * scale)))
    small = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
    bright = closed(small, STROKE)
    if np.ptp(bright) < STEP:
        return None
    threshold = threshold_otsu(bright)
    parts, count = label(bright > threshold)
    if not count:
        return None
    largest = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    found = binary_fill_holes(largest)
    if not _is_sheet(found, largest, bright) or _crossed(found, small < threshold):
        return None
    inner = binary_erosion(found, iterations=2, border_value=1)
    enlarged = Image.fromarray(inner).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(enlarged)


def _is_sheet(
    found: NDArray[np.bool_], bright: NDArray[np.bool_], grey: NDArray[np.float32]
) -> bool:
    around = ~found
    if not LEAST < found.mean() < MOST or bright.sum() < 0.8 * found.sum():
        return False
    edge = binary_dilation(found, iterations=2) & ~binary_dilation(found)
    inside = binary_erosion(found, border_value=1) & ~binary_erosion(
        found, iterations=3, border_value=1
    )
    if not edge.any() or not inside.any():
        return False
    step = float(np.median(grey[inside]) - np.median(grey[edge]))
    gap = float(np.median(grey[found]) - np.median(grey[around]))
    if step < STEP or step < 0.6 * gap:
        return False
    cut = sum(bool(side.mean() > 0.15) for side in (found[0], found[-1], found[:, 0], found[:, -1]))
    black = float(np.percentile(grey[around], 80)) < BLACK
    if cut > (3 if black else 2):
        return False
    return found.sum() >= RECTANGULAR * _smallest_rectangle(found)


def _crossed(found: NDArray[np.bool_], dark: NDArray[np.bool_]) -> bool:
    """Whether strokes cross the edge of what looks like a sheet: then it is a lit part of one."""
    inside = binary_erosion(found, iterations=2, border_value=1)
    ring = inside & ~binary_erosion(inside, iterations=2, border_value=1)
    return bool(dark[ring].mean() > 0.01) if ring.any() else False


def _smallest_rectangle(mask: NDArray[np.bool_]) -> float:
    """The area of the smallest rectangle, at any angle, around the mask (H, W), in pixels."""
    rows, columns = np.nonzero(mask)
    hull = regionprops(mask.astype(np.uint8))[0].image_convex
    rows, columns = np.nonzero(hull)
    areas = []
    for angle in np.deg2rad(np.arange(0, 90, 2)):
        along = rows * np.cos(angle) + columns * np.sin(angle)
        across = columns * np.cos(angle) - rows * np.sin(angle)
        areas.append((np.ptp(along) + 1) * (np.ptp(across) + 1))
    return float(min(areas))


def on_sheet(levels: Levels, mask: NDArray[np.bool_]) -> Levels:
    """The picture (H, W, C) cut to the sheet's bounding box; its paper goes on around the sheet."""
    nearest = distance_transform_edt(~mask, return_distances=False, return_indices=True)
    filled = levels[tuple(nearest)]
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.ascontiguousarray(filled[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
