"""Sheets of many drawings: a labelled contact sheet, and the layout of the paper's figure 9."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from xml.sax.saxutils import escape

from PIL import Image, ImageDraw

from oneshot_cli.imaging.formats import About
from oneshot_cli.imaging.rendering import Bytes, cell_side, enlarged, font
from oneshot_cli.imaging.svg import document, outlines
from oneshot_cli.paths import printable

GAP = 8
LABEL = 13
FRAME = (208, 64, 48)
PALE = (222, 222, 222)
TEXT = (96, 96, 96)
COLUMNS = 10

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Group:
    """Pictures (H, W) or (H, W, 3) of one group, with a label for the group and one for each.

    `exemplar` is the picture that they are variations of, if there is one; it gets a frame. With
    `given` the pictures are exemplars themselves and get the same frame. `paths` are the elements
    of each picture in an SVG, see `imaging.svg`; without them its outlines are traced.
    """

    label: str
    pictures: Sequence[Bytes]
    exemplar: Bytes | None = None
    labels: Sequence[str] = field(default=())
    given: bool = False
    paths: Sequence[str] = field(default=())


@dataclass(frozen=True)
class Cell:
    """A picture on a sheet: its left upper corner, the colour of its frame, its `Group.paths`."""

    x: int
    y: int
    picture: Bytes
    frame: Colour
    paths: str | None = None


@dataclass(frozen=True)
class Label:
    """A line of text on a sheet: its left upper corner, and its height in pixels."""

    x: int
    y: int
    text: str
    height: int = LABEL


@dataclass(frozen=True)
class Sheet:
    """What stands where on a sheet, in pixels. Cells are `side` pixels wide and high.

    `rule` is the y of a line across the sheet, if there is one.
    """

    width: int
    height: int
    side: int
    cells: tuple[Cell, ...]
    labels: tuple[Label, ...] = ()
    rule: int | None = None

    def picture(self) -> Image.Image:
        """The sheet as a picture in RGB."""
        canvas = Image.new("RGB", (self.width, self.height), "white")
        pen = ImageDraw.Draw(canvas)
        for cell in self.cells:
            x, y = cell.x, cell.y
            canvas.paste(enlarged(cell.picture, self.side), (x, y))
            pen.rectangle((x - 1, y - 1, x + self.side, y + self.side), outline=cell.frame)
        for label in self.labels:
            pen.text((label.x, label.y), label.text, TEXT, font(label.height))
        if self.rule is not None:
            pen.line((GAP, self.rule, self.width - GAP, self.rule), FRAME, 2)
        return canvas

    def svg(self, about: About | None = None) -> str:
        """The sheet as an SVG. Raises OneshotError for pictures in colour."""
        elements = []
        for cell in self.cells:
            x, y, scale = cell.x, cell.y, self.side / cell.picture.shape[0]
            elements += [
                f'<rect x="{x - 0.5}" y="{y - 0.5}" width="{self.side + 1}" '
                f'height="{self.side + 1}" fill="none" stroke="{_hex(cell.frame)}"/>',
                f'<g transform="translate({x} {y}) scale({scale:g})">',
                outlines(cell.picture) if cell.paths is None else cell.paths,
                "</g>",
            ]
        for label in self.labels:
            elements.append(
                f'<text x="{label.x}" y="{label.y + label.height}" font-size="{label.height}" '
                f'font-family="sans-serif" fill="{_hex(TEXT)}">{escape(label.text)}</text>'
            )
        if self.rule is not None:
            d = f"M{GAP} {self.rule}H{self.width - GAP}"
            elements.append(f'<path stroke="{_hex(FRAME)}" stroke-width="2" d="{d}"/>')
        return document(self.width, self.height, elements, about)

    def moved(self, x: int, y: int) -> Sheet:
        """The sheet with everything on it moved, and as much wider and higher."""
        return replace(
            self,
            width=self.width + x,
            height=self.height + y,
            cells=tuple(replace(cell, x=cell.x + x, y=cell.y + y) for cell in self.cells),
            labels=tuple(replace(each, x=each.x + x, y=each.y + y) for each in self.labels),
        )


def arranged(groups: Sequence[Group], columns: int = COLUMNS) -> Sheet:
    """All groups below each other: each has its label, its exemplar at the left, its pictures."""
    side = _side(groups)
    with_exemplars = any(group.exemplar is not None for group in groups)
    left = GAP + (side + 2 * GAP if with_exemplars else 0)
    columns = max(1, min(columns, max(len(group.pictures) for group in groups)))
    numbered = any(group.labels for group in groups)
    pitch = side + GAP + (LABEL + 2 if numbered else 0)
    width = left + columns * (side + GAP)
    cells: list[Cell] = []
    labels: list[Label] = []
    top = GAP
    for group in groups:
        at = top
        if group.label:
            labels.append(Label(GAP, at, _shortened(group.label, width - 2 * GAP)))
            at += LABEL + GAP
        if group.exemplar is not None:
            cells.append(Cell(GAP, at, group.exemplar, FRAME))
        for i, picture in enumerate(group.pictures):
            row, column = divmod(i, columns)
            x, y = left + column * (side + GAP), at + row * pitch
            paths = group.paths[i] if group.paths else None
            cells.append(Cell(x, y, picture, FRAME if group.given else PALE, paths))
            if i < len(group.labels):
                text = _shortened(group.labels[i], side, LABEL - 2)
                labels.append(Label(x + 1, y + side + 1, text, LABEL - 2))
        top = at + max(1, -(-len(group.pictures) // columns)) * pitch + GAP
    return Sheet(width, top - GAP, side, tuple(cells), tuple(labels))


def arranged_as_paper(groups: Sequence[Group]) -> Sheet:
    """The layout of Rezende et al. 2016, figure 9: exemplars in the first row, pictures below."""
    side = _side(groups)
    rows = max(len(group.pictures) for group in groups)
    rule = side + 3 * GAP
    cells = []
    for column, group in enumerate(groups):
        x = GAP + column * (side + GAP)
        if group.exemplar is not None:
            cells.append(Cell(x, GAP, group.exemplar, FRAME))
        for row, picture in enumerate(group.pictures):
            y = rule + GAP + row * (side + GAP)
            cells.append(Cell(x, y, picture, PALE, group.paths[row] if group.paths else None))
    width, height = GAP + len(groups) * (side + GAP), rule + GAP + rows * (side + GAP)
    return Sheet(width, height, side, tuple(cells), rule=rule - GAP)


def beside(left: Sheet, right: Sheet) -> Sheet:
    """Two sheets of equal cells side by side, aligned at the bottom, so that their cells align."""
    height = max(left.height, right.height)
    left = left.moved(0, height - left.height)
    right = right.moved(left.width + 2 * GAP, height - right.height)
    return Sheet(
        right.width, height, left.side, left.cells + right.cells, left.labels + right.labels
    )


def sheet(groups: Sequence[Group], columns: int = COLUMNS) -> Image.Image:
    """`arranged` as a picture."""
    return arranged(groups, columns).picture()


def paper(groups: Sequence[Group]) -> Image.Image:
    """`arranged_as_paper` as a picture."""
    return arranged_as_paper(groups).picture()


def _side(groups: Sequence[Group]) -> int:
    return cell_side(max(p.shape[0] for group in groups for p in group.pictures))


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _shortened(text: str, width: int, height: int = LABEL) -> str:
    """`text` in one line, its beginning replaced by dots if it is wider than `width` pixels."""
    text = printable(text)
    if font(height).getlength(text) <= width:
        return text
    while text and font(height).getlength("..." + text) > width:
        text = text[1:]
    return "..." + text
