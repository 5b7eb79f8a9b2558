"""Symbols: generated pictograms, a function of a seed. They need no download.

Omniglot has few or no circles with things in them, spirals, hearts or stars. A symbol is a few
strokes of such forms: a frame with things in it, rays or petals around a centre, one large form
with another beside it, or several forms. A drawing of it is another hand's, as in `glyphs`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from oneshot_cli import data
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.fetch import Progress
from oneshot_cli.data.generated import Bits, pack, packed
from oneshot_cli.data.glyphs import Array, draw, rasterize
from oneshot_cli.data.splits import Selection
from oneshot_cli.errors import OneshotError

KNOTS = 33  # control points of a stroke, enough for a spiral
STEPS = 5  # points of the pen's path between two knots
DRAWINGS = 8
"""Drawings of each symbol that is added to a training set."""
CHARACTERS = 20
"""Symbols in an alphabet."""
_STREAM = 77  # keeps the random numbers apart from those of `glyphs` with the same seed

Form = Callable[[np.random.Generator], Array]
"""A form's points (N, 2) in [-1, 1] or a little beyond, from random numbers."""


def _path(corners: Array, closed: bool = False) -> Array:
    """KNOTS points along straight lines between `corners` (N, 2), with one at each corner."""
    return _along(np.concatenate([corners, corners[:1]]) if closed else corners, through=True)


def _along(points: Array, *, through: bool = False) -> Array:
    """KNOTS points at even distances along `points` (N, 2).

    With `through` the nearest ones are moved to `points`, of which there have to be fewer.
    """
    length = np.r_[0, np.cumsum(np.hypot(*np.diff(points, axis=0).T))]
    at = np.linspace(0, length[-1], KNOTS)
    for corner in length[1:-1] if through else ():
        at[np.argmin(np.abs(at - corner))] = corner
    return np.stack([np.interp(at, length, axis) for axis in points.T], -1)


def _around(angles: Array, radii: Array | float = 1.0) -> Array:
    """Points (N, 2) at these angles and radii."""
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], -1)


def ring(rng: np.random.Generator) -> Array:
    """A circle or an oval, not always quite closed."""
    turn = np.linspace(0, 2 * np.pi * rng.uniform(0.97, 1.03), KNOTS) + rng.uniform(0, 2 * np.pi)
    return _around(turn) * np.array([rng.uniform(0.75, 1.2), 1.0])


def arc(rng: np.random.Generator) -> Array:
    """A fifth to four fifths of a circle."""
    extent = rng.uniform(0.4, 1.6) * np.pi
    return _around(np.linspace(0, extent, KNOTS) + rng.uniform(0, 2 * np.pi))


def spiral(rng: np.random.Generator) -> Array:
    """One to three turns, either way."""
    turns, t = rng.uniform(1.3, 3.2), np.linspace(0, 1, 4 * KNOTS)
    way, start = rng.choice([-1, 1]), rng.uniform(0, 2 * np.pi)
    return _along(_around(way * 2 * np.pi * turns * t + start, 0.06 + 0.94 * t))


def polygon(rng: np.random.Generator) -> Array:
    """Three to six corners, nearly regular."""
    corners = rng.integers(3, 7)
    angles = rng.uniform(0, 2 * np.pi) + np.arange(corners) / corners * 2 * np.pi
    angles = angles + rng.normal(0, 0.12, corners)
    return _path(_around(angles, rng.uniform(0.75, 1.1, corners)), closed=True)


def rectangle(rng: np.random.Generator) -> Array:
    """Upright."""
    w, h = rng.uniform(0.5, 1, 2)
    return _path(np.array([(-w, -h), (w, -h), (w, h), (-w, h)]), closed=True)


def star(rng: np.random.Generator) -> Array:
    """Four to six points."""
    points = rng.integers(4, 7)
    angles = np.arange(2 * points) / (2 * points) * 2 * np.pi - np.pi / 2
    radii = np.where(np.arange(2 * points) % 2, rng.uniform(0.35, 0.55), 1.0)
    return _path(_around(angles, radii), closed=True)


