"""Redrawing a shape with a pen of one width: centre lines, contours of filled shapes, dots."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import convolve, maximum
from skimage.morphology import isotropic_dilation
from skimage.morphology import thin as guo_hall

from oneshot_cli.imaging.ink import EIGHT, Mask, components, depth


def thinned(mask: Mask) -> Mask:
    """The centre lines of `mask` (H, W), one pixel wide, with its connectivity: Guo & Hall (1989).

    The mask is turned by 180 degrees and back, which exchanges the algorithm's two subiterations.
    The figures in docs/evaluation.md were measured in this order.
    """
    lines: Mask = guo_hall(mask[::-1, ::-1])[::-1, ::-1]
    return lines


def line_ends(line: Mask) -> int:
    """How many pixels of a line one pixel wide (H, W) have exactly one neighbour on it."""
    itself_and_neighbours = convolve(line.astype(np.uint8), EIGHT, mode="constant")
    return int((itself_and_neighbours[line] == 2).sum())


def pen_lines(mask: Mask, fattest: float) -> Mask:
    """The lines, one pixel wide, and small blots from which a pen redraws `mask` (H, W).

    A component that is nowhere wider than `fattest` pixels consists of strokes and becomes its
    centre lines. A component about as long as it is wide is a dot: its middle stays, and the pen
    widens it. Anything wider is a filled shape (a heart) and becomes its contour, except for parts
    much thinner than its core (the stick of an umbrella), which become centre lines.
    """
    deep = depth(mask)
    centre = thinned(mask)
    labels, count = components(mask)
    filled = np.isin(labels, np.unique(labels[deep > fattest / 2])) & mask
    core = filled & (deep > fattest / 6)
    body = isotropic_dilation(core, fattest / 6 + 1) & filled if core.any() else core
    deepest = np.asarray(maximum(deep, labels, np.arange(count + 1)))
    length = np.bincount(labels[centre], minlength=count + 1)
    dots = np.flatnonzero((length <= deepest) & (deepest <= fattest / 2))
    blots = np.isin(labels, dots) & (deep > 0.6 * deepest[labels])
    lines: Mask = (centre & ~body) | (body & (deep < 2)) | blots
    return lines


def drawn_with_pen(line: Mask, width: float) -> Mask:
    """`line` (H, W) drawn over with a round pen `width` pixels wide."""
    drawn: Mask = isotropic_dilation(line, width / 2) if line.any() else line
    return drawn
