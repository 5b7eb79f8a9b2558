"""Printed lines: the rules of ruled and squared paper, and boxes around a drawing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import (
    binary_fill_holes,
    find_objects,
    grey_opening,
    label,
)
from skimage.transform import hough_line, hough_line_peaks

from oneshot_cli.imaging.reading import Grey

TILT = 8
"""Rules are tilted by at most so many degrees."""

COVERED = 0.55
"""A rule's ink covers at least this share of its length, wherever the picture shows it."""

SECTIONS = 8
"""A rule is seen in all but one of so many sections of its length ..."""

END = 0.03
"""... and at both ends of it, which are this share of its length."""

SEVERAL = 3
"""So many parallel lines across the picture are rules whatever their tone."""

LEAST_BOX = 40
"""The least height and width of a box, in pixels."""

STRAIGHT = 0.008
"""The sides of a box are straight to this share of its height."""

MOST_TILTED = 0.15
"""The steepest slope of a box's upper side."""

FINER = 0.8
"""The lines of a printed box are finer than this share of the width of strokes ..."""

FILLED = 0.85
"""... that fill less than this share of its height and width ..."""

FAINTER = 0.85
"""... or fainter than this share of their strength."""


@dataclass(frozen=True)
class Rule:
    """A line across the picture. Row = `offset` + `slope` x column, or columns and rows swapped.

    `thickness` is in pixels, `tone` the median strength of its ink.
    """

    offset: float
    slope: float
    thickness: int
    tone: float


def without_rules(ink: Grey, floor: float) -> tuple[Grey, int]:
    """`ink` (H, W) without the rules across the picture, and their number.

    What is stronger than `floor` is a rule or a stroke. Rules go from border to border. They are
    three or more in one direction, or finer or fainter than the strokes, and more is drawn than
    they. Strokes that cross a rule stay, because they are longer across it than it is thick.
    """
    weak = ink > floor
    if not weak.any() or weak.mean() > 0.5 or min(ink.shape) < 64:
        return ink, 0
    across = _rules(ink, weak)
    down = _rules(ink.T, weak.T)
    if not across and not down:
        return ink, 0
    cleaned = _erased(ink, across)
    cleaned = np.ascontiguousarray(_erased(cleaned.T, down).T)
    left = cleaned[cleaned > floor]
    if left.size < 3e-4 * ink.size:
        return ink, 0
    stroke = float(np.percentile(left, 75))
    fainter = all(rule.tone < 0.8 * stroke for rule in across + down)
    if max(len(across), len(down)) < SEVERAL and not fainter:
        return ink, 0
    return cleaned, len(across) + len(down)


def _rules(ink: Grey, weak: NDArray[np.bool_]) -> list[Rule]:
    """The rules that are nearly parallel to the rows."""
    height, width = ink.shape
    angles = np.deg2rad(90 + np.arange(-TILT, TILT + 0.25, 0.5))
    counts, angles, distances = hough_line(weak, theta=angles)
    peaks = hough_line_peaks(
        counts, angles, distances, min_distance=5, min_angle=20, threshold=COVERED * width
    )
    found = []
    columns = np.arange(width)
    for _, angle, distance in zip(*peaks, strict=True):
        slope = -np.cos(angle) / np.sin(angle)
        offset = distance / np.sin(angle)
        rows = np.round(offset + slope * columns).astype(int)
        shown = (rows >= 1) & (rows < height - 1)
        if shown.sum() < 0.5 * width:
            continue
        r, c = rows[shown], columns[shown]
        seen = weak[r, c] | weak[r - 1, c] | weak[r + 1, c]
        sections = sorted(float(part.mean()) for part in np.array_split(seen, SECTIONS))
        end = max(4, round(END * width))
        ends = min(float(seen[:end].mean()), float(seen[-end:].mean()))
        if seen.mean() < COVERED or sections[1] < 0.4 or ends < 0.3:
            continue
        found.append(_rule(ink, weak, r, c, float(offset), float(slope)))
    return found


