"""From a skeleton to the strokes of a pen: a graph of centre lines, simplified.

The skeleton of a drawing has known artefacts: short spurs at bumps and corners; a crossing X split
into two junctions Y with a bridge between them; a dent in a stroke where another one ends; hooks at
the ends of strokes. Each is removed here. Lengths are measured in units of the local half-width of
the strokes. Points are (x, y) in pixels; the centre of the first pixel is (0, 0).

No dependency of this package turns a skeleton into a graph (skan does, but needs numba).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from oneshot_cli.imaging.ink import Mask
from oneshot_cli.imaging.pen import Points

SPUR = 0.3
"""A spur is a branch that extends beyond its junction's disc by less than this, in half-widths."""
BRIDGE = 0.8
"""Junctions closer than this, in units of the sum of their half-widths, are one crossing."""
LONG_BRIDGE = 2.5
"""The same if both pairs of branches continue straight across the bridge."""
STRAIGHT = math.radians(50)
"""Two branches are one stroke if it turns by less than this at their junction."""
CROSSING = math.radians(30)
"""The same for each of the two strokes across a long bridge."""
HOLE = 1.5
"""A second branch between two junctions of one crossing is removed if it is shorter than this, in
half-widths of the usual stroke: it runs around a hole of a few pixels in the crossing."""
CUT = 0.7
"""The length that is cut off each branch next to a junction, in half-widths of the junction."""
HOOK = 0.15
"""The length that is cut off each free end, in half-widths."""
TANGENT = 2.5
"""The direction of a branch is measured over this length beyond the cut, in half-widths."""


@dataclass(frozen=True)
class Path:
    """The centre line (N, 2) of one stroke.

    `free` says whether its first and its last point are free ends, which may be extended to the end
    of the ink; other ends are junctions.
    """

    points: Points
    closed: bool
    free: tuple[bool, bool]


@dataclass
class Edge:
    """A branch of the graph: its two nodes `ends`, and `points` (N, 2) from one to the other."""

    ends: list[int]
    points: Points

    @property
    def length(self) -> float:
        """The length of the branch, in pixels."""
        return float(arc_length(self.points)[-1])

    def leaving(self, side: int) -> Points:
        """The points in the order from end `side`, 0 or 1, to the other end."""
        return self.points if side == 0 else self.points[::-1]


End = tuple[int, int]
"""An edge's number, and which of its two ends."""


