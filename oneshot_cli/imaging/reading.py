"""Any picture as levels of brightness: file, frame, orientation, transparency, depth, size."""

from __future__ import annotations

import io
import math
import os
import re
import subprocess
import sys
import warnings
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_cli.errors import OneshotError
from oneshot_cli.files import read_file, regular_file
from oneshot_cli.imaging import render_svg

Grey = NDArray[np.float32]
"""Grey levels (H, W), 0 black to 1 white."""

Levels = NDArray[np.float32]
"""Levels (H, W, C) of C = 1 (grey) or 3 (red, green, blue) channels, in [0, 1]."""

MAX_PIXELS = 100_000_000
"""Pictures with more pixels are refused: 100 million is a 10,000 x 10,000 scan."""

MAX_BYTES = 500_000_000
"""Files with more bytes are refused before they are read."""

MAX_PIXELS_OF = {"WEBP": 40_000_000, "HEIF": 40_000_000, "GIF": 60_000_000}
"""Lower limits of formats whose decoders need more memory for a pixel."""

MAX_PIXELS_LOOKED_AT = 400_000_000
"""Of a picture with blank frames, no more pixels than this are decoded in search of another."""

MAX_SVG_BYTES = 20_000_000
SVG_SECONDS = 5
"""An SVG picture that takes longer is refused: a filter may take hours."""

BAND_PIXELS = 4_000_000
"""A large picture is converted and reduced in bands of about this many pixels, to save memory."""

MAX_SIDE = 800
"""Larger pictures are reduced to this many pixels: the model does not read finer detail."""

MAX_FRAMES = 1000
"""Frames after this one are not looked at."""

PICTURE_ENDINGS = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
        *(".pgm", ".pbm", ".ppm", ".svg", ".heic", ".heif"),
    )
)
"""Files with these endings are read from a folder; a file named by the user may have any."""

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO")
"""The file formats that Pillow may decode. Others are refused by their content."""

TRANSPOSED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes an EXIF orientation."""

URL = re.compile(r"[a-z][a-z0-9+.-]+:/|data:", re.IGNORECASE)

BLANK = 0.02
"""A frame whose levels differ by less is blank."""


def read_picture(
    source: str | Path | bytes | BinaryIO, frame: int | None = None, name: str = "the picture"
) -> Levels:
    """The picture in a file, or in the bytes of one, as levels (H, W, C), longer side <= 800.

    It is rotated by its EXIF orientation and without transparency (see `flatten`). `frame` counts
    from 1; None is the first frame, unless that is blank (see `chosen_frame`). SVG needs the extra
    `svg`, HEIC the extra `heic`. Raises OneshotError, naming the file, if it is not a readable
    picture; bytes are called `name`.
    """
    name, content = _content(source, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _opened(content, name) as picture:
                width, height = picture.size
                most = MAX_PIXELS_OF.get(picture.format or "", MAX_PIXELS)
                if width * height <= most:
                    picture.draft("RGB", (MAX_SIDE, MAX_SIDE))  # JPEGs are decoded at a fraction
                    return picture_to_levels(picture, frame)
    except OneshotError as error:
        raise OneshotError(f"{name}: {error}") from None
    except Image.UnidentifiedImageError:
        raise OneshotError(
            f"{name} is not a picture that can be read (PNG, JPEG, GIF, WebP, TIFF, BMP, SVG, HEIC)"
        ) from None
    except Image.DecompressionBombError:
        raise OneshotError(f"{name} has more than {MAX_PIXELS:,} pixels; scale it down") from None
    except MemoryError:
        raise OneshotError(f"{name} needs more memory than there is; scale it down") from None
    except Exception as error:  # Pillow's decoders raise many kinds for damaged files
        raise OneshotError(f"{name} is damaged or truncated ({error})") from None
    raise OneshotError(f"{name} is {width} x {height}, more than {most:,} pixels; scale it down")


def is_url(source: str | Path) -> bool:
    """Whether a picture is named by a URL and no file has that name."""
    return bool(URL.match(str(source))) and not os.path.lexists(source)


def _content(source: str | Path | bytes | BinaryIO, name: str) -> tuple[str, Path | bytes]:
    """The name of a picture for messages, and its regular file or its bytes."""
    if isinstance(source, bytes | bytearray):
        return name, bytes(source)
    if not isinstance(source, str | Path):
        name = str(getattr(source, "name", name))
        content = source.read(MAX_BYTES + 1)
        if not isinstance(content, bytes):
            raise OneshotError(f"{name} is open as text; open it in binary mode (rb)")
        if len(content) > MAX_BYTES:
            raise OneshotError(f"{name} has more than {MAX_BYTES:,} bytes")
        return name, content
    if is_url(source):
        raise OneshotError(
            f"{source} is a URL, but pictures are read from files; download it first"
        )
    path = regular_file(source, MAX_BYTES)
    return str(path), path


def _opened(content: Path | bytes, name: str) -> Image.Image:
    """The picture, not decoded yet. Raises as Pillow does, and OneshotError for missing extras."""
    try:
        if isinstance(content, bytes):
            start, file = content[:512], io.BytesIO(content)
        else:
            with content.open("rb") as opened:
                start = opened.read(512)
            file = content  # type: ignore[assignment]
    except PermissionError:
        raise OneshotError("it cannot be read: permission denied") from None
    formats: tuple[str, ...] = FORMATS
    if start[4:8] == b"ftyp":
        formats = (*FORMATS, _heif())
    elif start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<svg", b"<?xml", b"<!")) and (
        b"<svg" in start or name.lower().endswith(".svg")
    ):
        file = io.BytesIO(_rendered(content))
    return Image.open(file, formats=formats)


def _heif() -> str:
    """The name of Pillow's format for HEIC pictures, once it is registered."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise OneshotError(
            "HEIC pictures need the extra heic: pip install 'oneshot-cli[heic]'"
        ) from None
    register_heif_opener()
    return "HEIF"


