"""SVG of drawings: each is traced by vtracer, and a sheet places several in one file."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from xml.etree import ElementTree

import vtracer
from PIL import Image

from oneshot_cli.imaging.rendering import Bytes

SVG = "http://www.w3.org/2000/svg"


def svg_of(grey: Bytes) -> str:
    """Grey levels (H, W) as an SVG document, H x W units: the outlines of its ink, in black."""
    png = BytesIO()
    Image.fromarray(grey).save(png, "PNG")
    return str(
        vtracer.convert_raw_image_to_svg(
            png.getvalue(), img_format="png", colormode="binary", mode="spline", path_precision=2
        )
    )


def svg_sheet(greys: Sequence[Bytes], columns: int, gap: int) -> str:
    """Drawings (S, S) of one size as an SVG document, in rows of `columns`, `gap` units apart."""
    side, rows = len(greys[0]), -(-len(greys) // columns)
    width, height = (gap + count * (side + gap) for count in (min(columns, len(greys)), rows))
    ElementTree.register_namespace("", SVG)
    box = {"viewBox": f"0 0 {width} {height}", "width": str(width), "height": str(height)}
    sheet = ElementTree.Element(f"{{{SVG}}}svg", box)
    for i, grey in enumerate(greys):
        row, column = divmod(i, columns)
        one = ElementTree.fromstring(svg_of(grey))
        one.set("x", str(gap + column * (side + gap)))
        one.set("y", str(gap + row * (side + gap)))
        sheet.append(one)
    return ElementTree.tostring(sheet, encoding="unicode", xml_declaration=True)
