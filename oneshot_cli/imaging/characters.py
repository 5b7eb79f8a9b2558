"""The characters in a picture that shows several."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from skimage.measure import label, regionprops

from oneshot_cli.imaging.ink import Mask

SAME_COLUMN = 0.3
"""Parts above each other are one character if they share this much of the narrower one ..."""

ABOVE = 0.45
"""... and are at most this share of a character's height apart."""

TOUCHING = 0.08
"""Parts beside each other are one character if they are at most this share of its height apart."""

ACCENT = 0.35
"""Parts that are smaller than this share of a character's height belong to the nearest one."""


@dataclass
class _Group:
    """Components that are one character, and their bounding box in pixels."""

    members: list[int]
    top: int
    left: int
    bottom: int
    right: int

    @property
    def side(self) -> int:
        """The longer side."""
        return max(self.bottom - self.top, self.right - self.left)

    def apart(self, other: _Group) -> tuple[int, int]:
        """The gaps to another group, in rows and in columns; negative where they overlap."""
        rows = max(self.top, other.top) - min(self.bottom, other.bottom)
        columns = max(self.left, other.left) - min(self.right, other.right)
        return rows, columns

    def add(self, other: _Group) -> None:
        """Take the other group's members."""
        self.members += other.members
        self.top, self.left = min(self.top, other.top), min(self.left, other.left)
        self.bottom, self.right = max(self.bottom, other.bottom), max(self.right, other.right)


def characters(mask: Mask) -> list[Mask]:
    """The characters in `mask` (H, W), each a mask (H, W), line by line from left to right.

    Components are one character if they are above each other and close, or beside each other and
    nearly touch; accents and dots belong to the nearest one.
    """
    labels = label(mask, connectivity=2)
    groups = [_Group([part.label], *part.bbox) for part in regionprops(labels)]
    height = max(group.side for group in groups)
    merged = True
    while merged:
        merged = False
        for one in list(groups):
            other = next((each for each in groups if _together(one, each, height)), None)
            if other is not None:
                other.add(one)
                groups.remove(one)
                merged = True
    large = [group for group in groups if group.side >= ACCENT * height]
    for small in (group for group in groups if group.side < ACCENT * height):
        nearest = min(large, key=lambda group: max(0, *small.apart(group)))
        nearest.add(small)
    return [np.isin(labels, group.members) for group in _in_lines(large)]


def _together(one: _Group, other: _Group, height: int) -> bool:
    if one is other:
        return False
    rows, columns = one.apart(other)
    narrower = min(one.right - one.left, other.right - other.left)
    if -columns >= SAME_COLUMN * narrower and rows <= ABOVE * height:
        joined = max(one.bottom, other.bottom) - min(one.top, other.top)
        return joined <= 1.6 * height
    return max(rows, columns) <= TOUCHING * height


def _in_lines(groups: list[_Group]) -> list[_Group]:
    """The groups in reading order: lines from above, each from the left."""
    lines: list[list[_Group]] = []
    for group in sorted(groups, key=lambda each: each.top + each.bottom):
        middle = (group.top + group.bottom) / 2
        line = lines[-1] if lines else []
        if line and middle < max(each.bottom for each in line):
            line.append(group)
        else:
            lines.append([group])
    return [group for line in lines for group in sorted(line, key=lambda each: each.left)]
