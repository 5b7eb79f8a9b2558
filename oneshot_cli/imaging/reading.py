"""Any picture that Pillow reads, as grey levels: orientation, transparency, bit depth, size."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from oneshot_cli.errors import OneshotError

Grey = NDArray[np.float32]

MAX_PIXELS = 100_000_000
"""Pictures with more pixels are refused: 100 million is a 10,000 x 10,000 scan."""

MAX_SIDE = 800
"""Larger pictures are reduced to this many pixels: the model does not read finer detail."""

PICTURE_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
"""Files with these endings are read from a folder; a file named by the user may have any."""


def read_picture(path: str | Path) -> Grey:
    """The picture in file `path` as grey levels (H, W), 0 black to 1 white, longer side <= 800.

    The first frame of an animation, rotated by its EXIF orientation, without transparency (see
    `flatten`). Raises OneshotError, naming the file, if it is not a readable picture.
    """
    path = Path(path)
    if not path.exists():
        raise OneshotError(f"{path}: no such file")
    if path.is_dir():
        raise OneshotError(f"{path} is a folder, but a picture is needed here")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                width, height = picture.size
                if width * height <= MAX_PIXELS:
                    return picture_to_grey(picture)
    except Image.UnidentifiedImageError:
        raise OneshotError(f"{path} is not a picture that can be read (PNG, JPEG, ...)") from None
    except PermissionError:
        raise OneshotError(f"{path} cannot be read: permission denied") from None
    except Image.DecompressionBombError:
        raise OneshotError(f"{path} has more than {MAX_PIXELS:,} pixels; scale it down") from None
    except Exception as error:  # Pillow's decoders raise many kinds for damaged files
        raise OneshotError(f"{path} is damaged or truncated ({error})") from None
    raise OneshotError(
        f"{path} is {width} x {height}, more than {MAX_PIXELS:,} pixels; scale it down"
    )


def picture_to_grey(picture: Image.Image) -> Grey:
    """Grey levels (H, W) in [0, 1] of a Pillow picture, longer side <= 800."""
    picture.draft("RGB", (MAX_SIDE, MAX_SIDE))  # JPEGs decode straight to a fraction of their size
    picture.seek(0)
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith(("I", "F")):
        return array_to_grey(_deep_to_grey(picture))
    if "transparency" in picture.info or picture.mode in ("LA", "PA", "La", "RGBA", "RGBa"):
        picture = _shrink(picture.convert("RGBA"))
        return flatten(_levels(picture.convert("RGB")), _levels(picture.getchannel("A")))
    if picture.mode in ("1", "L"):
        return _levels(_shrink(picture.convert("L")))
    return _levels(_shrink(picture.convert("RGB")))


def _levels(picture: Image.Image) -> Grey:
    """The grey levels (H, W) of a picture, or a colour channel with more than 3 times the contrast.

    Red ink on blue paper may have the same grey.
    """
    bands = [picture.convert("L")]
    if picture.mode not in ("1", "L", "LA", "I", "F"):
        bands += picture.convert("RGB").split()
    levels = [np.asarray(band, np.float32) / np.float32(255) for band in bands]
    contrast = [float(level.std()) for level in levels]
    best = int(np.argmax(contrast))
    return levels[best if contrast[best] > 3 * contrast[0] else 0]


def array_to_grey(values: Grey) -> Grey:
    """An array of grey levels (H, W), clipped to [0, 1], longer side <= 800; NaN becomes black."""
    return np.asarray(_shrink(Image.fromarray(np.clip(np.nan_to_num(values), 0, 1))))


def _deep_to_grey(picture: Image.Image) -> Grey:
    """16- and 32-bit grey levels in [0, 1]; scaled by their extremes where the range is unknown."""
    values = np.asarray(picture, np.float32)
    if picture.mode.startswith("I;16"):
        return values / np.float32(65535)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return (values - np.float32(low)) / np.float32(max(high - low, 1e-12))


def _shrink(picture: Image.Image) -> Image.Image:
    scale = MAX_SIDE / max(picture.size)
    if scale >= 1:
        return picture
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BOX)


def flatten(grey: Grey, alpha: Grey) -> Grey:
    """Grey levels (H, W) without transparency, from `grey` levels and opacity `alpha`, in [0, 1].

    If the opaque part has one tone, its shape is the drawing: it becomes dark on white. If it has
    two tones, the drawing is inside it. An opaque part that nearly fills its bounding box (a tile
    with rounded corners) is paper, and its tone continues into the transparent part; anything else
    is put on white.
    """
    opaque = alpha > 0.5
    if opaque.all():
        return grey
    inside = grey[opaque]
    if inside.size == 0 or np.ptp(np.percentile(inside, [0.3, 99.7])) < 0.3:
        return 1 - alpha
    rows, columns = np.flatnonzero(opaque.any(1)), np.flatnonzero(opaque.any(0))
    area = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    paper = float(np.median(inside)) if inside.size > 0.85 * area else 1.0
    return grey * alpha + paper * (1 - alpha)
