"""A sheet of drawings as one SVG document."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from oneshot_cli.imaging.formats import SVG_NAMESPACE
from oneshot_cli.imaging.rendering import Bytes
from oneshot_cli.imaging.svg import svg_of


def svg_sheet(greys: Sequence[Bytes], columns: int, gap: int) -> str:
    """Drawings (S, S) of one size as an SVG document, in rows of `columns`, `gap` units apart."""
    side, rows = len(greys[0]), -(-len(greys) // columns)
    width, height = (gap + count * (side + gap) for count in (min(columns, len(greys)), rows))
    ElementTree.register_namespace("", SVG_NAMESPACE)
    box = {"viewBox": f"0 0 {width} {height}", "width": str(width), "height": str(height)}
    sheet = ElementTree.Element(f"{{{SVG_NAMESPACE}}}svg", box)
    for i, grey in enumerate(greys):
        row, column = divmod(i, columns)
        one = ElementTree.fromstring(svg_of(grey))
        one.set("x", str(gap + column * (side + gap)))
        one.set("y", str(gap + row * (side + gap)))
        sheet.append(one)
    return ElementTree.tostring(sheet, encoding="unicode", xml_declaration=True)