def heart(rng: np.random.Generator) -> Array:
    """A heart; only the hand that draws it differs."""
    t = np.linspace(0, 2 * np.pi, KNOTS)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([16 * np.sin(t) ** 3 / 17, -y / 17], -1)


def zigzag(rng: np.random.Generator) -> Array:
    """Two to five legs."""
    corners = rng.integers(3, 7)
    heights = np.where(np.arange(corners) % 2, 1, -1) * rng.uniform(0.2, 0.6)
    return _path(np.stack([np.linspace(-1, 1, corners), heights], -1))


def wave(rng: np.random.Generator) -> Array:
    """One to three half periods of a sine to the left and to the right."""
    x, height = np.linspace(-1, 1, KNOTS), rng.uniform(0.15, 0.45)
    return np.stack([x, height * np.sin(x * np.pi * rng.uniform(1, 3) + rng.uniform(0, 6))], -1)


def line(rng: np.random.Generator) -> Array:
    """A straight line in any direction."""
    angle = rng.uniform(0, np.pi)
    return np.linspace(-1, 1, KNOTS)[:, None] * np.array([np.cos(angle), np.sin(angle)])


def dot(rng: np.random.Generator) -> Array:
    """A short dash; it is not scaled."""
    return np.linspace(0, 0.08, KNOTS)[:, None] * np.ones(2)


def eight(rng: np.random.Generator) -> Array:
    """Upright or lying."""
    t = np.linspace(0, 2 * np.pi, KNOTS)
    points = np.stack([0.6 * np.sin(2 * t), np.cos(t)], -1)
    return points if rng.random() < 0.5 else points[:, ::-1]


def drop(rng: np.random.Generator) -> Array:
    """A drop with its point above."""
    t = np.linspace(0, 2 * np.pi, KNOTS)
    return np.stack([np.sin(t) * np.sin(t / 2) ** 1.5, -np.cos(t)], -1)


OPEN: tuple[Form, ...] = (arc, line, zigzag, wave, spiral)
CLOSED: tuple[Form, ...] = (ring, ring, polygon, rectangle, star, heart, drop, eight)
INSIDE: tuple[Form, ...] = (dot, dot, line, arc, ring, ring, wave)
LARGE: tuple[Form, ...] = (*OPEN, spiral, spiral, eight, heart, star, drop)


def invent_symbol(rng: np.random.Generator) -> Array:
    """The control points (strokes, KNOTS, 2) of a random symbol: x, then y, in [-1, 1]."""
    kind = rng.random()
    if kind < 0.45:
        strokes = _frame(rng)
    elif kind < 0.6:
        strokes = _flower(rng)
    elif kind < 0.8:
        strokes = [_turned(_one_of(LARGE, rng), rng, 0.25) * rng.uniform(0.5, 0.65)]
        if rng.random() < 0.5:
            beside = _turned(_one_of((*OPEN, *CLOSED, dot), rng), rng, 0.25)
            strokes.append(rng.uniform(-0.5, 0.5, 2) + rng.uniform(0.15, 0.35) * beside)
    else:
        strokes = []
        for _ in range(rng.integers(2, 5)):
            form = _turned(_one_of((*OPEN, *CLOSED), rng), rng, 0.5)
            strokes.append(rng.uniform(-0.4, 0.4, 2) + rng.uniform(0.15, 0.45) * form)
    return np.stack(strokes)


