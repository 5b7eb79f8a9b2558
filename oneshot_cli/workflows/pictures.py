"""What the drawing commands write: pictures and sheets in the format of the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

import oneshot_cli
from oneshot_cli.drawing.arguments import check
from oneshot_cli.drawing.oneshot import Oneshot
from oneshot_cli.errors import UsageError
from oneshot_cli.imaging.formats import About, encoded, pdf_of
from oneshot_cli.imaging.grid import Sheet
from oneshot_cli.imaging.rendering import Bytes, drawn_levels, vectorized
from oneshot_cli.imaging.svg import pen_paths, svg_of
from oneshot_cli.paths import printable
from oneshot_cli.workflows.targets import Target, write

WRITERS = 4
"""Threads that write files."""

AT_ONCE = 64
"""About how many pictures are drawn, and then written, at once."""


@dataclass(frozen=True)
class Rendered:
    """Pictures in levels (n, H, W) or (n, H, W, 3), and for SVG the paths of each."""

    levels: Bytes
    paths: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.levels)


def check_written(*, n: int, **others: Any) -> None:
    """Raise UsageError if n or another argument is out of its range, or no picture is asked for."""
    check(n=n, **others)
    if n == 0:
        raise UsageError("n is 0, but at least one picture is drawn")


def rendered(
    model: Oneshot,
    pictures: Tensor,
    pen: float | None,
    format: str,
    exemplars: Tensor | None = None,
) -> Rendered:
    """Pictures (n, C, H, W) of the model as they are shown; in SVG the pen's strokes are paths.

    `exemplars` (M, 1, S, S) are as in `Oneshot.render`.
    """
    side = pictures.shape[-1]
    width = model.pen(side, pen)
    if format != "svg" or not width:
        return Rendered(model.render(pictures, pen, exemplars))
    filled = model.rendering.filled(exemplars)
    drawings = list(vectorized(pictures, width, filled=filled))
    paths = [pen_paths(each, side, width) for each in drawings]
    return Rendered(drawn_levels(drawings, side, width), paths)


def content(format: str, levels: Bytes, paths: str | None, about: About | None) -> bytes:
    """One picture, levels (H, W) or (H, W, 3), in a format of `targets.PICTURE_FORMATS`."""
    if format == "svg":
        return svg_of(levels, paths=paths, about=about).encode()
    return encoded(Image.fromarray(levels), format.upper(), about)


def sheet_content(format: str, sheet: Sheet, about: About) -> bytes:
    """A sheet in a format of `targets.GRID_ENDINGS`, except NPZ."""
    if format == "svg":
        return sheet.svg(about).encode()
    if format == "pdf":
        return pdf_of([sheet.picture()], about)
    return encoded(sheet.picture(), format.upper(), about)


def write_pictures(
    target: Target,
    files: Sequence[Path],
    drawn: Rendered,
    about: About,
    first: int = 0,
) -> None:
    """Write pictures to `files`, if there are any, with the numbers from `first` + 1."""
    if not files:
        return

    def write_one(i: int) -> None:
        paths = drawn.paths[i] if drawn.paths else None
        made = content(target.format, drawn.levels[i], paths, about | {"number": first + i + 1})
        write(files[i], made)

    with ThreadPoolExecutor(WRITERS) as pool:  # mostly waits for the disk
        list(pool.map(write_one, range(len(files))))


def draw_and_write(
    model: Oneshot,
    target: Target,
    files: Sequence[Path],
    draw: Callable[[int, int], Tensor],
    n: int,
    *,
    pen: float | None,
    exemplars: Tensor | None = None,
    about: About,
    advance: Callable[[int], None],
) -> Rendered:
    """Draw n pictures and write each to its file, a few at once.

    `draw` is called with the number of the first picture and how many are wanted, and returns them
    as (count, C, H, W). `exemplars` are as in `Oneshot.render`. `advance` is called with the number
    of pictures that were written.
    """
    levels: list[Bytes] = []
    paths: list[str] = []
    for first in range(0, n, AT_ONCE):
        count = min(AT_ONCE, n - first)
        made = rendered(model, draw(first, count), pen, target.format, exemplars)
        write_pictures(target, files[first : first + count], made, about, first)
        levels.append(made.levels)
        paths.extend(made.paths)
        advance(count)
    return Rendered(np.concatenate(levels), paths)


def description(model: Oneshot, command: str, **settings: Any) -> About:
    """What the pictures of a command say about themselves: version, command, model, settings."""
    name = None if model.path is None else printable(model.path.name)
    about: About = {"version": oneshot_cli.__version__, "command": command, "checkpoint": name}
    return about | settings
