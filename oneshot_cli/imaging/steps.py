"""What the reader made of a picture, step by step: what `--show-input` writes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from oneshot_cli.imaging.exemplar import (
    Drawing,
    Picture,
    Reading,
    at_size,
    found_ink,
    omniglot_drawing,
    to_levels,
)
from oneshot_cli.imaging.reading import Levels, luminance

SIDE = 208
"""The height and width of a panel in pixels."""

GAP = 12
"""Pixels around panels."""

CAPTION = 24
"""The height of a caption in pixels."""


def reading_steps(picture: Picture, read: Drawing, size: int, reading: Reading) -> Image.Image:
    """Panels in a row: the picture, its sheet where one was cut out, its ink, and the drawing.

    The last one is the exemplar as the model reads it, `size` x `size`, from the drawing `read`.
    """
    levels = to_levels(picture, reading.frame)
    panels = [("picture", _fitted(_colours(levels)))]
    if reading.part is not None or omniglot_drawing(luminance(levels), size) is None:
        found = found_ink(levels, reading.box)
        if found.levels.shape != levels.shape:
            panels.append(("sheet", _fitted(_colours(found.levels))))
        panels.append(("ink", _fitted(Image.fromarray(np.uint8(255 * (1 - found.ink))))))
        panels.append(("drawing", _fitted(Image.fromarray(~read.shown))))
    ink = Image.fromarray(np.uint8(255 * (1 - at_size(read.mask, size).numpy())))
    panels.append((f"read at {size} x {size}", ink.resize((SIDE, SIDE), Image.Resampling.BOX)))
    return _in_a_row(panels)


def _colours(levels: Levels) -> Image.Image:
    return Image.fromarray(np.uint8(255 * np.broadcast_to(levels, (*levels.shape[:2], 3))))


def _fitted(picture: Image.Image) -> Image.Image:
    """The picture, as large as fits into a panel."""
    scale = SIDE / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST
    return picture.convert("RGB").resize((width, height), method)


def _in_a_row(panels: list[tuple[str, Image.Image]]) -> Image.Image:
    width = GAP + len(panels) * (SIDE + GAP)
    row = Image.new("RGB", (width, GAP + SIDE + CAPTION), "white")
    draw = ImageDraw.Draw(row)
    font = ImageFont.load_default(14)
    for i, (name, picture) in enumerate(panels):
        left = GAP + i * (SIDE + GAP)
        at = (left + (SIDE - picture.width) // 2, GAP + (SIDE - picture.height) // 2)
        row.paste(picture.convert("RGB"), at)
        draw.rectangle((left, GAP, left + SIDE - 1, GAP + SIDE - 1), outline=(200, 200, 200))
        draw.text((left + SIDE / 2, GAP + SIDE + 3), name, (90, 90, 90), font, anchor="ma")
    return row


def stacked(rows: Sequence[Image.Image]) -> Image.Image:
    """Pictures below each other, on white."""
    size = (max(row.width for row in rows), sum(row.height for row in rows))
    sheet = Image.new("RGB", size, "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    return sheet
