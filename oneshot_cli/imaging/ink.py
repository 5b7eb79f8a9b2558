"""From grey levels to a mask of ink: polarity, uneven light, threshold, specks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import correlate, distance_transform_edt, label, maximum
from skimage.filters import threshold_otsu
from skimage.measure import regionprops

from oneshot_cli.errors import OneshotError
from oneshot_cli.imaging.light import best_channel, local_paper, without_bias
from oneshot_cli.imaging.reading import Grey, Levels
from oneshot_cli.imaging.rules import mean_width, without_rules

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

LEAST_HOLE = 0.012
"""A punch hole is at least this share of the picture's longer side wide."""

MARGIN = 0.15
"""Punch holes are within this share of the picture from its border."""

APART = 0.2
"""They are this share of the drawing's extent apart from it."""

FINE_DOT = 4
"""Fewest pixels of a dot that was drawn with a pen too fine to tell dots from specks by width."""

FAINT_DOT = 0.3
"""The least strength of such a dot's ink, where that of strokes is 0.5."""

NEAR = 0.35
"""A faint dot is within this share of the drawing's extent from it."""

SHADED = 0.05
"""Light is uneven if a dark region takes more than this share of the border."""

EIGHT = np.ones((3, 3), int)
"""The neighbourhood of 8-connected components, for `scipy.ndimage.label`."""

BINOMIAL = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32) / 16


class BlankError(OneshotError):
    """Nothing is drawn in a picture."""


class Inked(NamedTuple):
    """How inky each pixel of a picture is: `strength` (H, W) in [0, 1]; ink begins at 0.5.

    Light is even on a screen or in a scan. `rules` is the number of printed lines left out.
    """

    strength: Grey
    even_light: bool
    rules: int


def ink_strength(levels: Levels) -> Inked:
    """How inky each pixel of `levels` (H, W, C) is.

    The border decides between dark ink on light paper and light ink on dark. Where the light is
    uneven, each pixel is compared with the paper around it. Raises BlankError if there is no ink.
    """
    grey = best_channel(levels)
    if np.ptp(grey) < FAINTEST:
        raise BlankError("no drawing found: the picture is blank")
    threshold, gap, within = two_classes(grey)
    icon = max(grey.shape) < SMALLEST_PHOTO and _even_border(grey)
    two_tones = gap > 4 * within or icon
    dark = grey if ink_is_dark(grey, threshold if two_tones else None) else 1 - grey
    threshold = two_classes(dark)[0]
    paper = dark[dark > threshold]
    even = np.ptp(np.percentile(paper, [25, 75])) < 0.06 and gap > 4 * within
    if (even and not _shaded_border(dark, threshold)) or icon:
        if gap < FAINTEST:
            raise BlankError("no drawing found: the picture is blank")
        ink = np.maximum(float(np.median(paper)) - dark, 0)
        cleaned, rules = without_rules(ink, FAINTEST)
        if rules:
            return Inked(_stretched(cleaned, _threshold_above_noise(cleaned)), True, rules)
        return Inked(_stretched(1 - dark, 1 - threshold), True, 0)
    noisy = max(dark.shape) > SMALLEST_PHOTO  # a thumbnail was averaged already
    smooth = correlate(dark, BINOMIAL, mode="nearest") if noisy else dark
    relative = without_bias(1 - np.clip(smooth / local_paper(dark), 0, 1))
    relative, rules = without_rules(relative, _floor(relative))
    return Inked(_stretched(relative, _threshold_above_noise(relative)), False, rules)