class Graph:
    """A graph of centre lines, simplified in place.

    `radius` (H, W) is the half-width of the ink at each pixel, `nib` the usual half-width.
    """

    def __init__(self, edges: Sequence[Edge], radius: NDArray[np.float32], nib: float) -> None:
        self.edges = dict(enumerate(edges))
        self.places: dict[int, Points] = {}
        self.nib = nib
        self._radius = radius
        for edge in edges:
            self.places[edge.ends[0]] = edge.points[0]
            self.places[edge.ends[1]] = edge.points[-1]

    def ends_at_nodes(self) -> dict[int, list[End]]:
        """The edge ends at each node."""
        meeting: dict[int, list[End]] = defaultdict(list)
        for number, edge in self.edges.items():
            for side in (0, 1):
                meeting[edge.ends[side]].append((number, side))
        return meeting

    def radius(self, point: Points) -> float:
        """Half the width of the stroke at a point (x, y), in pixels."""
        x, y = np.rint(point).astype(int)
        return float(self._radius[y, x])

    def prune(self) -> None:
        """Remove spurs, the shortest first. Two branches left at a node become one."""
        while True:
            meeting, worst = self.ends_at_nodes(), (SPUR, -1)
            for number, edge in self.edges.items():
                degrees = [len(meeting[node]) for node in edge.ends]
                if sorted(degrees)[0] != 1 or sorted(degrees)[1] < 3:
                    continue
                points = edge.leaving(1 if degrees[0] == 1 else 0)
                reach = math.dist(points[0], points[-1]) + self.radius(points[-1])
                root = self.radius(points[0])
                worst = min(worst, ((reach - root) / max(root, self.nib), number))
            if worst[1] < 0:
                return
            nodes = self.edges.pop(worst[1]).ends
            for node in nodes:
                self._fuse(node)

    def _fuse(self, node: int) -> None:
        """Join the two edges at `node` to one, if there are exactly two."""
        ends = self.ends_at_nodes()[node]
        if len(ends) != 2 or ends[0][0] == ends[1][0]:
            return
        (a, side_a), (b, side_b) = ends
        first, second = self.edges.pop(a), self.edges.pop(b)
        points = np.concatenate([first.leaving(1 - side_a), second.leaving(side_b)[1:]])
        self.edges[a] = Edge([first.ends[1 - side_a], second.ends[1 - side_b]], points)

    def merge_crossings(self) -> None:
        """Contract the bridges between the junctions of one crossing, shortest first."""
        while True:
            meeting, found = self.ends_at_nodes(), (math.inf, -1)
            for number, edge in self.edges.items():
                u, v = edge.ends
                if u == v or min(len(meeting[u]), len(meeting[v])) < 3:
                    continue
                relative = edge.length / (self.radius(self.places[u]) + self.radius(self.places[v]))
                near = relative < BRIDGE or (
                    relative < LONG_BRIDGE and self._crosses(number, meeting)
                )
                if near:
                    found = min(found, (relative, number))
            if found[1] < 0:
                return
            self._contract(found[1])

    def _crosses(self, bridge: int, meeting: dict[int, list[End]]) -> bool:
        """Whether two strokes continue straight across a bridge between two Y junctions."""
        u, v = (
            [end for end in meeting[node] if end[0] != bridge] for node in self.edges[bridge].ends
        )
        if len(u) != 2 or len(v) != 2:
            return False
        a, b = (self.direction(end) for end in u)
        c, d = (self.direction(end) for end in v)
        turns = [max(_turn(a, c), _turn(b, d)), max(_turn(a, d), _turn(b, c))]
        return min(turns) < CROSSING

    def _contract(self, bridge: int) -> None:
        edge = self.edges.pop(bridge)
        kept, gone = edge.ends
        for number, beside in list(self.edges.items()):
            if {kept, gone} == set(beside.ends) and beside.length < HOLE * self.nib:
                del self.edges[number]  # the other side of a hole of a few pixels
        middle = edge.points[len(edge.points) // 2]
        self.places[kept] = middle
        for number, side in [*self.ends_at_nodes()[gone], *self.ends_at_nodes()[kept]]:
            other = self.edges[number]
            other.ends[side] = kept
            points = other.leaving(side)
            # next to the old junction the branch bends into the bridge
            points = _trimmed(points, CUT * self.radius(points[0]), 0.0)
            points = np.concatenate([middle[None], points])
            other.points = points if side == 0 else points[::-1]

    def direction(self, end: End) -> Points:
        """The unit vector of a branch as it leaves its junction, beyond the junction's disc."""
        points = self.edges[end[0]].leaving(end[1])
        radius = max(self.radius(points[0]), self.nib)
        along = arc_length(points)
        stop = min(float(along[-1]), (CUT + TANGENT) * radius)
        # the far end of a short branch lies in the disc of another junction, where it bends
        start = min(max(CUT * radius, float(along[1])), 0.6 * stop)
        first, last = (_at(start, along, points), _at(stop, along, points))
        return _unit(last - first)

    def joined(self) -> Iterator[Path]:
        """The strokes. Branches that continue straight through a junction are one stroke."""
        onward: dict[End, End] = {}
        for ends in self.ends_at_nodes().values():
            if len(ends) > 1:
                onward |= self._pairs(ends)
        degree = {node: len(ends) for node, ends in self.ends_at_nodes().items()}
        todo = dict.fromkeys(self.edges)
        starts = [
            (number, side)
            for number in self.edges
            for side in (0, 1)
            if (number, side) not in onward
        ]
        for start in [*starts, *((number, 0) for number in self.edges)]:
            if start[0] in todo:
                yield self._follow(start, onward, todo, degree)

    def _pairs(self, ends: Sequence[End]) -> dict[End, End]:
        """The pairs of branches that continue each other at a junction, straightest first."""
        if len(ends) == 2:
            return {ends[0]: ends[1], ends[1]: ends[0]}
        directions = {end: self.direction(end) for end in ends}
        options = sorted(
            (_turn(directions[a], directions[b]), a, b)
            for i, a in enumerate(ends)
            for b in ends[i + 1 :]
        )
        pairs: dict[End, End] = {}
        for turn, a, b in options:
            if turn < STRAIGHT and a not in pairs and b not in pairs:
                pairs[a], pairs[b] = b, a
        return pairs

    def _follow(
        self, start: End, onward: dict[End, End], todo: dict[int, None], degree: dict[int, int]
    ) -> Path:
        """The stroke from `start`, along `onward`. Its edges are removed from `todo`."""
        pieces = []
        end, first_node = start, self.edges[start[0]].ends[start[1]]
        while True:
            number, side = end
            todo.pop(number)
            pieces.append((number, side))
            leaving = onward.get((number, 1 - side))
            if leaving is None or leaving[0] not in todo:
                break
            end = leaving
        last = self.edges[number].ends[1 - side]
        closed = leaving == start
        free = (
            not closed and degree[first_node] == 1,
            not closed and degree[last] == 1,
        )
        return Path(self._drawn(pieces, closed, free, degree), closed, free)

    def _drawn(
        self,
        pieces: Sequence[End],
        closed: bool,
        free: tuple[bool, bool],
        degree: dict[int, int],
    ) -> Points:
        """The points of a stroke: those of its branches outside the discs of junctions."""
        parts = []
        for i, (number, side) in enumerate(pieces):
            edge = self.edges[number]
            points = edge.leaving(side)
            cuts = []
            for which, node in enumerate((edge.ends[side], edge.ends[1 - side])):
                outer = (i == 0, i == len(pieces) - 1)[which] and not closed
                share = CUT if degree[node] > 2 else HOOK if outer and free[which] else 0.0
                cuts.append(share * self.radius(self.places[node]))
            trimmed = _trimmed(points, *cuts)
            if i == 0 and not closed and not free[0]:
                parts.append(self.places[edge.ends[side]][None])
            parts.append(trimmed)
            if i == len(pieces) - 1 and not closed and not free[1]:
                parts.append(self.places[edge.ends[1 - side]][None])
        return np.concatenate(parts)


def centre_paths(skeleton: Mask, radius: NDArray[np.float32], nib: float) -> list[Path]:
    """The strokes of a `skeleton` (H, W), lines one pixel wide.

    `radius` (H, W) is the half-width of the ink in pixels, `nib` the usual half-width. Isolated
    pixels are paths of one point.
    """
    edges, alone = traced(skeleton)
    graph = Graph(edges, radius, nib)
    graph.prune()
    graph.merge_crossings()
    graph.prune()
    return [*graph.joined(), *(Path(point[None], False, (True, True)) for point in alone)]


def traced(skeleton: Mask) -> tuple[list[Edge], list[Points]]:
    """The edges of the graph of a skeleton (H, W), and its isolated pixels (x, y).

    A pixel is linked to its horizontal and vertical neighbours, and to a diagonal one if no third
    pixel links both. Nodes are the pixels that do not have exactly two links. A ring has none, so
    one of its pixels becomes its node.
    """
    padded = np.pad(skeleton, 1)
    width = padded.shape[1]
    pixels = np.flatnonzero(padded)
    flat = padded.ravel()
    right, down, left, up = (flat[pixels + step] for step in (1, width, -1, -width))
    corners = (
        (1, right), (width, down), (-1, left), (-width, up),
        (width + 1, flat[pixels + width + 1] & ~(right | down)),
        (width - 1, flat[pixels + width - 1] & ~(left | down)),
        (-width - 1, flat[pixels - width - 1] & ~(left | up)),
        (-width + 1, flat[pixels - width + 1] & ~(right | up)),
    )  # fmt: skip
    linked = np.stack([there for _, there in corners], 1)
    rows, columns = np.nonzero(linked)
    neighbours = (pixels[rows] + np.array([step for step, _ in corners])[columns]).tolist()
    bounds = [0, *np.cumsum(linked.sum(1)).tolist()]
    runs = [neighbours[i:j] for i, j in pairwise(bounds)]
    links = dict(zip(pixels.tolist(), runs, strict=True))
    edges: list[Edge] = []
    used: set[tuple[int, int]] = set()

    def place(run: Sequence[int]) -> Points:
        index = np.array(run)
        return np.stack([index % width - 1, index // width - 1], 1).astype(np.float64)

    seen: set[int] = set()

    def trace(node: int, first: int) -> None:
        run = [node, first]
        while len(links[run[-1]]) == 2 and run[-1] != node:
            a, b = links[run[-1]]
            run.append(b if a == run[-2] else a)
        used.update(((run[0], run[1]), (run[-1], run[-2])))
        seen.update(run)
        edges.append(Edge([run[0], run[-1]], place(run)))

    nodes = [pixel for pixel, found in links.items() if len(found) != 2]
    for node in nodes:
        for first in links[node]:
            if (node, first) not in used:
                trace(node, first)
    for pixel in links:
        if pixel not in seen and links[pixel]:
            trace(pixel, links[pixel][0])
    alone = [place([pixel])[0] for pixel in nodes if not links[pixel]]
    return edges, alone


def arc_length(points: Points) -> Points:
    """The length of a polyline (N, 2) from its first point to each point, (N,)."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])


def _at(distance: float, along: Points, points: Points) -> Points:
    """The point at this arc length of a polyline, by linear interpolation."""
    return np.array([np.interp(distance, along, axis) for axis in points.T])


def _trimmed(points: Points, first: float, last: float) -> Points:
    """A polyline without its first `first` and last `last` pixels; at least its middle point."""
    along = arc_length(points)
    total = float(along[-1])
    scale = min(1.0, 0.8 * total / max(first + last, 1e-9))
    kept = points[(along >= scale * first) & (along <= total - scale * last)]
    return kept if len(kept) else points[len(points) // 2][None]


def _unit(vector: Points) -> Points:
    return vector / max(float(np.hypot(*vector)), 1e-9)


def _turn(a: Points, b: Points) -> float:
    """The angle by which a stroke turns whose two branches leave a junction in directions `a` and
    `b`: 0 if they are opposite."""
    return math.acos(min(1.0, max(-1.0, -float(a @ b))))
