"""What the page may ask for: drawings as strokes, and how they are to be varied."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt

from oneshot_cli.drawing.oneshot import check
from oneshot_cli.errors import OneshotError, UsageError
from oneshot_cli.imaging.exemplar import Picture
from oneshot_cli.imaging.pen import Points
from oneshot_cli.imaging.reading import Grey
from oneshot_cli.ranges import MOST_SEED, is_number

MOST_LETTERS = 12
MOST_STROKES = 60
"""Strokes of one letter."""
MOST_POINTS = 2000
"""Points of one letter."""
MOST_BYTES = 40 * MOST_POINTS * MOST_LETTERS
"""Bytes of a request. A point has at most 40."""
BRUSHES = (0.01, 0.2)
"""The finest and the broadest brush, as shares of the pad."""

SIDE = 240
"""Letters are drawn on this many pixels for the model to read."""
MARGIN = 30
"""Pixels of paper on each side, so that ink at the pad's edge does not touch the picture's."""
FINER = 2
"""Ink is drawn at this multiple of that resolution, then averaged."""


@dataclass(frozen=True)
class Letter:
    """One drawing: `strokes` of points (N, 2), x and y in [0, 1], and the brush's `width`."""

    strokes: tuple[Points, ...]
    width: float

    def picture(self) -> Grey:
        """The drawing as grey levels (S, S), 0 for ink. Raises OneshotError without strokes."""
        if not self.strokes:
            raise OneshotError("nothing is drawn yet; draw a character on the pad")
        side = FINER * (SIDE + 2 * MARGIN)
        lines = Image.new("1", (side, side), 1)
        pen = ImageDraw.Draw(lines)
        for points in self.strokes:
            corners = (FINER * (points * SIDE + MARGIN)).ravel().tolist()
            pen.line(corners if len(points) > 1 else 2 * corners, fill=0)
        edge = FINER * self.width * SIDE / 2
        paper = np.clip(distance_transform_edt(np.asarray(lines)) - edge + 0.5, 0, 1)
        averaged = paper.reshape(side // FINER, FINER, -1, FINER).mean((1, 3), dtype=np.float32)
        return np.asarray(averaged)


@dataclass(frozen=True)
class Wanted:
    """A request: variations of one letter, or with `alphabet` new letters in the style of several.

    `spread` and `closeness` are those of `Oneshot.vary` and `Oneshot.alphabet`, which has no
    closeness.
    """

    letters: tuple[Letter, ...]
    alphabet: bool
    seed: int
    spread: float | None
    closeness: float | None

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Wanted:
        """The request in a JSON document. Raises UsageError for one that is not as it should be."""
        letters = _list(fields, "letters", MOST_LETTERS)
        alphabet = fields.get("mode") == "alphabet"
        if not alphabet and fields.get("mode") != "variations":
            raise UsageError("mode has to be 'variations' or 'alphabet'")
        if not alphabet and len(letters) > 1:
            raise UsageError("variations are drawn of one letter")
        seed = fields.get("seed", 0)
        if type(seed) is not int or not 0 <= seed <= MOST_SEED:
            raise UsageError(f"seed has to be a whole number from 0 to {MOST_SEED:,}")
        spread, closeness = _number(fields, "spread"), _number(fields, "closeness")
        check(spread=spread, closeness=closeness)
        return cls(tuple(_letter(each) for each in letters), alphabet, seed, spread, closeness)

    def pictures(self) -> list[Picture]:
        """Each letter as grey levels (S, S). Raises OneshotError if nothing is drawn."""
        return [letter.picture() for letter in self.letters or (Letter((), BRUSHES[0]),)]


def document(body: bytes) -> dict[str, Any]:
    """The JSON object in the body of a request. Raises UsageError if there is none."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise UsageError("the request has to be a JSON object")
    return fields


def _letter(given: Any) -> Letter:
    if not isinstance(given, dict):
        raise UsageError("a letter has to be an object with strokes and a width")
    strokes = tuple(_points(stroke) for stroke in _list(given, "strokes", MOST_STROKES))
    if sum(map(len, strokes)) > MOST_POINTS:
        raise UsageError(f"a letter has at most {MOST_POINTS:,} points")
    width = _number(given, "width")
    if width is None or not BRUSHES[0] <= width <= BRUSHES[1]:
        raise UsageError(f"width has to be from {BRUSHES[0]} to {BRUSHES[1]} of the pad")
    return Letter(strokes, width)


def _points(stroke: Any) -> Points:
    """A stroke of the request as points (N, 2)."""
    try:
        points = np.array(stroke, np.float64)
    except (ValueError, TypeError, OverflowError):
        points = np.empty(0)
    inside = points.ndim == 2 and points.shape[1] == 2 and len(points) > 0
    if not inside or not ((points >= 0) & (points <= 1)).all():
        raise UsageError("a stroke has to be a list of points [x, y], each from 0 to 1")
    return points


def _list(fields: dict[str, Any], name: str, most: int) -> list[Any]:
    value = fields.get(name)
    if not isinstance(value, list) or len(value) > most:
        raise UsageError(f"{name} has to be a list of at most {most}")
    return value


def _number(fields: dict[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if value is not None and not is_number(value):
        raise UsageError(f"{name} has to be a number")
    return value
