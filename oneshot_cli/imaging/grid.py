"""Sheets of many drawings: a labelled contact sheet, and the layout of the paper's figure 9."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image, ImageDraw

from oneshot_cli.imaging.rendering import Bytes, cell_side, enlarged, font

GAP = 8
LABEL = 13
FRAME = (208, 64, 48)
PALE = (222, 222, 222)
TEXT = (96, 96, 96)
COLUMNS = 10


@dataclass(frozen=True)
class Group:
    """Pictures (H, W) or (H, W, 3) of one group, with a label for the group and one for each.

    `exemplar` is the picture that they are variations of, if there is one; it gets a frame. With
    `given` the pictures are exemplars themselves and get the same frame.
    """

    label: str
    pictures: Sequence[Bytes]
    exemplar: Bytes | None = None
    labels: Sequence[str] = field(default=())
    given: bool = False


def sheet(groups: Sequence[Group], columns: int = COLUMNS) -> Image.Image:
    """A sheet of all groups: each has its label, its exemplar at the left, its pictures in rows."""
    side = _side(groups)
    with_exemplars = any(group.exemplar is not None for group in groups)
    left = GAP + (side + 2 * GAP if with_exemplars else 0)
    columns = max(1, min(columns, max(len(group.pictures) for group in groups)))
    numbered = any(group.labels for group in groups)
    pitch = side + GAP + (LABEL + 2 if numbered else 0)
    heights = [
        (LABEL + GAP if group.label else 0) + max(1, -(-len(group.pictures) // columns)) * pitch
        for group in groups
    ]
    width = left + columns * (side + GAP)
    canvas = Image.new("RGB", (width, GAP + sum(heights) + GAP * (len(groups) - 1)), "white")
    pen = ImageDraw.Draw(canvas)
    top = GAP
    for group, height in zip(groups, heights, strict=True):
        at = top
        if group.label:
            text = _shortened(pen, group.label, width - 2 * GAP)
            pen.text((GAP, at), text, TEXT, font(LABEL))
            at += LABEL + GAP
        if group.exemplar is not None:
            _place(canvas, group.exemplar, GAP, at, side, FRAME)
        for i, picture in enumerate(group.pictures):
            row, column = divmod(i, columns)
            x, y = left + column * (side + GAP), at + row * pitch
            _place(canvas, picture, x, y, side, FRAME if group.given else PALE)
            if i < len(group.labels):
                text = _shortened(pen, group.labels[i], side, LABEL - 2)
                pen.text((x + 1, y + side + 1), text, TEXT, font(LABEL - 2))
        top += height + GAP
    return canvas


def paper(groups: Sequence[Group]) -> Image.Image:
    """The layout of Rezende et al. 2016, figure 9: exemplars in the first row, pictures below."""
    side = _side(groups)
    rows = max(len(group.pictures) for group in groups)
    rule = side + 3 * GAP
    size = (GAP + len(groups) * (side + GAP), rule + GAP + rows * (side + GAP))
    canvas = Image.new("RGB", size, "white")
    for column, group in enumerate(groups):
        x = GAP + column * (side + GAP)
        if group.exemplar is not None:
            _place(canvas, group.exemplar, x, GAP, side, FRAME)
        for row, picture in enumerate(group.pictures):
            _place(canvas, picture, x, rule + GAP + row * (side + GAP), side, PALE)
    ImageDraw.Draw(canvas).line((GAP, rule - GAP, size[0] - GAP, rule - GAP), FRAME, 2)
    return canvas


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two pictures side by side, aligned at the bottom, so that the cells of two sheets align."""
    height = max(left.height, right.height)
    both = Image.new("RGB", (left.width + 2 * GAP + right.width, height), "white")
    both.paste(left, (0, height - left.height))
    both.paste(right, (left.width + 2 * GAP, height - right.height))
    return both


def _side(groups: Sequence[Group]) -> int:
    return cell_side(max(p.shape[0] for group in groups for p in group.pictures))


def _place(
    canvas: Image.Image, grey: Bytes, x: int, y: int, side: int, frame: tuple[int, int, int]
) -> None:
    canvas.paste(enlarged(grey, side), (x, y))
    ImageDraw.Draw(canvas).rectangle((x - 1, y - 1, x + side, y + side), outline=frame)


def _shortened(pen: ImageDraw.ImageDraw, text: str, width: int, height: int = LABEL) -> str:
    """`text`, with its beginning replaced by dots if it is wider than `width` pixels."""
    if pen.textlength(text, font(height)) <= width:
        return text
    while text and pen.textlength("..." + text, font(height)) > width:
        text = text[1:]
    return "..." + text
