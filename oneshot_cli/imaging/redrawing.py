"""Redrawing a shape with the pen of the training data: centre lines, contours, distances."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from oneshot_cli.imaging.ink import Mask, components


def distance_to_paper(mask: Mask) -> NDArray[np.float32]:
    """For each pixel of `mask` (H, W) the Euclidean distance to the nearest pixel without ink.

    Exact, in two passes: down the columns, then over the rows' parabolas (cubic in the side, so
    for masks of a few hundred pixels). The outside of the picture counts as paper.
    """
    padded = np.pad(mask, 1)
    height, width = padded.shape
    vertical = np.where(padded, np.float32(height), np.float32(0))
    for y in range(1, height):
        vertical[y] = np.minimum(vertical[y], vertical[y - 1] + padded[y])
    for y in range(height - 2, -1, -1):
        vertical[y] = np.minimum(vertical[y], vertical[y + 1] + padded[y])
    across = np.arange(width, dtype=np.float32)
    offsets = (across[:, None] - across[None, :]) ** 2
    squared = vertical**2
    distance = np.stack([(row[None, :] + offsets).min(1) for row in squared])
    return np.sqrt(distance)[1:-1, 1:-1]


def thin(mask: Mask) -> Mask:
    """The centre lines of `mask` (H, W), one pixel wide and as connected: Guo & Hall (1989)."""
    image = np.pad(mask, 1)
    while True:
        before = image.sum()
        for first in (True, False):
            n, e, s, w = (_shift(image, *d) for d in ((-1, 0), (0, 1), (1, 0), (0, -1)))
            ne, se, sw, nw = (_shift(image, *d) for d in ((-1, 1), (1, 1), (1, -1), (-1, -1)))
            branches = _count(~n & (ne | e), ~e & (se | s), ~s & (sw | w), ~w & (nw | n))
            neighbours = np.minimum(
                _count(nw | n, ne | e, se | s, sw | w), _count(n | ne, e | se, s | sw, w | nw)
            )
            kept = (s | sw | ~nw) & w if first else (n | ne | ~se) & e
            image = image & ~((branches == 1) & (neighbours >= 2) & (neighbours <= 3) & ~kept)
        if image.sum() == before:
            return image[1:-1, 1:-1]


def ends(line: Mask) -> int:
    """How many pixels of a line one pixel wide (H, W) have a single neighbour."""
    image = np.pad(line, 1)
    around = [_shift(image, *d) for d in product((-1, 0, 1), repeat=2) if any(d)]
    return int((image & (_count(*around) == 1)).sum())


def _count(*conditions: Mask) -> NDArray[np.int8]:
    """How many of the conditions hold at each pixel."""
    return np.sum([c.astype(np.int8) for c in conditions], axis=0, dtype=np.int8)


def _shift(image: Mask, down: int, right: int) -> Mask:
    """The neighbour of every pixel at (down, right); nothing comes in from outside."""
    return np.roll(image, (-down, -right), (0, 1))


def lines(mask: Mask, fattest: float) -> Mask:
    """`mask` (H, W) as what a pen would draw: lines one pixel wide, and small blots.

    A part that is nowhere wider than `fattest` pixels is strokes: its centre lines; one that is
    about as long as wide is a dot, of which the middle stays for the pen to widen. Anything
    fatter is a filled shape. There is no stroke in a filled heart to follow, but it has a
    contour; only what is much thinner than its core (the stick of an umbrella) is drawn by its
    centre line.
    """
    depth = distance_to_paper(mask)
    centre = thin(mask)
    parts = components(mask)
    fat = depth > fattest / 2
    filled = np.isin(parts, np.unique(parts[fat])) & mask
    body = _opened(filled, depth, fattest / 6)
    deepest, length = np.zeros(parts.max() + 1), np.bincount(parts[centre])
    np.maximum.at(deepest, parts.ravel(), depth.ravel())
    length = np.pad(length, (0, len(deepest) - len(length)))
    dots = np.flatnonzero((length <= deepest) & (deepest <= fattest / 2))
    blots = np.isin(parts, dots) & (depth > 0.6 * deepest[parts])
    return (centre & ~body) | (body & (depth < 2)) | blots


def _opened(mask: Mask, depth: NDArray[np.float32], radius: float) -> Mask:
    """What of `mask` a disc of `radius` pixels inside it can reach."""
    core = mask & (depth > radius)
    return (distance_to_paper(~core) <= radius + 1) & mask if core.any() else core


def drawn_with(line: Mask, width: float) -> Mask:
    """`line` (H, W) drawn over with a round pen `width` pixels wide."""
    radius = width / 2
    reach = int(radius)
    padded = np.pad(line, reach)
    drawn = np.zeros_like(line)
    height, breadth = line.shape
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dy * dy + dx * dx <= radius * radius:
                drawn |= padded[reach + dy : reach + dy + height, reach + dx : reach + dx + breadth]
    return drawn
