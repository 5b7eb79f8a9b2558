"""Any picture of a drawing as the centred ink image that the model was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from oneshot_cli.data.resampling import box_ink
from oneshot_cli.errors import OneshotError
from oneshot_cli.imaging.ink import Mask, depth, drawing_only, ink_strength
from oneshot_cli.imaging.reading import Grey, array_to_grey, picture_to_grey, read_picture
from oneshot_cli.imaging.redrawing import drawn_with_pen, pen_lines

Picture: TypeAlias = "str | Path | Image.Image | np.ndarray[Any, Any] | Tensor"

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


def exemplar(picture: Picture, size: int) -> Tensor:
    """`picture` as float ink (size, size), 0 or 1, placed and drawn like the training data.

    `picture` is a file, a Pillow picture, or an array or tensor of grey levels (H, W): floats in
    [0, 1] or bytes. It may be dark on light or light on dark. Omniglot drawings are only resampled
    as the data set is (`box_ink`). Raises OneshotError for an unreadable or blank picture, and for
    one whose ink vanishes at that size.
    """
    return at_size(drawing(picture, size).mask, size)


@dataclass(frozen=True)
class Drawing:
    """The drawing in a picture, before it is resampled to the model's size.

    `shown` (S, S) is the ink of the picture, centred. `mask` (S, S) is the same ink redrawn with
    Omniglot's pen. `filled` is true if a part of it is a filled shape, of which the mask has the
    outline.
    """

    mask: Mask
    shown: Mask
    filled: bool = False


def drawing(picture: Picture, size: int) -> Drawing:
    """The drawing in `picture`, for a model that reads `size` x `size`.

    An Omniglot drawing, also one resampled to `size`, is taken as it is; anything else is redrawn.
    Raises OneshotError as `exemplar` does.
    """
    try:
        grey = _grey(picture)
        found = omniglot_drawing(grey, size)
        read = redraw(grey) if found is None else Drawing(found, found)
        if not at_size(read.mask, size).any():
            raise OneshotError("no drawing found: its ink is smaller than what the model reads")
        return read
    except OneshotError as error:
        if isinstance(picture, str | Path) and str(picture) not in str(error):
            raise OneshotError(f"{picture}: {error}") from None
        raise


def at_size(mask: Mask, size: int) -> Tensor:
    """A mask (S, S) resampled to (size, size) as the data set is: float ink, 0 or 1."""
    return box_ink(torch.from_numpy(mask.astype(np.uint8))[None], size)[0].float()


def _grey(picture: Picture) -> Grey:
    if isinstance(picture, str | Path):
        return read_picture(picture)
    if isinstance(picture, Image.Image):
        return picture_to_grey(picture)
    values = np.asarray(picture.detach().cpu() if isinstance(picture, Tensor) else picture)
    values = values.squeeze()
    if values.ndim != 2 or 0 in values.shape:
        raise OneshotError(f"an exemplar has to be one grey picture (H, W), not {values.shape}")
    scale = 255 if values.dtype == np.uint8 and values.max() > 1 else 1
    return array_to_grey((values / scale).astype(np.float32))


def omniglot_drawing(grey: Grey, size: int) -> Mask | None:
    """The ink of a picture that looks like a drawing of Omniglot, else None.

    Such a picture is square, 105 or `size` pixels wide, and of two tones. It is mostly paper, and
    drawn with a fine pen: twice the ink divided by the length of its outline is the mean width.
    """
    side = grey.shape[0]
    tones = np.unique(grey)
    if grey.shape[1] != side or side not in (OMNIGLOT, size) or len(tones) != 2:
        return None
    ink = grey == tones[0]
    if ink.mean() > 0.5:
        ink = ~ink
    framed = np.pad(ink, 1).astype(np.int8)
    outline = np.abs(np.diff(framed, axis=0)).sum() + np.abs(np.diff(framed, axis=1)).sum()
    fine = 2 * ink.sum() / outline < 2 * PEN * side
    return ink if fine else None


def redraw(grey: Grey) -> Drawing:
    """The drawing in `grey` (H, W), redrawn with Omniglot's pen and centred, on FRAME pixels."""
    ink, even_light = ink_strength(grey)
    mask = drawing_only(ink > 0.5, even_light)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    cut = np.where(mask, ink, np.minimum(ink, 0.499))[top:bottom, left:right]
    longer = max(bottom - top, right - left)
    shape = _fit(cut, round(EXTENT * FRAME) / longer)
    fattest = FILLED * max(shape.shape)
    line = pen_lines(shape, fattest)
    return Drawing(
        mask=drawn_with_pen(_centred(line), PEN * FRAME),
        shown=_centred(shape),
        filled=_filled(shape, fattest),
    )


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
