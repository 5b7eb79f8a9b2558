"""From grey levels to a mask of ink: polarity, uneven light, threshold, specks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from oneshot_cli.errors import OneshotError
from oneshot_cli.imaging.reading import Grey

Mask = NDArray[np.bool_]

FAINTEST = 0.06
"""Ink and paper have to differ by this much of the range from black to white."""

DOT = 0.75
"""A dot is at least this part as thick as the strokes beside it; what is finer is a speck."""

LEAST_DOT = 2.0
"""And its ink is so many pixels deep: a line of a pixel or two says nothing of its pen."""

SMALLEST_PHOTO = 64
"""Smaller pictures are icons: what looks like uneven light there is anti-aliasing."""


def ink_strength(grey: Grey) -> tuple[Grey, bool]:
    """How inky each pixel of `grey` (H, W) is, in [0, 1], with 0.5 where ink begins; and whether
    the light was even, as on a screen or in a scan.

    Dark ink on light or light on dark, by what the border shows; where the light is uneven, each
    pixel is judged against the paper around it. Raises OneshotError if there is no ink.
    """
    threshold, gap, within = otsu(grey)
    if np.ptp(grey) < FAINTEST or gap < FAINTEST:
        raise OneshotError("no drawing found: the picture is blank")
    two_tones = gap > 4 * within or max(grey.shape) < SMALLEST_PHOTO
    dark = grey if ink_is_dark(grey, threshold if two_tones else None) else 1 - grey
    threshold = otsu(dark)[0]
    paper = dark[dark > threshold]
    even = np.ptp(np.percentile(paper, [25, 75])) < 0.06 and gap > 4 * within
    if even or max(grey.shape) < SMALLEST_PHOTO:
        return _around(1 - dark, 1 - threshold), True
    relative = 1 - np.clip(_smooth(dark) / local_paper(dark), 0, 1)
    return _around(relative, _threshold_above_noise(relative)), False


def otsu(values: Grey) -> tuple[float, float, float]:
    """The threshold that best parts `values` in two; the classes' distance; their deviation.

    Otsu (1979), on 256 levels; deviation is the root of the mean variance within the classes. The
    threshold is half way between the classes' means.
    """
    counts, edges = np.histogram(values, bins=256, range=(0, 1))
    levels = (edges[:-1] + edges[1:]) / 2
    weight = np.cumsum(counts) / counts.sum()
    moment = np.cumsum(counts * levels) / counts.sum()
    low = moment / np.maximum(weight, 1e-12)
    high = (moment[-1] - moment) / np.maximum(1 - weight, 1e-12)
    between = weight * (1 - weight) * (high - low) ** 2
    best = int(np.argmax(between))
    within = max(float(values.var()) - float(between[best]), 0.0) ** 0.5
    return float(low[best] + high[best]) / 2, float(high[best] - low[best]), within


def ink_is_dark(grey: Grey, threshold: float | None) -> bool:
    """Whether the drawing is darker than its paper.

    In a picture of two tones, parted by `threshold`, the border is paper, if it is of one tone.
    Otherwise (uneven light) strokes are what stands out of its surroundings: the third moment
    of the difference to the local mean is negative for dark strokes.
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
    """The brightness of the paper around each pixel: a wide closing, smoothed, (H, W)."""
    height, width = dark.shape
    scale = 64 / max(height, width)
    small = (max(8, round(width * scale)), max(8, round(height * scale)))
    coarse = Image.fromarray(dark).resize(small, Image.Resampling.BOX)
    # Pillow ranks only 8-bit pictures; 13 of 64 pixels is wider than strokes are
    closed = Image.fromarray(np.uint8(np.asarray(coarse) * 255)).filter(ImageFilter.MaxFilter(13))
    closed = closed.filter(ImageFilter.MinFilter(11)).filter(ImageFilter.GaussianBlur(3))
    paper = closed.resize((width, height), Image.Resampling.BICUBIC)
    return np.maximum(np.asarray(paper, np.float32) / 255, 0.02)