def _shaded_border(dark: Grey, threshold: float) -> bool:
    """Whether a dark region wider than strokes, a shadow or a table, reaches the border."""
    framed = np.pad(dark, 8, constant_values=1)  # so that a stroke along the border is not wide
    inset = 8 + min(4, (min(dark.shape) - 1) // 2)  # of a picture a few pixels wide, its middle
    paper = local_paper(framed)[inset:-inset, inset:-inset]
    border = np.concatenate([paper[0], paper[-1], paper[:, 0], paper[:, -1]])
    return bool((border < threshold).mean() > SHADED)


def _even_border(grey: Grey) -> bool:
    """Whether the border of a small picture has one tone: then it is an icon, not a photo."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    return bool(np.ptp(np.percentile(border, [20, 80])) < FAINTEST)


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


def _floor(ink: Grey) -> float:
    """What exceeds the noise of the paper: its median and five standard deviations."""
    level = float(np.median(ink))
    noise = 1.4826 * float(np.median(np.abs(ink - level)))
    return level + max(5 * noise, FAINTEST)


def _threshold_above_noise(ink: Grey) -> float:
    """The middle between paper and ink; ink is what exceeds the noise of the paper.

    Raises BlankError if hardly a pixel does.
    """
    floor = _floor(ink)
    drawn = ink[ink > floor]
    if drawn.size < 1e-4 * ink.size:
        raise BlankError("no drawing found: the picture is blank, or its ink too faint")
    return max(floor, (float(np.median(ink)) + float(np.percentile(drawn, 75))) / 2)


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
    """`mask` (H, W) without specks and punch holes.

    A speck is a component smaller than 2 % of the largest and finer than its strokes. Where the
    light is uneven, as in a photo, two more kinds of components are removed: those that touch the
    border (the table, a shadow, a ruled line), if enough ink is left, and small ones far from the
    largest.
    """
    labels, count = components(mask)
    area = np.bincount(labels.ravel(), minlength=count + 1)
    area[0] = 0
    area[_punch_holes(labels, count)] = 0
    if even_light:
        area[_along_the_border(labels, area)] = 0
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


def with_faint_dots(mask: Mask, ink: Grey) -> Mask:
    """The drawing's `mask` (H, W) and the dots of a fine pen, which blur makes fainter than lines.

    Those are one or two compact components of `ink` above FAINT_DOT, close to the drawing. More of
    them are noise.
    """
    labels, count = components(ink > FAINT_DOT)
    rows, columns = np.nonzero(mask)
    if not count or not rows.size:
        return mask
    reach = NEAR * max(np.ptp(rows), np.ptp(columns))
    top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
    area = np.bincount(labels.ravel())
    drawn = np.bincount(labels[mask], minlength=count + 1) > 0
    least = max(FINE_DOT, 0.4 * mean_width(mask) ** 2)
    found = []
    for part in regionprops(labels):
        long = max(part.bbox[2] - part.bbox[0], part.bbox[3] - part.bbox[1])
        row, column = part.centroid
        close = top - reach < row < bottom + reach and left - reach < column < right + reach
        if drawn[part.label] or part.area < least or not close:
            continue
        if long > 12 or part.area < 0.5 * long**2 or part.area > 0.02 * area[drawn].max():
            return mask
        found.append(part.label)
    if len(found) > 2:
        return mask
    return mask | np.isin(labels, found)


def _along_the_border(labels: NDArray[np.int32], area: NDArray[np.int64]) -> NDArray[np.int64]:
    """The components that take up half of a side of the picture: a scanner's edge, a table.

    None if anything else touches the border: then the picture is cut tightly around the drawing.
    """
    sides = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    speck = 0.002 * area.max()
    touching = {int(number) for side in sides for number in np.unique(side) if area[number] > speck}
    along = {number for side in sides for number in touching if (side == number).mean() > 0.5}
    rest = np.delete(area, sorted(touching)).sum()
    if touching != along or rest < max(0.005 * area.sum(), 20):
        return np.array([], int)
    return np.array(sorted(along), int)


def _punch_holes(labels: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """The components that are punch holes: discs of one size in a row along the border.

    They are apart from what is drawn, which is most of the rest.
    """
    parts = regionprops(labels)
    height, width = labels.shape
    discs = []
    for part in parts:
        top, left, bottom, right = part.bbox
        long, short = max(bottom - top, right - left), min(bottom - top, right - left)
        round_ = short > 0.8 * long and abs(part.area / (long * short) - np.pi / 4) < 0.1
        if short >= LEAST_HOLE * max(height, width) and round_ and part.solidity > 0.9:
            discs.append(part)
    for axis, length in ((1, width), (0, height)):
        for beside in (lambda at: at < MARGIN, lambda at: at > 1 - MARGIN):
            row = [part for part in discs if beside(part.centroid[axis] / length)]
            if len(row) < 2 or len(row) == count:
                continue
            places = [part.centroid[axis] for part in row]
            areas = [part.area for part in row]
            if np.ptp(places) > 0.05 * length or max(areas) > 2 * min(areas):
                continue
            found = {part.label for part in row}
            rest = [part.bbox for part in parts if part.label not in found and part.area > 8]
            if not rest:
                continue
            start = min(box[axis] for box in rest)
            end = max(box[axis + 2] for box in rest)
            gap = max(start - max(places), min(places) - end)
            if gap > APART * (end - start):
                return np.array(sorted(found))
    return np.array([], int)


def _as_thick_as_strokes(mask: Mask, labels: NDArray[np.int32], largest: int) -> NDArray[np.bool_]:
    """Which components are somewhere as thick as the strokes of the `largest`: dots of one pen.

    A pen of two or three pixels is too fine to tell by: one or two compact components are its dots.
    """
    deep = depth(mask)
    stroke = 2 * float(np.median(deep[labels == largest]))  # half the width of an even stroke
    deepest = np.asarray(maximum(deep, labels, np.arange(labels.max() + 1)))
    thick: NDArray[np.bool_] = (deepest >= DOT * stroke) & (deepest >= LEAST_DOT)
    if stroke < 2 * LEAST_DOT:
        area = np.bincount(labels.ravel())
        small = np.flatnonzero((area >= FINE_DOT) & (area < 0.02 * area[largest]))
        if len(small) <= 2:
            thick[small] = True
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
