"""What the pad answers: pictures and films for the page, and files to take away."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from oneshot_cli.drawing.alphabet_film import alphabet_film
from oneshot_cli.drawing.defaults import FPS, HOLD
from oneshot_cli.drawing.oneshot import Oneshot
from oneshot_cli.drawing.results import Film
from oneshot_cli.errors import UsageError
from oneshot_cli.imaging.animation import film, film_bytes
from oneshot_cli.imaging.exemplar import Drawing, at_size, drawing
from oneshot_cli.imaging.grid import Group, sheet
from oneshot_cli.imaging.rendering import Bytes, of_mask
from oneshot_cli.imaging.svg import svg_of
from oneshot_cli.pad.requests import Wanted
from oneshot_cli.pad.tracing import svg_sheet

N = 10
"""How many drawings the page shows."""
COLUMNS = 5
SHOWN = 208
"""Height and width of the page's pictures, in pixels."""
FILMED = 104
"""Height and width of the page's films, and of a GIF's drawings."""
TAKEN = 512
"""Height and width of one drawing that is taken away."""

TYPES = {"png": "image/png", "svg": "image/svg+xml", "gif": "image/gif"}
"""The media type of each format of files."""


@dataclass(frozen=True)
class File:
    """A file to take away."""

    name: str
    media_type: str
    content: bytes


def pictures(model: Oneshot, wanted: Wanted) -> dict[str, Any]:
    """N drawings for the page, as URLs of transparent pictures, and concerns about the letter.

    Raises OneshotError if a letter cannot be read.
    """
    read = _read(model, wanted)
    greys = _drawings(model, wanted, read, N, SHOWN)
    found = [] if wanted.alphabet else model.concerns_batch([read])[0]
    return {
        "pictures": [_url(grey) for grey in greys],
        "concerns": [concern.text for concern in found],
    }


def films(model: Oneshot, wanted: Wanted) -> dict[str, Any]:
    """The films of the drawings that `pictures` gives.

    A film is a transparent picture of its T frames side by side, and the writing window of each
    step: an affine map (2, 3) from the patch to the canvas, in [-1, 1]. Raises OneshotError.
    """
    made = _film(model, wanted, FILMED)
    canvases = model.render(made.frames, pen=0)
    return {
        "side": FILMED,
        "films": [
            {"frames": _url(np.concatenate(list(frames), axis=1)), "windows": windows}
            for frames, windows in zip(
                canvases, made.write_windows.numpy().round(3).tolist(), strict=True
            )
        ],
    }


def file(model: Oneshot, wanted: Wanted, kind: str, number: int | None) -> File:
    """Drawing `number` of `pictures` as a PNG, SVG or GIF, or a sheet of all without a number.

    Raises OneshotError, and UsageError for another `kind` or a `number` that there is not.
    """
    if kind not in TYPES:
        raise UsageError(f"format has to be one of {', '.join(TYPES)}")
    if number is not None and (type(number) is not int or not 0 <= number < N):
        raise UsageError(f"number has to be from 0 to {N - 1}")
    makers = {"png": _png, "svg": _svg, "gif": _gif}
    what = "letter" if wanted.alphabet else "variation"
    which = f"{what}s" if number is None else f"{what}-{number + 1}"
    name = f"{which}-seed-{wanted.seed}.{kind}"
    return File(name, TYPES[kind], makers[kind](model, wanted, number))


def _read(model: Oneshot, wanted: Wanted) -> list[Drawing]:
    return [drawing(picture, model.size) for picture in wanted.pictures()]


def _drawings(
    model: Oneshot, wanted: Wanted, read: list[Drawing], n: int, size: int
) -> list[Bytes]:
    """The first n drawings as grey levels (size, size)."""
    if wanted.alphabet:
        # which characters are chosen depends on how many are asked for
        made = model.alphabet(read, N, seed=wanted.seed, spread=wanted.spread, size=size)
        return list(model.render(made[:n]))
    exemplars = [at_size(each.mask, model.size)[None, None] for each in read]
    varied = model.vary_batch(
        exemplars,
        n,
        seed=wanted.seed,
        spread=wanted.spread,
        closeness=wanted.closeness,
        size=size,
    )[0]
    return list(model.render(varied, exemplars=exemplars[0]))


def _film(model: Oneshot, wanted: Wanted, size: int) -> Film:
    given, seed, spread = wanted.pictures(), wanted.seed, wanted.spread
    if wanted.alphabet:
        return alphabet_film(model, given, N, seed=seed, spread=spread, size=size)
    return model.draw(given, N, seed=seed, spread=spread, closeness=wanted.closeness, size=size)


def _url(grey: Bytes) -> str:
    """Grey levels (H, W) as the data URL of a PNG: black ink, and no paper behind it."""
    picture = Image.fromarray(np.zeros_like(grey))
    picture.putalpha(Image.fromarray(255 - grey))
    return "data:image/png;base64," + b64encode(_encoded(picture)).decode()


def _encoded(picture: Image.Image) -> bytes:
    png = BytesIO()
    picture.save(png, "PNG")
    return png.getvalue()


def _png(model: Oneshot, wanted: Wanted, number: int | None) -> bytes:
    read = _read(model, wanted)
    if number is not None:
        greys = _drawings(model, wanted, read, number + 1, TAKEN)
        return _encoded(Image.fromarray(greys[number]))
    greys = _drawings(model, wanted, read, N, SHOWN)
    given = [of_mask(each.mask, SHOWN) for each in read]
    if wanted.alphabet:
        groups = [Group("given", given, given=True), Group("new", greys)]
    else:
        groups = [Group("", greys, given[0])]
    return _encoded(sheet(groups, COLUMNS))


def _svg(model: Oneshot, wanted: Wanted, number: int | None) -> bytes:
    count = N if number is None else number + 1
    greys = _drawings(model, wanted, _read(model, wanted), count, TAKEN)
    text = svg_sheet(greys, COLUMNS, TAKEN // 10) if number is None else svg_of(greys[number])
    return text.encode()


def _gif(model: Oneshot, wanted: Wanted, number: int | None) -> bytes:
    """The film of one drawing beside its letter, or of all in rows of COLUMNS."""
    made = _film(model, wanted, FILMED if number is None else SHOWN)
    side = made.frames.shape[-1]
    seen = None if wanted.alphabet else of_mask(_read(model, wanted)[0].mask, side)
    rows = (
        [slice(number, number + 1)]
        if number is not None
        else [slice(first, first + COLUMNS) for first in range(0, N, COLUMNS)]
    )
    frames = film([made.strip(seen, drawings=row) for row in rows])
    return film_bytes(frames, "gif", fps=FPS, hold=HOLD)
