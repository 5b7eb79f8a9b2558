"""Draws the exemplars of this folder, and the letters: `python docs/exemplars/make_exemplars.py`.

The real drawings come from Omniglot (`--data-dir` or ONESHOT_DATA), held-out characters of the weak
split; the others are invented here. Needs matplotlib, for its DejaVu Sans.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

from oneshot_cli import data

HERE = Path(__file__).parent
LETTERS = HERE.parent / "letters"
OVERSAMPLED = 2

OMNIGLOT = {
    HERE / "omniglot-sanskrit-01.png": ("Sanskrit/character01", 3),
    HERE / "omniglot-tibetan-02.png": ("Tibetan/character02", 5),
    HERE / "omniglot-futhorc-03.png": ("Anglo-Saxon_Futhorc/character03", 7),
    LETTERS / "futhorc-01.png": ("Anglo-Saxon_Futhorc/character01", 2),
    LETTERS / "futhorc-02.png": ("Anglo-Saxon_Futhorc/character02", 2),
    LETTERS / "futhorc-03.png": ("Anglo-Saxon_Futhorc/character03", 2),
}


def pen(size: tuple[int, int], strokes: list[np.ndarray], width: float) -> np.ndarray:
    """How much ink a round pen leaves along `strokes` (N, 2) on a (width, height) sheet, 0 to 1."""
    sheet = Image.new("L", (OVERSAMPLED * size[0], OVERSAMPLED * size[1]), 0)
    draw = ImageDraw.Draw(sheet)
    for stroke in strokes:
        length = np.linspace(0, 1, len(stroke))
        for (x, y), along in zip(stroke * OVERSAMPLED, length, strict=True):
            radius = OVERSAMPLED * width / 2 * (1 + 0.15 * np.sin(9 * along) - 0.35 * along**6)
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(sheet.resize(size, Image.Resampling.LANCZOS), float) / 255


def curve(*points: tuple[float, float]) -> np.ndarray:
    """A smooth line (400, 2) through the Bezier polygon of `points`."""
    polygon = np.repeat(np.array(points, float)[None], 400, 0)
    t = np.linspace(0, 1, 400)[:, None, None]
    while polygon.shape[1] > 1:
        polygon = (1 - t) * polygon[:, :-1] + t * polygon[:, 1:]
    return polygon[:, 0]


def photo() -> Image.Image:
    """A rune in ballpoint on paper, photographed at a slant of light, with a shadow and noise."""
    width, height = 1000, 750
    strokes = [
        curve((430, 150), (415, 330), (425, 470), (410, 620)),
        curve((425, 190), (560, 150), (640, 260), (560, 330), (490, 390), (430, 385)),
        curve((520, 360), (560, 450), (610, 540), (690, 585)),
        curve((330, 500), (400, 490), (470, 480), (520, 470)),
    ]
    ink = pen((width, height), strokes, 13)
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] / width
    light = 0.92 - 0.30 * x - 0.22 * y + 0.03 * np.sin(9 * x + 4 * y)
    light *= 1 - 0.25 / (1 + np.exp(-60 * (x + 0.5 * y - 0.95)))
    paper = light + 0.012 * rng.standard_normal((height, width))
    grey = paper * (1 - 0.7 * ink) + 0.01 * rng.standard_normal((height, width))
    tinted = grey[..., None] * np.array([1.0, 0.965, 0.89]) + ink[..., None] * [0, 0, 0.06]
    return Image.fromarray((255 * np.clip(tinted, 0, 1)).astype(np.uint8))


def chalk() -> Image.Image:
    """A glyph in white on a transparent ground."""
    strokes = [
        curve((60, 190), (60, 60), (200, 20), (235, 130)),
        curve((235, 130), (240, 220), (130, 250), (110, 175)),
        curve((110, 175), (100, 120), (180, 100), (190, 165)),
    ]
    ink = Image.fromarray((255 * pen((300, 260), strokes, 16)).astype(np.uint8))
    glyph = Image.new("RGBA", ink.size, (255, 255, 255, 0))
    glyph.putalpha(ink)
    return glyph


def symbol() -> Image.Image:
    """An umbrella from a font: filled and thin at once."""
    picture = Image.new("L", (240, 240), 255)
    font = ImageFont.truetype(findfont("DejaVu Sans"), 190)
    ImageDraw.Draw(picture).text((120, 120), "\N{UMBRELLA}", fill=0, font=font, anchor="mm")
    return picture


def main() -> None:
    photo().save(HERE / "pen-photo.jpg", quality=82)
    chalk().save(HERE / "chalk-transparent.png", optimize=True)
    symbol().save(HERE / "font-umbrella.png", optimize=True)
    drawings = data.load("omniglot", split="weak", part="test", size=105)
    for path, (character, number) in OMNIGLOT.items():
        index = drawings.characters.index(character)
        ink = drawings.images[drawings.character == index][number].numpy()
        Image.fromarray(255 - 255 * ink).convert("1").save(path, optimize=True)


if __name__ == "__main__":
    main()
