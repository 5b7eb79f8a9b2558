"""Glyphs: generated alphabets, a function of a seed. They need no download.

An alphabet is a style: where strokes start and end, their directions, how they bend. A character is
a few strokes in that style. A drawing imitates one person's hand: the same strokes, shifted,
slanted and bent, drawn with a pen of another width. Glyphs are good for a first run and for tests;
meaningful figures need Omniglot.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.fetch import Progress
from oneshot_cli.data.generated import SIZE, Bits, pack, packed
from oneshot_cli.data.splits import Selection

Array = NDArray[np.float64]

KNOTS = 9  # control points of a stroke
STEPS = 20  # points of the pen's path between two knots
STROKES = 4


@dataclass(frozen=True)
class Style:
    """The style that the characters of an alphabet share. The picture's width is 2.

    `anchors` (A, 2) are the points where strokes start and end. `directions` (D,) are the preferred
    directions of strokes in radians. `bend` is how far a stroke bulges, relative to its length.
    `strokes` (4,) is the distribution of the number of strokes, 1 to 4. The others are
    probabilities: that a stroke starts on an earlier one, has a corner, is a loop, is a dot.
    """

    anchors: Array
    directions: Array
    bend: float
    strokes: Array
    joined: float
    corner: float
    loop: float
    dot: float

    @classmethod
    def invent(cls, rng: np.random.Generator) -> Style:
        """A random style."""
        columns, rows = rng.integers(2, 4), rng.integers(2, 5)
        width, height = rng.uniform(0.4, 0.62), rng.uniform(0.45, 0.68)
        grid = np.stack(
            np.meshgrid(np.linspace(-width, width, columns), np.linspace(-height, height, rows)), -1
        )
        slant = rng.normal(0, 0.12)
        anchors = grid.reshape(-1, 2) @ np.array([[1, 0], [-slant, 1]])
        fan = rng.choice([np.pi / 2, np.pi / 3, np.pi / 4])
        return cls(
            anchors=anchors,
            directions=np.arange(0, 2 * np.pi, fan) + rng.choice([0.0, np.pi / 4, slant]),
            bend=float(rng.choice([0.0, rng.uniform(0.1, 0.3), rng.uniform(0.3, 0.55)])),
            strokes=rng.dirichlet([1.0, 3.5, 3.0, 1.5]),
            joined=rng.uniform(0.5, 0.95),
            corner=rng.uniform(0.1, 0.6),
            loop=float(rng.choice([0.0, rng.uniform(0.05, 0.3)])),
            dot=float(rng.choice([0.0, 0.0, rng.uniform(0.05, 0.25)])),
        )


def invent_character(style: Style, rng: np.random.Generator) -> Array:
    """The control points (strokes, KNOTS, 2) of a random character: x, then y, in [-1, 1]."""
    strokes: list[Array] = []
    for number in range(1 + rng.choice(STROKES, p=style.strokes)):
        kind = rng.random()
        if number and kind < style.dot:
            start = style.anchors[rng.integers(len(style.anchors))] + rng.normal(0, 0.1, 2)
            strokes.append(start + np.linspace(0, 0.06, KNOTS)[:, None])
        elif kind < style.dot + style.loop:
            strokes.append(_loop(style, rng))
        else:
            strokes.append(_line(style, strokes, rng))
    knots = np.stack(strokes)
    low, high = knots.min((0, 1)), knots.max((0, 1))
    # Centre the character and limit its size.
    span = max(high - low)
    return (knots - (low + high) / 2) * (np.clip(span, 1.0, 1.5) / max(span, 0.2))


def _line(style: Style, earlier: list[Array], rng: np.random.Generator) -> Array:
    """A stroke between anchors, or from a point of an earlier stroke, perhaps with corners."""
    if earlier and rng.random() < style.joined:
        point = earlier[rng.integers(len(earlier))][rng.choice([0, KNOTS // 2, KNOTS - 1])]
    else:
        point = style.anchors[rng.integers(len(style.anchors))]
    corners = int(rng.random() < style.corner) + int(rng.random() < style.corner / 3)
    ends = np.linspace(0, KNOTS - 1, corners + 2).round().astype(int)
    side = rng.choice([-1, 1])
    path = [point[None]]
    for knots in np.diff(ends):
        along = np.arange(1, knots + 1) / knots
        goal = _goal(style, point, np.concatenate([*earlier, *path]), rng)
        leg = goal - point
        bulge = side * style.bend * rng.uniform(0.5, 1.2) * np.array([-leg[1], leg[0]])
        path.append(point + along[:, None] * leg + (4 * along * (1 - along))[:, None] * bulge / 2)
        point = goal
    return np.concatenate(path)


def _goal(style: Style, point: Array, drawn: Array, rng: np.random.Generator) -> Array:
    """Another random anchor.

    Those in a preferred direction are likelier. Those nearby, and those along an existing stroke,
    are unlikely.
    """
    away = style.anchors - point
    distance = np.hypot(*away.T)
    angle = np.arctan2(away[:, 1], away[:, 0])
    fit = np.cos(angle[:, None] - style.directions).max(1)
    halfway = (style.anchors + point) / 2
    free = np.linalg.norm(halfway[:, None] - drawn, axis=-1).min(1) > 0.15
    weight = np.exp(12 * (fit - 1)) * (distance > 0.35) * (free + 1e-3) + 1e-6
    return style.anchors[rng.choice(len(weight), p=weight / weight.sum())]


def _loop(style: Style, rng: np.random.Generator) -> Array:
    """A closed or nearly closed oval around a point between two anchors."""
    centre = style.anchors[rng.choice(len(style.anchors), 2)].mean(0)
    turn = np.linspace(0, rng.uniform(1.6, 2.1) * np.pi, KNOTS) + rng.uniform(0, 2 * np.pi)
    radius = rng.uniform(0.18, 0.42) * np.array([rng.uniform(0.7, 1.2), 1.0])
    return centre + radius * np.stack([np.cos(turn), np.sin(turn)], -1)


def draw(
    knots: Array, count: int, rng: np.random.Generator, steps: int = STEPS
) -> tuple[Array, Array]:
    """Draw a character with control points `knots` (strokes, K, 2) `count` times.

    The pen's path has `steps` points between two control points. Returns the paths (count, points,
    2) in [-1, 1] and the radii of the pen (count,) in pixels.
    """
    strokes = len(knots)
    bends = np.cos(
        np.pi * np.arange(3)[:, None] * np.linspace(0, 1, knots.shape[1])
    )  # smooth, not shaky
    length = np.ptp(knots, axis=1).max(-1)[:, None, None]
    wobble = np.einsum("nsmc,mk->nskc", rng.normal(0, 1, (count, strokes, 3, 2)), bends)
    size = np.exp(rng.normal(0, 0.07, (count, strokes, 1, 1)))
    middle = knots.mean(1, keepdims=True)
    moved = middle + size * (knots - middle) + (0.01 + 0.02 * length) * wobble
    moved = moved + 0.01 * length * rng.normal(0, 1, moved.shape)
    angle, shear, *scales = rng.normal(0, [0.07, 0.1, 0.1, 0.1], (count, 4)).T
    cos, sin = np.cos(angle), np.sin(angle)
    sx, sy = np.exp(scales)
    maps = np.array([[sx * cos, sx * (shear * cos - sin)], [sy * sin, sy * (shear * sin + cos)]])
    moved = np.einsum("abn,nskb->nska", maps, moved) + rng.normal(0, 0.06, (count, 1, 1, 2))
    return _spline(moved, steps).reshape(count, -1, 2), rng.uniform(1.4, 2.1, count)


def _spline(knots: Array, steps: int) -> Array:
    """Catmull-Rom spline through knots (..., K, 2): (..., (K - 1) * steps, 2)."""
    between = knots.shape[-2] - 1
    padded = np.concatenate([knots[..., :1, :], knots, knots[..., -1:, :]], -2)
    before, here, there, after = (padded[..., i : i + between, None, :] for i in range(4))
    t = np.linspace(0, 1, steps)[:, None]
    points = (
        here
        + 0.5 * t * (there - before)
        + 0.5 * t**2 * (2 * before - 5 * here + 4 * there - after)
        + 0.5 * t**3 * (3 * here - before - 3 * there + after)
    )
    return points.reshape(*knots.shape[:-2], -1, 2)


def rasterize(paths: Array, radii: Array, size: int = SIZE) -> NDArray[np.uint8]:
    """Binary images (N, size, size): the pixels whose centres a round pen covers.

    `paths` (N, P, 2) are in [-1, 1], `radii` (N,) in pixels.
    """
    reach = int(np.ceil(radii.max() + 0.5))
    margin = 2 * reach  # a pen outside the picture then stays inside the array
    wide = size + 2 * margin
    images = np.zeros((len(paths), wide * wide), np.uint8)
    points = ((paths + 1) * (size / 2) + margin).astype(np.float32).clip(reach, wide - reach - 1)
    corner = points.astype(np.int32)
    place = corner[..., 1] * wide + corner[..., 0] + wide * wide * np.arange(len(paths))[:, None]
    offsets = range(-reach, reach + 1)
    gaps = {d: (corner + np.float32(d + 0.5) - points) ** 2 for d in offsets}
    limit = (radii * radii).astype(np.float32)[:, None]
    for dy in offsets:
        for dx in offsets:
            covered = gaps[dx][..., 0] + gaps[dy][..., 1] <= limit
            images.reshape(-1)[place[covered] + (dy * wide + dx)] = 1
    return images.reshape(-1, wide, wide)[:, margin : margin + size, margin : margin + size]


def load(
    data_dir: str | Path | None,
    selection: Selection,
    progress: Progress | None = None,
    *,
    alphabets: int = 20,
    characters: int = 20,
    drawings: int = 20,
    seed: int = 0,
) -> Drawings:
    """Generate `alphabets` x `characters` x `drawings` glyphs and keep those of `selection`.

    A character depends only on the seed and on the numbers of its alphabet and itself, so that
    more characters do not change the others. Raises OneshotError for numbers out of range.
    """
    everything = packed("glyphs", alphabet, alphabets, characters, drawings, seed, progress)
    return everything.drawings(selection)


@lru_cache(maxsize=64)
def alphabet(number: int, characters: int, drawings: int, seed: int) -> Bits:
    """The pictures of alphabet `number`, packed: (characters * drawings, bytes). Not to be changed.

    The last 64 are kept, since a command may load a data set in several parts or sizes.
    """
    style = Style.invent(np.random.default_rng([seed, number]))
    generators = (np.random.default_rng([seed, number, c]) for c in range(characters))
    return pack(rasterize(*draw(invent_character(style, rng), drawings, rng)) for rng in generators)
