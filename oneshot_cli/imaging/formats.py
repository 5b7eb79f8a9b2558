"""The file formats of pictures, and what a picture says about itself: seed, exemplar, version."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree import ElementTree
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from oneshot_cli.documents import parse
from oneshot_cli.errors import OneshotError
from oneshot_cli.files import regular_file
from oneshot_cli.imaging.reading import FORMATS

About: TypeAlias = dict[str, Any]
"""What a picture says about itself. It is written as JSON."""

KEY = "oneshot"
"""The keyword of `About` in a PNG, and its name in other formats."""

MAX_BYTES = 500_000_000
MAX_ABOUT_BYTES = 1_000_000
"""Files, and what they say about themselves, are read up to these sizes."""

SVG_NAMESPACE = "http://www.w3.org/2000/svg"

DESCRIPTION, SOFTWARE = 0x010E, 0x0131
"""Exif tags."""

LARGEST_SIDE = {"WEBP": 16_383, "JPEG": 65_500, "GIF": 65_535}
"""The most pixels of a side in formats that have a limit."""

DOTS_PER_INCH = 144
"""The resolution of sheets in a PDF."""


def encoded(picture: Image.Image, kind: str, about: About | None = None) -> bytes:
    """A picture in a format that Pillow writes ("PNG", "WEBP", ...), with `about` in its metadata.

    PNG, WebP, JPEG and TIFF have a place for it; other formats leave it out. WebP is lossless.
    """
    check_sides(picture, kind)
    options: dict[str, Any] = {}
    if kind == "JPEG":
        options["quality"] = 95
    elif kind == "WEBP":
        options["lossless"] = True
    if about is not None and kind == "PNG":
        options["pnginfo"] = png_info(about)
    elif about is not None and kind in ("WEBP", "JPEG", "TIFF"):
        options["exif"] = exif_of(about)
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def check_sides(picture: Image.Image, kind: str) -> None:
    """Raise OneshotError for a picture that is too large for a format of Pillow's."""
    most = LARGEST_SIDE.get(kind)
    if most is not None and max(picture.size) > most:
        width, height = picture.size
        raise OneshotError(
            f"{kind} has at most {most:,} pixels a side, and this is {width:,} x {height:,}\n"
            "give another format, fewer drawings or a smaller --size"
        )


def png_info(about: About) -> PngInfo:
    """`about` as text chunks of a PNG."""
    info = PngInfo()
    info.add_text("Software", _software(about))
    info.add_text(KEY, json.dumps(about, ensure_ascii=False))
    return info


def exif_of(about: About) -> Image.Exif:
    """`about` as Exif tags, which are ASCII."""
    exif = Image.Exif()
    exif[DESCRIPTION] = json.dumps({KEY: about})
    exif[SOFTWARE] = _software(about)
    return exif


def _software(about: About) -> str:
    return f"oneshot {about.get('version', '')}".strip()


def about_of(path: Path) -> dict[str, Any] | None:
    """What the picture, film or archive at `path` says about itself; None if it says nothing.

    Raises OneshotError if it is nothing of that kind.
    """
    readers = {".svg": _svg_text, ".npz": _npz_text}
    try:
        text = readers.get(path.suffix.lower(), _image_text)(regular_file(path, MAX_BYTES))
        found = parse(text) if text else None
    except OneshotError:
        raise
    except Exception:  # Pillow, zipfile and NumPy raise many kinds for damaged files
        raise OneshotError(f"{path}: neither a checkpoint nor a picture that can be read") from None
    return found if isinstance(found, dict) else None


def _image_text(path: Path) -> str | None:
    with Image.open(path, formats=FORMATS) as picture:
        if text := picture.info.get(KEY):
            return str(text)
        held = picture.getexif().get(DESCRIPTION) or picture.info.get("comment")
    held = held.decode("utf-8", "replace") if isinstance(held, bytes) else held
    if not held or not str(held).startswith(f'{{"{KEY}"'):
        return None
    return json.dumps(parse(held)[KEY])


def _svg_text(path: Path) -> str | None:
    metadata = ElementTree.parse(path).getroot().find(f"{{{SVG_NAMESPACE}}}metadata")
    return None if metadata is None else metadata.text


def _npz_text(path: Path) -> str | None:
    with ZipFile(path) as archive:
        if "about.npy" not in archive.namelist():
            return None
        with archive.open("about.npy") as file:
            held = BytesIO(file.read(MAX_ABOUT_BYTES))
    return str(np.lib.format.read_array(held, allow_pickle=False))


def pdf_of(pages: Iterable[Image.Image], about: About) -> bytes:
    """A PDF with a page for each picture, compressed without loss.

    Raises OneshotError if the extra `pdf` is not installed.
    """
    require_pdf()
    from fpdf import FPDF

    document = FPDF(unit="in")
    document.set_margin(0)
    document.set_auto_page_break(False)
    document.set_creator(_software(about))
    document.set_keywords(json.dumps(about))
    for page in pages:
        width, height = page.width / DOTS_PER_INCH, page.height / DOTS_PER_INCH
        document.add_page(format=(width, height))
        document.image(page, 0, 0, width, height)
    return bytes(document.output())


def require_pdf() -> None:
    """Raise OneshotError if the extra `pdf` is not installed."""
    try:
        import fpdf  # noqa: F401
    except ImportError:
        raise OneshotError(
            "PDF needs fpdf2, which is an extra\n"
            "pip install 'oneshot-cli[pdf]', or choose another format"
        ) from None


def npz_of(arrays: Mapping[str, NDArray[Any]], about: About) -> bytes:
    """An archive of NumPy for `numpy.load`, compressed. `about` is in it as JSON."""
    buffer = BytesIO()
    held: dict[str, Any] = {"about": np.array(json.dumps(about)), **arrays}
    np.savez_compressed(buffer, **held)
    return buffer.getvalue()
