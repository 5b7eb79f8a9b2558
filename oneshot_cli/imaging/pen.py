"""Vector drawings: strokes of a pen, dots and filled areas, and how they cover each pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Points = NDArray[np.float64]
Ink = NDArray[np.float32]

SMALLEST_DOT = 0.8
"""The least width of a dot, in widths of the pen."""

FINER = 4
"""Filled areas are drawn at this multiple of the resolution, then averaged."""


@dataclass(frozen=True)
class Stroke:
    """A line that a pen draws without being lifted.

    `points` (N, 2) are (x, y) in [0, 1] from the top left corner. A `closed` stroke continues from
    the last point to the first. A dot is a stroke of one point with its own `width`, as a share of
    the frame.
    """

    points: Points
    closed: bool = False
    width: float | None = None


@dataclass(frozen=True)
class VectorDrawing:
    """Strokes, and the outlines (N, 2) of filled `areas`, in [0, 1].

    An outline inside another is a hole.
    """

    strokes: tuple[Stroke, ...]
    areas: tuple[Points, ...] = ()


def drawn(drawing: VectorDrawing, side: int, width: float) -> Ink:
    """The share of each pixel that is inked, (side, side) in [0, 1].

    The pen is round and `width` wide, as a share of the frame.
    """
    dots = [stroke for stroke in drawing.strokes if stroke.width is not None]
    ink = _covered([stroke for stroke in drawing.strokes if stroke.width is None], side, width)
    for dot in dots:
        ink = np.maximum(ink, _covered([dot], side, max(dot.width or 0, SMALLEST_DOT * width)))
    return np.maximum(ink, _filled(drawing.areas, side)) if drawing.areas else ink


def _covered(strokes: Sequence[Stroke], side: int, width: float) -> Ink:
    """The share of each pixel that a round pen covers, (side, side) in [0, 1].

    The edge of the ink lies half the pen's width from the line. The share follows from the distance
    of the pixel's centre to that edge. Distances to segments are exact, and are computed for the
    pixels within reach of each segment.
    """
    if not strokes:
        return np.zeros((side, side), np.float32)
    ends = [_segments(stroke) for stroke in strokes]
    start, end = (np.concatenate(points) * side - 0.5 for points in zip(*ends, strict=True))
    step = (end - start).astype(np.float32)
    reach = math.ceil(width * side / 2 + float(np.hypot(*step.T).max()) / 2 + 1.5)
    middle = np.rint((start + end) / 2).clip(0, side - 1).astype(np.int64)
    ahead = (middle - start).astype(np.float32)
    offsets = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2), -1).reshape(-1, 2)
    wide = side + 2 * reach
    squared = np.full(wide * wide, np.inf, np.float32)
    window = (offsets[:, 1] + reach) * wide + offsets[:, 0] + reach
    steps = offsets.astype(np.float32)
    at_once = max(1, 2**20 // len(offsets))
    for i in range(0, len(start), at_once):
        rows = slice(i, i + at_once)
        x, y = (ahead[rows, axis, None] + steps[:, axis] for axis in (0, 1))
        dx, dy = (step[rows, axis, None] for axis in (0, 1))
        along = ((x * dx + y * dy) / np.maximum(dx * dx + dy * dy, 1e-12)).clip(0, 1)
        distance = (x - along * dx) ** 2 + (y - along * dy) ** 2
        index = (middle[rows, 1] * wide + middle[rows, 0])[:, None] + window
        np.minimum.at(squared, index.ravel(), distance.ravel())
    nearest = np.sqrt(squared).reshape(wide, wide)[reach:-reach, reach:-reach]
    return (np.float32(0.5 + width * side / 2) - nearest).clip(0, 1)


def _segments(stroke: Stroke) -> tuple[Points, Points]:
    """The start and the end points of a stroke's segments, (N, 2) each."""
    points = stroke.points
    if len(points) == 1:
        return points, points
    if stroke.closed:
        points = np.concatenate([points, points[:1]])
    return points[:-1], points[1:]


def _filled(areas: Sequence[Points], side: int) -> Ink:
    """The share of each pixel that the areas cover, (side, side) in [0, 1]."""
    inside = np.zeros((side * FINER, side * FINER), bool)
    for outline in areas:
        one = Image.new("1", inside.shape)
        corners = (outline * side * FINER - 0.5).ravel().tolist()
        ImageDraw.Draw(one).polygon(corners, fill=1)
        inside ^= np.asarray(one)
    return inside.reshape(side, FINER, side, FINER).mean((1, 3), dtype=np.float32)
