"""From grey levels to a mask of ink: polarity, uneven light, threshold, specks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy.ndimage import correlate, distance_transform_edt, label, maximum
from skimage.filters import threshold_otsu

from oneshot_cli.errors import OneshotError
from oneshot_cli.imaging.reading import Grey

Mask = NDArray[np.bool_]
"""A picture of booleans (H, W): true is ink."""

FAINTEST = 0.06
"""The least difference between ink and paper, as a share of the range from black to white."""

DOT = 0.75
"""A dot is at least this many times as thick as the strokes beside it; a speck is finer."""

LEAST_DOT = 2.0
"""A dot's ink is at least so many pixels deep. A finer line does not tell how wide its pen was."""

SMALLEST_PHOTO = 64
"""Smaller pictures are icons: what looks like uneven light there is anti-aliasing."""

EIGHT = np.ones((3, 3), int)
"""The neighbourhood of 8-connected components, for `scipy.ndimage.label`."""

BINOMIAL = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32) / 16


def ink_strength(grey: Grey) -> tuple[Grey, bool]:
    """How inky each pixel of `grey` (H, W) is, and whether the light is even.

    The strength (H, W) is in [0, 1]; ink begins at 0.5. Light is even on a screen or in a scan. The
    border decides between dark ink on light paper and light ink on dark. Where the light is uneven,
    each pixel is compared with the paper around it. Raises OneshotError if there is no ink.
    """
    if np.ptp(grey) < FAINTEST:
        raise OneshotError("no drawing found: the picture is blank")
    threshold, gap, within = two_classes(grey)
    if gap < FAINTEST:
        raise OneshotError("no drawing found: the picture is blank")
    two_tones = gap > 4 * within or max(grey.shape) < SMALLEST_PHOTO
    dark = grey if ink_is_dark(grey, threshold if two_tones else None) else 1 - grey
    threshold = two_classes(dark)[0]
    paper = dark[dark > threshold]
    even = np.ptp(np.percentile(paper, [25, 75])) < 0.06 and gap > 4 * within
    if even or max(grey.shape) < SMALLEST_PHOTO:
        return _stretched(1 - dark, 1 - threshold), True
    smooth = correlate(dark, BINOMIAL, mode="nearest")  # against the sensor's noise
    relative = 1 - np.clip(smooth / local_paper(dark), 0, 1)
    return _stretched(relative, _threshold_above_noise(relative)), False


def two_classes(values: Grey) -> tuple[float, float, float]:
    """The threshold between the dark and the light class of `values`, and how far they are apart.

    The classes are those of Otsu (1979) on 256 levels. Returns the middle between their means, the
    distance of their means, and the square root of the mean variance within the classes. `values`
    must not be all the same.
    """
    counts, edges = np.histogram(values, bins=256, range=(0, 1))
    levels = ((edges[:-1] + edges[1:]) / 2)[counts > 0]
    counts = counts[counts > 0]
    dark = levels <= threshold_otsu(hist=(counts, levels))
    low, high = (float(np.average(levels[c], weights=counts[c])) for c in (dark, ~dark))
    share = float(counts[dark].sum() / counts.sum())
    between = share * (1 - share) * (high - low) ** 2
    within = max(float(values.var()) - between, 0.0) ** 0.5
    return (low + high) / 2, high - low, within


def ink_is_dark(grey: Grey, threshold: float | None) -> bool:
    """Whether the drawing in `grey` (H, W) is darker than its paper.

    `threshold` separates the tones of a picture of two tones. The border of such a picture is
    paper, if it is of one tone. Otherwise (`threshold` None, or a mixed border) strokes are what
    differs most from its surroundings: the third moment of the difference from the local mean is
    negative for dark strokes.
    """
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    bright = 0.5 if threshold is None else float((border > threshold).mean())
    if bright > 0.8 or bright < 0.2:
        return bright > 0.5
    height, width = grey.shape
    coarse = Image.fromarray(grey).resize((8, 8), Image.Resampling.BOX)
    around = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    return float(((grey - around) ** 3).sum()) < 0