def _smooth(grey: Grey) -> Grey:
    """Each pixel averaged with its neighbours (binomially, 3 x 3), against the sensor's noise."""
    for axis in (0, 1):
        around = np.pad(grey, [(1, 1) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        before, after = (np.delete(around, ends, axis) for ends in ([-1, -2], [0, 1]))
        grey = (before + 2 * grey + after) / np.float32(4)
    return grey


def _threshold_above_noise(ink: Grey) -> float:
    """Half way from paper to ink, where ink is what stands out of the paper's own noise."""
    level = float(np.median(ink))
    noise = 1.4826 * float(np.median(np.abs(ink - level)))
    floor = level + max(5 * noise, FAINTEST)
    drawn = ink[ink > floor]
    if drawn.size < 1e-4 * ink.size:
        raise OneshotError("no drawing found: the picture is blank, or its ink too faint")
    return max(floor, (level + float(np.percentile(drawn, 75))) / 2)


def _around(ink: Grey, threshold: float) -> Grey:
    """Stretch `ink` so that `threshold` becomes 0.5, keeping 0 and 1."""
    threshold = min(max(threshold, 1e-3), 1 - 1e-3)
    below, above = 0.5 * ink / threshold, 0.5 + 0.5 * (ink - threshold) / (1 - threshold)
    return np.where(ink < threshold, below, above).astype(np.float32)


def components(mask: Mask) -> NDArray[np.int32]:
    """Number the 8-connected parts of `mask` (H, W) from 1; 0 is no ink. By runs, row by row."""
    labels = np.zeros(mask.shape, np.int32)
    parent = [0]
    previous: list[tuple[int, int, int]] = []
    for y, row in enumerate(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8)):
        steps = np.flatnonzero(np.diff(row))
        current = []
        for start, end in zip(steps[::2].tolist(), steps[1::2].tolist(), strict=True):
            label = 0
            for other_start, other_end, other in previous:
                if other_start > end:
                    break
                if start <= other_end:
                    root = _root(parent, other)
                    if label:
                        parent[max(label, root)] = label = min(label, root)
                    label = label or root
            if not label:
                label = len(parent)
                parent.append(label)
            labels[y, start:end] = label
            current.append((start, end, label))
        previous = current
    roots = np.array([_root(parent, label) for label in range(len(parent))])
    return np.unique(roots, return_inverse=True)[1].astype(np.int32)[labels]


def _root(parent: list[int], label: int) -> int:
    while parent[label] != label:
        label = parent[label]
    return label


def drawing_only(mask: Mask, even_light: bool) -> Mask:
    """`mask` without specks: parts under 2 % of the largest that are finer than its strokes.

    In a photo also without what reaches in from the border (the table, a shadow, a ruled line), if
    enough is left, and without small parts that are far from the largest.
    """
    labels = components(mask)
    area = np.bincount(labels.ravel())
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
    """Which parts are as thick somewhere as the strokes of the largest: dots of the same pen."""
    from scipy.ndimage import distance_transform_edt, maximum

    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    stroke = 2 * float(np.median(depth[labels == largest]))  # half the width of an even stroke
    deepest = np.asarray(maximum(depth, labels, np.arange(labels.max() + 1)))
    thick: NDArray[np.bool_] = (deepest >= DOT * stroke) & (deepest >= LEAST_DOT)
    return thick


def _near_the_largest(labels: NDArray[np.int32], area: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which parts are large, or within half the largest part's length of its box."""
    rows, columns = np.nonzero(labels == area.argmax())
    margin = max(np.ptp(rows), np.ptp(columns)) // 2
    top, left = max(rows.min() - margin, 0), max(columns.min() - margin, 0)
    box = labels[top : rows.max() + margin + 1, left : columns.max() + margin + 1]
    near = area > 0.5 * area.max()
    near[np.unique(box)] = True
    return near
