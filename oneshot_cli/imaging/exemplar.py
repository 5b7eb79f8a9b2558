"""Any picture of a drawing as the centred ink image that the model was trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from oneshot_cli.errors import OneshotError, UsageError
from oneshot_cli.imaging.characters import characters
from oneshot_cli.imaging.ink import (
    BlankError,
    Mask,
    depth,
    drawing_only,
    ink_strength,
    with_faint_dots,
)
from oneshot_cli.imaging.reading import (
    Grey,
    Levels,
    array_to_levels,
    luminance,
    picture_to_levels,
    read_picture,
)
from oneshot_cli.imaging.redrawing import drawn_with_pen, pen_lines
from oneshot_cli.imaging.resampling import box_ink
from oneshot_cli.imaging.rules import FAINTER, box_around, mean_width
from oneshot_cli.imaging.sheet import on_sheet, sheet

Picture: TypeAlias = (
    "str | Path | bytes | BinaryIO | Image.Image | np.ndarray[Any, Any] | Tensor | Drawing"
)

BOXES = ("auto", "keep", "remove")
"""What may become of a box around a drawing."""

OMNIGLOT = 105
"""Omniglot's drawings are 105 x 105 pixels."""

FRAME = 210
"""Pictures are redrawn on a frame of this many pixels, then averaged down to the model's size."""

EXTENT = 0.65
"""The longer side of a drawing's bounding box in Omniglot, as a share of the frame (median)."""

PEN = 0.050
"""The pen's width, as a share of the frame's: redrawn, Omniglot keeps its mean ink and widths."""

FILLED = 0.33
"""What is wider than this share of the drawing's longer side is a filled shape, not a stroke."""


@dataclass(frozen=True)
class Reading:
    """How a picture is read, where it could be read in several ways.

    `frame` is the number of the frame of an animation or the page of a TIFF, from 1; None chooses
    (see `read_picture`). `box` says whether a box around the drawing is part of it: "keep",
    "remove", or "auto" (see `found_ink`). `part` is the number of one of several characters in the
    picture, from 1; None takes all as one drawing. Raises UsageError for another value.
    """

    frame: int | None = None
    box: str = "auto"
    part: int | None = None

    def __post_init__(self) -> None:
        if self.box not in BOXES:
            raise UsageError(f"box is {self.box!r}; it is one of {', '.join(BOXES)}")
        for name, value in (("frame", self.frame), ("part", self.part)):
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}, but they are numbered from 1")


AUTOMATIC = Reading()
"""A picture is read as its content suggests."""


def exemplar(picture: Picture, size: int, reading: Reading = AUTOMATIC) -> Tensor:
    """`picture` as float ink (size, size), 0 or 1, placed and drawn like the training data.

    `picture` is a file (its path, its bytes or the open file), a Pillow picture, or an array or
    tensor of levels: grey (H, W) or coloured (H, W, 3 or 4), floats in [0, 1] or bytes; a tensor
    may be (C, H, W). A `Drawing` was read before. Ink may be dark on light or light on dark.
    Omniglot drawings are only resampled as the data set is (`box_ink`). Raises OneshotError for an
    unreadable or blank picture, and for one whose ink vanishes at that size.
    """
    return at_size(drawing(picture, size, reading).mask, size)


@dataclass(frozen=True)
class Drawing:
    """The drawing in a picture, before it is resampled to the model's size.

    `shown` (S, S) is the ink of the picture, centred. `mask` (S, S) is the same ink redrawn with
    Omniglot's pen. `filled` is true if a part of it is a filled shape, of which the mask has the
    outline. `box` says what became of a box around the drawing: "removed", "kept", or "" for none.
    """

    mask: Mask
    shown: Mask
    filled: bool = False
    box: str = ""