def _frame(rng: np.random.Generator) -> list[Array]:
    """A closed form with up to three things in it, and sometimes one or two lines out of it."""
    form = _turned(_one_of(CLOSED, rng), rng, 0.25)
    strokes = [rng.normal(0, 0.04, 2) + rng.uniform(0.5, 0.68) * form]
    for _ in range(rng.integers(0, 4)):
        chosen = INSIDE[int(rng.integers(len(INSIDE)))]
        scale = rng.uniform(0.08, 0.28)
        form = _turned(chosen(rng), rng, 1.0)
        strokes.append(rng.uniform(-0.3, 0.3, 2) + (1.0 if chosen is dot else scale) * form)
    if rng.random() < 0.4:
        for _ in range(rng.integers(1, 3)):
            angle = rng.uniform(0, 2 * np.pi)
            away = np.linspace(0.55, rng.uniform(0.7, 0.9), KNOTS)[:, None]
            strokes.append(away * np.array([np.cos(angle), np.sin(angle)]))
    return strokes


def _flower(rng: np.random.Generator) -> list[Array]:
    """A ring with four to eight rays or petals around it."""
    count = rng.integers(4, 9)
    first, radius = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.3)
    strokes = [radius * ring(rng)]
    petals = rng.random() < 0.4
    for angle in first + 2 * np.pi * np.arange(count) / count:
        away = np.array([np.cos(angle), np.sin(angle)])
        if petals:
            strokes.append(away * (radius + 0.2) + 0.19 * ring(rng))
        else:
            reach = np.linspace(radius + 0.08, rng.uniform(0.5, 0.65), KNOTS)
            strokes.append(reach[:, None] * away)
    return strokes


def _one_of(forms: Sequence[Form], rng: np.random.Generator) -> Array:
    return forms[int(rng.integers(len(forms)))](rng)


def _turned(points: Array, rng: np.random.Generator, spread: float) -> Array:
    """Turned by an angle with this standard deviation, and sometimes by a quarter or a half."""
    angle = rng.normal(0, spread) + rng.choice([0, 0, 0, np.pi / 2, np.pi])
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, -sin], [sin, cos]])


def load(
    data_dir: str | Path | None,
    selection: Selection,
    progress: Progress | None = None,
    *,
    alphabets: int = 50,
    characters: int = CHARACTERS,
    drawings: int = DRAWINGS,
    seed: int = 0,
) -> Drawings:
    """Generate `alphabets` x `characters` x `drawings` symbols and keep those of `selection`.

    A symbol depends only on the seed and on its number, so that more alphabets do not change the
    others. Raises OneshotError for numbers out of range.
    """
    everything = packed("symbols", alphabet, alphabets, characters, drawings, seed, progress)
    return everything.drawings(selection)


@lru_cache(maxsize=64)
def alphabet(number: int, characters: int, drawings: int, seed: int) -> Bits:
    """The pictures of alphabet `number`, packed: (characters * drawings, bytes). Not to be changed.

    The last 64 are kept, since training loads them at several sizes.
    """
    numbers = range(number * characters, (number + 1) * characters)
    generators = (np.random.default_rng([seed, _STREAM, each]) for each in numbers)
    return pack(rasterize(*draw(invent_symbol(rng), drawings, rng, STEPS)) for rng in generators)


def first(count: int, size: int, resample: str = "area") -> Drawings:
    """The first `count` symbols of seed 0, DRAWINGS of each, at `size` x `size`."""
    everything = data.load(
        "symbols", size=size, resample=resample, alphabets=-(-count // CHARACTERS)
    )
    return everything.subset(torch.arange(len(everything.characters)) < count)


def added(drawings: Drawings, symbols: Drawings) -> Drawings:
    """`drawings`, and after them `symbols` of the same size, as characters of further alphabets.

    Raises OneshotError if the drawings are not binary ink.
    """
    if drawings.levels != 2 or drawings.channels != 1:
        raise OneshotError("symbols can be added to drawings of binary ink alone")
    return replace(
        drawings,
        images=torch.cat([drawings.images, symbols.images]),
        character=torch.cat([drawings.character, symbols.character + len(drawings.characters)]),
        alphabet=torch.cat([drawings.alphabet, symbols.alphabet + len(drawings.alphabets)]),
        characters=drawings.characters + symbols.characters,
        alphabets=drawings.alphabets + symbols.alphabets,
    )
