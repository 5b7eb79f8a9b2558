"""Drawings as SVG: a path for each stroke of the pen, or for each outline of the ink."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

import numpy as np
from skimage.measure import find_contours, points_in_poly

from oneshot_cli.errors import OneshotError
from oneshot_cli.imaging.formats import SVG_NAMESPACE, About
from oneshot_cli.imaging.pen import SMALLEST_DOT, Points, Stroke, VectorDrawing
from oneshot_cli.imaging.rendering import Bytes

LEVEL = 127.5
"""Ink is where grey levels are below this."""

LEAST_AREA = 0.25
"""Outlines around a smaller area, in square pixels, are left out."""

INK = "ink"
"""The id of the group that holds the paths."""


def svg_of(grey: Bytes, *, paths: str | None = None, about: About | None = None) -> str:
    """A picture in grey levels (H, W), ink dark, as an SVG of its size, black on white.

    `paths` are its elements if they are known, see `pen_paths`; else its outlines are traced.
    Raises OneshotError for a picture in colour.
    """
    drawn = outlines(grey) if paths is None else paths
    height, width = grey.shape[:2]
    return document(width, height, [f'<g id="{INK}">', drawn, "</g>"], about)


def document(width: int, height: int, elements: Iterable[str], about: About | None) -> str:
    """An SVG of these elements on white."""
    metadata = [] if about is None else [f"<metadata>{escape(json.dumps(about))}</metadata>"]
    lines = [
        f'<svg xmlns="{SVG_NAMESPACE}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">',
        *metadata,
        '<rect width="100%" height="100%" fill="#fff"/>',
        *elements,
        "</svg>\n",
    ]
    return "\n".join(line for line in lines if line)


def outlines(grey: Bytes) -> str:
    """Paths around the ink of grey levels (H, W), one for each connected part with its holes.

    They run where the grey is halfway between ink and paper, between the centres of pixels. In an
    anti-aliased picture that is the edge of the ink. Raises OneshotError for a picture in colour.
    """
    if grey.ndim != 2:
        raise OneshotError("SVG has the outlines of ink, but this picture is in colour")
    paper = np.pad(grey.astype(np.float64), 1, constant_values=255)
    rings = [ring[:-1, ::-1] - 0.5 for ring in find_contours(paper, LEVEL)]
    rings = [ring for ring in rings if abs(_area(ring)) >= LEAST_AREA]
    outer = [ring for ring in rings if _area(ring) > 0]
    holes: list[list[Points]] = [[] for _ in outer]
    for ring in rings:
        if _area(ring) < 0:
            around = [i for i, o in enumerate(outer) if points_in_poly(ring[:1], o)[0]]
            if around:
                holes[min(around, key=lambda i: _area(outer[i]))].append(ring)
    return "\n".join(_filled([ring, *inside]) for ring, inside in zip(outer, holes, strict=True))


def _area(ring: Points) -> float:
    """The signed area of a ring (N, 2); `find_contours` goes around dark parts one way."""
    x, y = ring.T
    return float((np.roll(x, -1) * y - x * np.roll(y, -1)).sum() / 2)


def _filled(rings: Sequence[Points]) -> str:
    """A filled path around these rings, as a smooth curve: a quadratic spline along the points."""
    parts = []
    for ring in rings:
        middle = (ring + np.roll(ring, -1, axis=0)) / 2
        bends = np.roll(np.concatenate([ring, middle], 1), -1, axis=0)
        curve = "".join("Q" + " ".join(map(_number, bend)) for bend in bends)
        parts.append(f"M{_number(middle[0][0])} {_number(middle[0][1])}{curve}Z")
    return f'<path fill-rule="evenodd" d="{"".join(parts)}"/>'


def pen_paths(drawing: VectorDrawing, side: int, width: float) -> str:
    """Paths of a drawing on `side` x `side` pixels: strokes of a round pen, dots, filled areas.

    `width` is the pen's, as a share of the frame. Rendered, they give what `pen.drawn` gives.
    """
    strokes = [_stroke(stroke, side, width) for stroke in drawing.strokes]
    if drawing.areas:
        d = "".join(f"M{_points(area * side)}Z" for area in drawing.areas)
        strokes.append(f'<path fill-rule="evenodd" d="{d}"/>')
    return "\n".join(strokes)


def _stroke(stroke: Stroke, side: int, width: float) -> str:
    points = stroke.points * side
    if stroke.width is not None:
        (x, y), radius = points[0], max(stroke.width, SMALLEST_DOT * width) * side / 2
        return f'<circle cx="{_number(x)}" cy="{_number(y)}" r="{_number(radius)}"/>'
    if len(points) == 1:
        points = points.repeat(2, 0)  # a path of no length has round ends, too
    return (
        f'<path fill="none" stroke="#000" stroke-width="{_number(width * side)}" '
        f'stroke-linecap="round" stroke-linejoin="round" '
        f'd="M{_points(points)}{"Z" if stroke.closed else ""}"/>'
    )


def _points(points: Points) -> str:
    return "L".join(f"{_number(x)} {_number(y)}" for x, y in points)


def _number(value: float) -> str:
    return f"{round(float(value), 2):g}"


def paths_in(svg: str) -> tuple[int, str]:
    """The side of a square picture that `svg_of` wrote, and its paths.

    Raises OneshotError for any other SVG.
    """
    found = re.search(rf'<svg [^>]*width="(\d+)".*<g id="{INK}">\n(.*?)\n?</g>', svg, re.DOTALL)
    if found is None:
        raise OneshotError("not an SVG of oneshot")
    return int(found[1]), found[2]