def drawing(picture: Picture, size: int, reading: Reading = AUTOMATIC) -> Drawing:
    """The drawing in `picture`, for a model that reads `size` x `size`.

    An Omniglot drawing, also one resampled to `size`, is taken as it is; anything else is redrawn.
    Raises OneshotError as `exemplar` does.
    """
    if isinstance(picture, Drawing):
        return picture
    try:
        levels = to_levels(picture, reading.frame)
        found = None if reading.part else omniglot_drawing(luminance(levels), size)
        read = Drawing(found, found) if found is not None else redraw(levels, reading)
        if not at_size(read.mask, size).any():
            raise BlankError("no drawing found: its ink is smaller than what the model reads")
        return read
    except OneshotError as error:
        raise _named(error, picture) from None


def _named(error: OneshotError, picture: Picture) -> OneshotError:
    """The error, with the file that it is about."""
    if isinstance(picture, str | Path) and str(picture) not in str(error):
        return type(error)(f"{picture}: {error}")
    return error


def count_characters(picture: Picture, reading: Reading = AUTOMATIC) -> int:
    """How many characters a picture shows. Raises OneshotError as `exemplar` does."""
    try:
        return len(characters(found_ink(to_levels(picture, reading.frame), reading.box).mask))
    except OneshotError as error:
        raise _named(error, picture) from None