def _rendered(content: Path | bytes) -> bytes:
    """An SVG picture as PNG, its longer side 800 pixels. Rendered in a process of its own."""
    if find_spec("resvg_py") is None:
        raise OneshotError("SVG pictures need the extra svg: pip install 'oneshot-cli[svg]'")
    text = content if isinstance(content, bytes) else read_file(content, MAX_SVG_BYTES)
    if len(text) > MAX_SVG_BYTES:
        raise OneshotError(f"it has more than {MAX_SVG_BYTES:,} bytes; save it as PNG")
    command = [sys.executable, render_svg.__file__, str(MAX_SIDE)]
    try:
        done = subprocess.run(command, input=text, capture_output=True, timeout=SVG_SECONDS)
    except subprocess.TimeoutExpired:
        raise OneshotError(
            f"it is not rendered within {SVG_SECONDS} seconds; save it as PNG"
        ) from None
    if done.returncode == 1:
        raise ValueError(done.stderr.decode("utf-8", "replace").strip())
    if done.returncode != 0:
        raise OneshotError("it is too large, or nested too deep, to be rendered; save it as PNG")
    return done.stdout


def chosen_frame(picture: Image.Image, frame: int | None) -> Image.Image:
    """The picture at its frame number `frame`, from 1.

    None is the first frame. If that is blank, it is the last frame of an animation that is not, so
    that a recording of a drawing is complete, and the first page of a TIFF that is not. Raises
    OneshotError if there is no such frame.
    """
    frames = min(int(getattr(picture, "n_frames", 1)), MAX_FRAMES)
    searched = min(frames, max(2, MAX_PIXELS_LOOKED_AT // (picture.width * picture.height)))
    if frame is not None:
        if not 1 <= frame <= frames:
            raise OneshotError(f"there is no frame {frame}: it has {frames}")
        picture.seek(frame - 1)
        return picture
    picture.seek(0)
    if frames == 1 or picture.format == "MPO":
        return picture
    if not _is_blank(picture):
        return picture
    found = 0
    for number in range(1, searched):
        picture.seek(number)
        if not _is_blank(picture):
            found = number
            if picture.format == "TIFF":
                break
    picture.seek(found)
    return picture


def _is_blank(picture: Image.Image) -> bool:
    levels = _flat(picture)
    return bool(np.ptp(levels.reshape(-1, levels.shape[-1]), axis=0).max() < BLANK)


def picture_to_levels(picture: Image.Image, frame: int | None = None) -> Levels:
    """Levels (H, W, C) in [0, 1] of a Pillow picture, longer side <= 800.

    The picture is then at the frame that was read. `frame` is as in `read_picture`. Raises
    OneshotError for a frame that does not exist.
    """
    picture = chosen_frame(picture, frame)
    turn = TRANSPOSED.get(picture.getexif().get(0x0112, 1))
    levels = _flat(picture)
    if turn is None:
        return levels
    return np.stack(
        [
            np.asarray(Image.fromarray(np.ascontiguousarray(band)).transpose(turn))
            for band in np.moveaxis(levels, -1, 0)
        ],
        axis=-1,
    )


def _flat(picture: Image.Image) -> Levels:
    """Levels (H, W, C) of a picture's current frame, reduced, without transparency."""
    if picture.mode.startswith(("I", "F")):
        return array_to_levels(_deep_to_grey(picture))
    if "transparency" in picture.info or picture.mode in ("LA", "PA", "La", "RGBA", "RGBa"):
        picture = _reduced(picture, "RGBA")
        return flatten(_levels(picture.convert("RGB")), _levels(picture.getchannel("A"))[..., 0])
    return _levels(_reduced(picture, "L" if picture.mode in ("1", "L") else "RGB"))


def _reduced(picture: Image.Image, mode: str) -> Image.Image:
    """The picture in `mode`, its longer side <= 800.

    Large pictures are converted in bands of rows: a whole copy would double the memory.
    """
    width, height = _reduced_size(picture.size)
    bands = min(height, picture.width * picture.height // BAND_PIXELS)
    if bands < 2:
        return _shrink(picture.convert(mode))
    reduced = Image.new(mode, (width, height))
    edges = [round(band * height / bands) for band in range(bands + 1)]
    for top, bottom in pairwise(edges):
        first, last = (row * picture.height / height for row in (top, bottom))
        start, end = math.floor(first), math.ceil(last)
        band = picture.crop((0, start, picture.width, end)).convert(mode)
        box = (0, first - start, picture.width, last - start)
        rows = band.resize((width, bottom - top), Image.Resampling.BOX, box)
        reduced.paste(rows, (0, top))
    return reduced


def _levels(picture: Image.Image) -> Levels:
    values = np.asarray(picture, np.float32) / np.float32(255)
    return values if values.ndim == 3 else values[..., None]


def array_to_levels(values: NDArray[Any]) -> Levels:
    """An array of levels (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), the last with opacity.

    They are clipped to [0, 1]; NaN becomes black. The longer side is reduced to 800.
    """
    values = np.clip(np.nan_to_num(np.asarray(values, np.float32)), 0, 1)
    bands = values[..., None] if values.ndim == 2 else values
    reduced = np.stack(
        [
            np.asarray(_shrink(Image.fromarray(np.ascontiguousarray(band))))
            for band in np.moveaxis(bands, -1, 0)
        ],
        axis=-1,
    )
    return flatten(reduced[..., :3], reduced[..., 3]) if reduced.shape[-1] == 4 else reduced


def luminance(levels: Levels) -> Grey:
    """The brightness (H, W) of levels (H, W, C): ITU-R 601, as Pillow converts to grey."""
    if levels.shape[-1] == 1:
        return np.ascontiguousarray(levels[..., 0])
    return levels @ np.array([0.299, 0.587, 0.114], np.float32)


def _deep_to_grey(picture: Image.Image) -> Grey:
    """16- and 32-bit grey levels in [0, 1], reduced.

    A 16-bit file may hold fewer bits: its range is the smallest power of two that holds its values.
    The range of other files is that of their values.
    """
    step = max(1, max(picture.size) // MAX_SIDE)
    down, across = min(step, picture.height), min(step, picture.width)
    columns = picture.width // across
    rows_at_once = max(1, BAND_PIXELS // (picture.width * down)) * down
    bands, most = [], 0.0
    for top in range(0, picture.height // down * down, rows_at_once):
        bottom = min(top + rows_at_once, picture.height // down * down)
        stored = np.asarray(picture.crop((0, top, picture.width, bottom)))
        most = max(most, float(stored.max()))
        blocks = stored[:, : columns * across].reshape(-1, down, columns, across)
        bands.append(blocks.mean((1, 3), dtype=np.float32))
    values: Grey = np.concatenate(bands)
    if picture.mode.startswith("I;16"):
        return values / np.float32(2 ** max(8, int(most).bit_length()) - 1)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return (values - np.float32(low)) / np.float32(max(high - low, 1e-12))


def _reduced_size(size: tuple[int, int]) -> tuple[int, int]:
    """A width and height with the longer side <= 800."""
    scale = min(1.0, MAX_SIDE / max(size))
    width, height = (max(1, round(side * scale)) for side in size)
    return width, height


def _shrink(picture: Image.Image) -> Image.Image:
    size = _reduced_size(picture.size)
    return picture if size == picture.size else picture.resize(size, Image.Resampling.BOX)


def flatten(levels: Levels, alpha: Grey) -> Levels:
    """Levels (H, W, C) without transparency, from `levels` and opacity `alpha` (H, W), in [0, 1].

    If the opaque part has one tone, its shape is the drawing: it becomes dark on white. If it has
    two tones, the drawing is inside it. An opaque part that nearly fills its bounding box (a tile
    with rounded corners) is paper, and its tone continues into the transparent part; anything else
    is put on white.
    """
    opaque = alpha > 0.5
    if opaque.all():
        return levels
    inside = levels[opaque]
    if inside.size == 0 or np.ptp(np.percentile(inside, [0.3, 99.7], axis=0), axis=0).max() < 0.3:
        return 1 - alpha[..., None]
    rows, columns = np.flatnonzero(opaque.any(1)), np.flatnonzero(opaque.any(0))
    area = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    tile = len(inside) > 0.85 * area
    paper = np.median(inside, axis=0) if tile else np.ones(levels.shape[-1], np.float32)
    return levels * alpha[..., None] + paper * (1 - alpha[..., None])