def _rule(
    ink: Grey,
    weak: NDArray[np.bool_],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    offset: float,
    slope: float,
) -> Rule:
    """The thickness and tone of a line of pixels."""
    height = len(ink)
    reach = np.arange(-8, 9)
    around = np.clip(rows[:, None] + reach, 0, height - 1)
    profile = weak[around, columns[:, None]].mean(0)
    near = profile > 0.5 * profile.max()
    tone = float(np.median(ink[around, columns[:, None]].max(1)))
    return Rule(offset, slope, int(near.sum()), tone)


def _erased(ink: Grey, found: list[Rule]) -> Grey:
    """`ink` (H, W), opened across the rules where they lie."""
    if not found:
        return ink
    height, width = ink.shape
    rows, columns = np.mgrid[:height, :width]
    cleaned = ink
    for thickness in sorted({rule.thickness for rule in found}):
        opened = grey_opening(ink, size=(thickness + 3, 1), mode="nearest")
        for rule in (each for each in found if each.thickness == thickness):
            distance = np.abs(rows - rule.offset - rule.slope * columns)
            cleaned = np.where(distance <= thickness / 2 + 2, np.minimum(cleaned, opened), cleaned)
    return cleaned


@dataclass(frozen=True)
class Box:
    """A box around a drawing: its lines, and what they enclose, as masks (H, W).

    `printed` is true if its lines are finer or fainter than the strokes inside: then it is no part
    of the character.
    """

    lines: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    printed: bool


def box_around(mask: NDArray[np.bool_], ink: Grey) -> Box | None:
    """The straight-edged box around nearly everything else in `mask` (H, W), or None.

    `ink` (H, W) is the strength of the ink. What is inside does not touch the box.
    """
    labels, count = label(mask, np.ones((3, 3), int))
    if count < 2:
        return None
    for number, place in enumerate(find_objects(labels), 1):
        height, width = (part.stop - part.start for part in place)
        if min(height, width) < LEAST_BOX or max(height, width) > 3 * min(height, width):
            continue
        own = labels[place] == number
        sides = (own, own[::-1], own.T, own[:, ::-1].T)
        found = [_is_straight(side) for side in sides]
        if not all(found):
            continue
        enclosed = binary_fill_holes(own) & ~own
        content = np.zeros_like(mask)
        content[place] = enclosed & mask[place]
        outside = mask.sum() - own.sum() - content.sum()
        if content.sum() < 0.02 * own.sum() or outside > 0.3 * content.sum():
            continue
        tones = float(np.median(ink[place][own])), float(np.percentile(ink[content], 60))
        rows, columns = np.nonzero(content)
        apart = max(np.ptp(rows) / height, np.ptp(columns) / width) < FILLED
        fainter = tones[0] < FAINTER * tones[1]
        if not apart and not fainter:
            continue
        printed = fainter or mean_width(own) < FINER * mean_width(content)
        lines = np.zeros_like(mask)
        lines[place] = own
        return Box(lines, content, printed)
    return None


def _is_straight(own: NDArray[np.bool_]) -> bool:
    """Whether the upper side of a component (H, W) is a straight line over its whole width."""
    height, width = own.shape
    columns = np.arange(round(0.04 * width), round(0.96 * width))
    if not own[:, columns].any(0).all():
        return False
    first = own[:, columns].argmax(0)
    slope, offset = np.polyfit(columns, first, 1)
    straight = np.abs(first - slope * columns - offset) <= STRAIGHT * height + 1
    return bool(straight.mean() >= 0.95 and abs(slope) < MOST_TILTED)


def mean_width(ink: NDArray[np.bool_]) -> float:
    """The mean width of the strokes in `ink` (H, W), in pixels: twice its area over its outline."""
    framed = np.pad(ink, 1).astype(np.int8)
    outline = np.abs(np.diff(framed, axis=0)).sum() + np.abs(np.diff(framed, axis=1)).sum()
    return float(2 * ink.sum() / max(outline, 1))
