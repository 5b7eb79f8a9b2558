"""Small intact pictures, of every format that is read."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.reliability.fuzz import Seed


def drawn(mode: str = "L", size: tuple[int, int] = (40, 36)) -> Image.Image:
    """A picture of a bent stroke."""
    picture = Image.new("L", size, 250)
    ImageDraw.Draw(picture).line([(8, 6), (30, 12), (12, 30)], fill=20, width=4)
    return picture.convert(mode)


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def pictures() -> list[Seed]:
    """A picture of every format and kind."""
    deep = Image.fromarray(np.asarray(drawn()).astype(np.uint16) * 257)
    frames = [drawn("L"), drawn("L").rotate(90)]
    exif = Image.Exif()
    exif[0x0112] = 6
    found = [
        encoded(drawn("1"), "PNG"),
        encoded(drawn("RGBA"), "PNG"),
        encoded(drawn("P"), "PNG", transparency=0),
        encoded(deep, "PNG"),
        encoded(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        encoded(drawn("RGB"), "JPEG", exif=exif),
        encoded(drawn("CMYK"), "JPEG", progressive=True),
        encoded(Image.new("L", (30, 30), 9), "GIF", save_all=True, append_images=frames),
        encoded(drawn("RGB"), "BMP"),
        encoded(deep, "TIFF"),
        encoded(drawn("RGB"), "TIFF", compression="tiff_lzw"),
        encoded(drawn("L"), "TIFF", compression="jpeg", save_all=True, append_images=frames),
        encoded(drawn("F"), "TIFF"),
        encoded(drawn("RGBA"), "WEBP", lossless=True),
        encoded(drawn("RGB"), "WEBP", save_all=True, append_images=[drawn("RGB")]),
        encoded(drawn("1"), "PPM"),
        encoded(drawn("RGB"), "PPM"),
        encoded(drawn("RGBA"), "ICO", sizes=[(16, 16), (32, 32)]),
    ]
    found += _heic()
    seeds = [Seed(content) for content in found]
    return seeds + [Seed(content, checked_png) for content in found if content[1:4] == b"PNG"]


def _heic() -> list[bytes]:
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return []
    register_heif_opener()
    return [encoded(drawn("RGB"), "HEIF", quality=40)]


def checked_png(data: bytes) -> bytes:
    """A damaged PNG with right checksums, as far as its chunks can be followed."""
    found, at = bytearray(data), 8
    while at + 12 <= len(found):
        (size,) = struct.unpack(">I", found[at : at + 4])
        end = at + 8 + size
        if end + 4 > len(found):
            break
        found[end : end + 4] = struct.pack(">I", zlib.crc32(found[at + 4 : end]))
        at = end + 4
    return bytes(found)


SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" width="60" height="50" viewBox="0 0 60 50">
<defs><filter id="f"><feGaussianBlur stdDeviation="1"/></filter></defs>
<g id="ink" transform="rotate(3)"><path d="M9 6 L40 12 Q20 20 12 40" fill="none" stroke="#111"
stroke-width="4" filter="url(#f)"/><use href="#ink2"/></g><circle id="ink2" r="3"/></svg>"""