def plain_ink(picture: Picture) -> Mask | None:
    """The ink of a clean picture as it stands, in a square (S, S), or None for any other.

    A clean picture is a drawing on a screen, or a scan of nothing but a drawing. Its placement and
    its pen are kept. Raises OneshotError as `exemplar` does.
    """
    try:
        found = found_ink(to_levels(picture))
    except OneshotError as error:
        raise _named(error, picture) from None
    if not found.clean:
        return None
    ink = found.ink > 0.5
    height, width = ink.shape
    spare = [max(height, width) - side for side in (height, width)]
    return np.pad(ink, [(each // 2, each - each // 2) for each in spare])


def at_size(mask: Mask, size: int) -> Tensor:
    """A mask (S, S) resampled to (size, size) as the data set is: float ink, 0 or 1."""
    return box_ink(torch.from_numpy(mask.astype(np.uint8))[None], size)[0].float()


def to_levels(picture: Picture, frame: int | None = None) -> Levels:
    """The levels (H, W, C) of a picture in any form, longer side <= 800."""
    if isinstance(picture, Drawing):
        return np.where(picture.shown, 0.0, 1.0).astype(np.float32)[..., None]
    if isinstance(picture, Image.Image):
        shown = picture.tell()
        try:
            return picture_to_levels(picture, frame)
        finally:
            picture.seek(shown)
    if not isinstance(picture, np.ndarray | Tensor):
        return read_picture(picture, frame)
    values = np.asarray(picture.detach().cpu() if isinstance(picture, Tensor) else picture)
    values = values.squeeze()
    if isinstance(picture, Tensor) and values.ndim == 3 and len(values) in (3, 4):
        values = np.moveaxis(values, 0, -1)  # (C, H, W), as torchvision reads pictures
    channels = 1 if values.ndim == 2 else values.shape[-1] if values.ndim == 3 else 0
    if channels not in (1, 3, 4) or 0 in values.shape:
        raise OneshotError(
            "an exemplar has to be one picture, grey (H, W) or coloured (H, W, 3 or 4), "
            f"not {values.shape}"
        )
    scale = 255 if values.dtype == np.uint8 and values.max() > 1 else 1
    return array_to_levels(values / np.float32(scale))


def omniglot_drawing(grey: Grey, size: int) -> Mask | None:
    """The ink of a picture that looks like a drawing of Omniglot, else None.

    Such a picture is square, 105 or `size` pixels wide, and of two tones. It is mostly paper, and
    drawn with a fine pen.
    """
    side = grey.shape[0]
    tones = np.unique(grey)
    if grey.shape[1] != side or side not in (OMNIGLOT, size) or len(tones) != 2:
        return None
    ink = grey == tones[0]
    if ink.mean() > 0.5:
        ink = ~ink
    fine = mean_width(ink) < 2 * PEN * side
    return ink if fine else None


@dataclass(frozen=True)
class Found:
    """A drawing found in a picture: `levels` (H, W, C) of its sheet, and there, as (H, W), the
    strength of `ink`, which begins at 0.5, and the `mask` of the drawing.

    `clean` pictures have even light and no printed lines, and are cut from no photo of a sheet.
    `box` says what became of a box around it: "removed", "kept", or "" where there is none.
    """

    levels: Levels
    ink: Grey
    mask: Mask
    clean: bool
    box: str = ""


def redraw(levels: Levels, reading: Reading = AUTOMATIC) -> Drawing:
    """The drawing in `levels` (H, W, C) in Omniglot's pen, centred on FRAME pixels."""
    found = found_ink(levels, reading.box)
    ink, mask = found.ink, found.mask
    if reading.part is not None:
        parts = characters(mask)
        if reading.part > len(parts):
            raise OneshotError(f"no character {reading.part} found: there are {len(parts)}")
        mask = parts[reading.part - 1]
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    sure = np.where(mask, np.maximum(ink, 0.501), np.minimum(ink, 0.499))
    cut = sure[top:bottom, left:right]
    longer = max(bottom - top, right - left)
    shape = _fit(cut, round(EXTENT * FRAME) / longer)
    fattest = FILLED * max(shape.shape)
    line = pen_lines(shape, fattest)
    return Drawing(
        mask=drawn_with_pen(_centred(line), PEN * FRAME),
        shown=_centred(shape),
        filled=_filled(shape, fattest),
        box=found.box,
    )


def found_ink(levels: Levels, box: str = "auto") -> Found:
    """The drawing on the sheet that a picture (H, W, C) shows.

    `box` says whether a box around it is part of the drawing: "keep", "remove", or "auto", which
    removes a box whose lines are finer or fainter than the strokes inside.
    """
    around = sheet(levels)
    if around is not None:
        try:
            return replace(_found_ink(on_sheet(levels, around), box), clean=False)
        except BlankError:  # it is a bright shape
            pass
    return _found_ink(levels, box)


def _found_ink(levels: Levels, box: str) -> Found:
    ink, even_light, rules = ink_strength(levels)
    mask = with_faint_dots(drawing_only(ink > 0.5, even_light), ink)
    found = Found(levels, ink, mask, clean=even_light and not rules)
    around = None if box == "keep" else box_around(found.mask, ink)
    if around is None:
        return found
    if box == "auto" and not around.printed:
        return replace(found, box="kept")
    tone, strokes = np.median(ink[around.lines]), np.percentile(ink[around.inside], 75)
    inside = around.inside
    if tone < FAINTER * strokes:  # so are the other lines of a practice cell
        inside = inside & (ink > (tone + strokes) / 2)
    return replace(found, mask=drawing_only(inside, True), clean=False, box="removed")


def _filled(shape: Mask, fattest: float) -> bool:
    """Whether a part of `shape` is wider than `fattest`, so that `pen_lines` keeps its outline."""
    return bool(depth(shape).max() > fattest / 2)


def _fit(ink: Grey, scale: float) -> Mask:
    """The ink (H, W) as a mask, `scale` times its size.

    Enlarged, its edges are smooth. Reduced, lines finer than a pixel stay connected: the threshold
    is half of the typical coverage of inked pixels.
    """
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    if scale >= 1:
        smooth = Image.fromarray(ink).resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(smooth) > 0.5
    binary = Image.fromarray((ink > 0.5).astype(np.float32))
    coverage = np.asarray(binary.resize((width, height), Image.Resampling.BOX))
    return coverage > 0.5 * min(1.0, float(np.percentile(coverage[coverage > 0], 75)))


def _centred(line: Mask) -> Mask:
    height, width = line.shape
    top, left = (FRAME - height) // 2, (FRAME - width) // 2
    return np.pad(line, ((top, FRAME - height - top), (left, FRAME - width - left)))
