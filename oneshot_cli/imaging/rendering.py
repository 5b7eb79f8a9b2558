"""From ink in [0, 1] to pictures: dark on white, anti-aliased at any size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageFont
from scipy.ndimage import gaussian_filter
from torch import Tensor

from oneshot_cli.files import atomic_write_bytes
from oneshot_cli.imaging.formats import encoded

if TYPE_CHECKING:
    from oneshot_cli.imaging.pen import VectorDrawing

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont
Bytes = NDArray[np.uint8]

CERTAIN = 3.0
"""Logits are limited to this magnitude when pictures are enlarged."""
SMOOTHED = 0.25
"""Standard deviation of the smoothing of enlarged pictures, in pixels of the model."""
FLAT = 0.1
"""Change of logits from pixel to pixel below which enlarged pictures have no outline."""


def inked(probability: Tensor, model_size: int) -> Bytes:
    """Probabilities of ink (..., 1, H, W) in [0, 1] as grey levels (..., H, W), ink black.

    Pictures in colour (..., 3, H, W) become (..., H, W, 3), their values unchanged. `model_size` is
    the height and width that the model reads, in pixels. Larger pictures have blurred edges, one
    pixel of the model wide. They are sharpened: the logits are limited to CERTAIN, so that certain
    pixels do not dominate their neighbours, and smoothed. The outline is where they change sign. A
    logit divided by its slope is the signed distance from the outline, which gives the share of
    each pixel that lies inside.
    """
    if probability.shape[-3] > 1:
        return (255 * probability.float()).round().to(torch.uint8).movedim(-3, -1).numpy()
    ink, enlargement = probability.float(), probability.shape[-1] / model_size
    if enlargement > 1:
        logits = torch.logit(ink, eps=1e-6).clamp(-CERTAIN, CERTAIN)
        logits = _smoothed(logits, SMOOTHED * enlargement)
        slope = torch.hypot(*torch.gradient(logits, dim=(-2, -1)))
        ink = (0.5 + logits / (slope + FLAT)).clamp(0, 1)
    return (255 * (1 - ink)).round().to(torch.uint8).squeeze(-3).numpy()


def penned(probability: Tensor, width: float, *, filled: bool = True) -> Bytes:
    """Probabilities of ink (..., 1, H, H) as grey levels (..., H, H), redrawn with a round pen.

    `width` is the pen's, as a share of the picture's width. `filled` is as in `strokes_in`.
    """
    side = probability.shape[-1]
    drawings = vectorized(probability.reshape(-1, 1, side, side), width, filled=filled)
    return drawn_levels(drawings, side, width).reshape(*probability.shape[:-3], side, side)


def drawn_levels(drawings: Iterable[VectorDrawing], side: int, width: float) -> Bytes:
    """Strokes and areas as grey levels (n, side, side), drawn with a round pen of this width."""
    from oneshot_cli.imaging.pen import drawn

    levels = [np.rint(255 * (1 - drawn(drawing, side, width))) for drawing in drawings]
    return np.array(levels, np.uint8).reshape(-1, side, side)


def vectorized(
    probability: Tensor, width: float, *, filled: bool = True
) -> Iterator[VectorDrawing]:
    """Probabilities of ink (n, 1, H, H) as strokes and areas, for a round pen of this width.

    `width` is a share of the picture's width. `filled` is as in `strokes_in`.
    """
    from oneshot_cli.imaging.vectorizing import strokes_in

    for logits in torch.logit(probability.float(), eps=1e-6)[:, 0]:
        yield strokes_in(logits.numpy(), width, filled=filled)


def _smoothed(images: Tensor, deviation: float) -> Tensor:
    """Images (..., H, W) convolved with a Gaussian of this standard deviation, in pixels."""
    reach = math.ceil(3 * deviation)
    return torch.from_numpy(
        gaussian_filter(images.numpy(), deviation, mode="nearest", radius=reach, axes=(-2, -1))
    )


def of_mask(mask: NDArray[np.bool_], side: int) -> Bytes:
    """A square mask of ink (S, S) as grey levels (side, side), ink black, edges anti-aliased."""
    grey = Image.fromarray(np.where(mask, 0, 255).astype(np.uint8))
    enlargement = side / len(mask)
    if enlargement <= 1:
        return np.asarray(grey.resize((side, side), Image.Resampling.BOX))
    blurred = grey.filter(ImageFilter.GaussianBlur(1.2)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    steep = 127.5 + (np.asarray(blurred, np.float32) - 127.5) * 2 * enlargement
    return steep.clip(0, 255).astype(np.uint8)


def enlarged(levels: Bytes, side: int) -> Image.Image:
    """`levels` (H, W) or (H, W, 3) as a square picture `side` pixels wide.

    Smaller pictures are enlarged by a whole factor and centred on white, so that their pixels stay
    square and sharp. Larger ones are resampled.
    """
    picture = Image.fromarray(levels)
    factor = side // picture.width
    if factor < 1:
        return picture.resize((side, side), Image.Resampling.LANCZOS)
    if factor > 1:
        size = (picture.width * factor, picture.height * factor)
        picture = picture.resize(size, Image.Resampling.NEAREST)
    framed = Image.new(picture.mode, (side, side), "white")
    framed.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return framed


def cell_side(size: int, least: int = 96) -> int:
    """The side of a grid's cells: `size`, or its first multiple of at least `least` pixels."""
    return size * max(1, math.ceil(least / size))


@cache
def font(height: int) -> Font:
    """Pillow's own font, `height` pixels high."""
    return ImageFont.load_default(size=height)


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture in the format of the file's ending, PNG if that is unknown; atomically."""
    kind = Image.registered_extensions().get(path.suffix.lower(), "PNG")
    atomic_write_bytes(path, encoded(picture, kind))