def local_paper(dark: Grey) -> Grey:
    """The brightness of the paper around each pixel of `dark` (H, W): a closing, smoothed.

    Computed on 64 pixels with Pillow's 8-bit filters. A window of 13 of 64 pixels is wider than
    strokes are.
    """
    height, width = dark.shape
    scale = 64 / max(height, width)
    small = (max(8, round(width * scale)), max(8, round(height * scale)))
    coarse = Image.fromarray(dark).resize(small, Image.Resampling.BOX)
    closed = Image.fromarray(np.uint8(np.asarray(coarse) * 255)).filter(ImageFilter.MaxFilter(13))
    closed = closed.filter(ImageFilter.MinFilter(11)).filter(ImageFilter.GaussianBlur(3))
    paper = closed.resize((width, height), Image.Resampling.BICUBIC)
    return np.maximum(np.asarray(paper, np.float32) / 255, 0.02)


def _threshold_above_noise(ink: Grey) -> float:
    """The middle between paper and ink; ink is what exceeds the noise of the paper.

    Raises OneshotError if hardly a pixel does.
    """
    level = float(np.median(ink))
    noise = 1.4826 * float(np.median(np.abs(ink - level)))
    floor = level + max(5 * noise, FAINTEST)
    drawn = ink[ink > floor]
    if drawn.size < 1e-4 * ink.size:
        raise OneshotError("no drawing found: the picture is blank, or its ink too faint")
    return max(floor, (level + float(np.percentile(drawn, 75))) / 2)


def _stretched(ink: Grey, threshold: float) -> Grey:
    """`ink` mapped piecewise linearly: 0 to 0, `threshold` to 0.5, 1 to 1."""
    threshold = min(max(threshold, 1e-3), 1 - 1e-3)
    below, above = 0.5 * ink / threshold, 0.5 + 0.5 * (ink - threshold) / (1 - threshold)
    return np.where(ink < threshold, below, above).astype(np.float32)


def components(mask: Mask) -> tuple[NDArray[np.int32], int]:
    """The 8-connected components of `mask` (H, W): labels from 1, 0 for paper; and their number."""
    labels, count = label(mask, EIGHT)
    return labels, count


def depth(mask: Mask) -> NDArray[np.float64]:
    """For each pixel of `mask` (H, W) the Euclidean distance to the nearest pixel of paper.

    In pixels; 0 for paper. The outside of the picture counts as paper.
    """
    distance: NDArray[np.float64] = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    return distance


def drawing_only(mask: Mask, even_light: bool) -> Mask:
    """`mask` (H, W) without specks.

    A speck is a component smaller than 2 % of the largest and finer than its strokes. Where the
    light is uneven, as in a photo, two more kinds of components are removed: those that touch the
    border (the table, a shadow, a ruled line), if enough ink is left, and small ones far from the
    largest.
    """
    labels, count = components(mask)
    area = np.bincount(labels.ravel(), minlength=count + 1)
    area[0] = 0
    keep = area >= max(0.02 * area.max(), 1)
    keep |= _as_thick_as_strokes(mask, labels, int(area.argmax())) & (area > 0)
    if not even_light:
        border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        inner = keep.copy()
        inner[border] = False
        if area[inner].sum() > 0.2 * area.max():
            keep = inner
        keep &= _near_the_largest(labels, np.where(keep, area, 0))
    return keep[labels]


def _as_thick_as_strokes(mask: Mask, labels: NDArray[np.int32], largest: int) -> NDArray[np.bool_]:
    """Which components are somewhere as thick as the strokes of the `largest`: dots of one pen."""
    deep = depth(mask)
    stroke = 2 * float(np.median(deep[labels == largest]))  # half the width of an even stroke
    deepest = np.asarray(maximum(deep, labels, np.arange(labels.max() + 1)))
    thick: NDArray[np.bool_] = (deepest >= DOT * stroke) & (deepest >= LEAST_DOT)
    return thick


def _near_the_largest(labels: NDArray[np.int32], area: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which components are large, or within half the largest one's length of its bounding box."""
    rows, columns = np.nonzero(labels == area.argmax())
    margin = max(np.ptp(rows), np.ptp(columns)) // 2
    top, left = max(rows.min() - margin, 0), max(columns.min() - margin, 0)
    box = labels[top : rows.max() + margin + 1, left : columns.max() + margin + 1]
    near = area > 0.5 * area.max()
    near[np.unique(box)] = True
    return near
