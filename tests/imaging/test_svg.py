"""SVG: what is rendered from it is the picture that it was made of."""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import resvg_py
import torch
from PIL import Image

from oneshot_cli.drawing.oneshot import load
from oneshot_cli.errors import OneshotError
from oneshot_cli.imaging.grid import Group, arranged
from oneshot_cli.imaging.pen import Stroke, VectorDrawing, drawn
from oneshot_cli.imaging.rendering import vectorized
from oneshot_cli.imaging.svg import outlines, paths_in, pen_paths, svg_of

EXEMPLARS = Path(__file__).parents[2] / "docs/exemplars"


def shown(svg: str) -> np.ndarray:
    """The grey levels (H, W) of an SVG, as resvg renders it."""
    with Image.open(BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg)))) as picture:
        return np.asarray(picture.convert("L")).astype(int)


@pytest.mark.parametrize("name", ["pen-photo.jpg", "font-umbrella.png"])
def test_an_svg_renders_back_to_the_picture(name: str) -> None:
    flagship = load()
    pictures = flagship.vary(EXEMPLARS / name, 2, size=112)
    for pen in (0.0, 0.05):
        greys = flagship.render(pictures, pen)
        strokes = [pen_paths(each, 112, pen) for each in vectorized(pictures, pen)] if pen else []
        for i, grey in enumerate(greys):
            made = shown(svg_of(grey, paths=strokes[i] if pen else None))
            assert np.abs(made - grey).mean() < 1, "of 255 grey levels"
            assert ((made < 128) != (grey < 128)).mean() < 0.005


def test_each_stroke_dot_and_area_is_an_element() -> None:
    line = np.array([[0.2, 0.2], [0.5, 0.3], [0.8, 0.2]])
    ring = 0.5 + 0.2 * np.array([[math.sin(a), math.cos(a)] for a in np.linspace(0, 6, 40)])
    dot = Stroke(np.array([[0.2, 0.8]]), width=0.1)
    square = np.array([[0.7, 0.7], [0.9, 0.7], [0.9, 0.9], [0.7, 0.9]])
    hole = 0.8 + (square - 0.8) / 2
    drawing = VectorDrawing((Stroke(line), Stroke(ring, closed=True), dot), (square, hole))
    paths = pen_paths(drawing, 100, 0.05)
    kinds = [text.split()[0] for text in paths.splitlines()]
    assert kinds == ["<path", "<path", "<circle", "<path"]
    grey = np.rint(255 * (1 - drawn(drawing, 100, 0.05))).astype(np.uint8)
    assert np.abs(shown(svg_of(grey, paths=paths)) - grey).mean() < 1


def test_each_connected_part_is_a_path_with_its_holes() -> None:
    grey = np.full((60, 60), 255, np.uint8)
    grey[5:30, 5:30] = 0
    grey[10:25, 10:25] = 255
    grey[15:20, 15:20] = 0  # an island in the hole
    grey[40:50, 40:60] = 0  # at the edge of the picture
    paths = outlines(grey).splitlines()
    assert sorted(path.count("M") for path in paths) == [1, 1, 2]
    made = shown(svg_of(grey))
    assert ((made < 128) != (grey < 128)).sum() <= 12, "corners are round, by less than a pixel"


def test_an_empty_picture_is_white() -> None:
    assert (shown(svg_of(np.full((28, 28), 255, np.uint8))) == 255).all()
    nothing = torch.full((1, 1, 60, 60), 0.01)
    (drawing,) = vectorized(nothing, 0.05)
    assert pen_paths(drawing, 60, 0.05) == ""


def test_a_sheet_as_svg_has_the_pictures_where_the_png_has_them() -> None:
    tiles = [np.full((28, 28), 255, np.uint8) for _ in range(3)]
    for i, tile in enumerate(tiles):
        tile[5:9, 5 : 12 + 4 * i] = 0
    sheet = arranged([Group("<a & b>", tiles, tiles[0], ["1", "2", "3"])])
    svg, grey = sheet.svg({"seed": 3}), np.asarray(sheet.picture().convert("L"))
    unlabelled = np.ones_like(grey, bool)
    for label in sheet.labels:
        unlabelled[label.y : label.y + 20, label.x : label.x + 100] = False
    made = shown(svg)
    assert made.shape == grey.shape
    assert (((made < 100) != (grey < 100)) & unlabelled).mean() < 0.003
    texts = [text.text for text in ElementTree.fromstring(svg).iter() if text.tag.endswith("}text")]
    assert texts == ["<a & b>", "1", "2", "3"]


def test_the_paths_of_an_svg_are_read_back() -> None:
    grey = np.full((40, 40), 255, np.uint8)
    grey[10:20, 10:30] = 0
    svg = svg_of(grey, about={"exemplar": "a<b>.png"})
    side, paths = paths_in(svg)
    assert side == 40
    assert svg_of(grey, paths=paths, about={"exemplar": "a<b>.png"}) == svg
    with pytest.raises(OneshotError, match="not an SVG of oneshot"):
        paths_in("<svg/>")


def test_colour_is_refused() -> None:
    with pytest.raises(OneshotError, match="in colour"):
        svg_of(np.zeros((8, 8, 3), np.uint8))
