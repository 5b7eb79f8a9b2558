"""How many pictures of glyphs are read right: kinds of pictures as people bring them, in grades.

`python -m benchmarks.reading` draws each kind at four strengths with several glyphs, reads the
pictures and prints the share that is read right. `--save FOLDER` keeps the pictures.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter
from scipy.special import expit
from torch import Tensor

from oneshot_cli.errors import OneshotError
from oneshot_cli.imaging.distances import ink_distance
from oneshot_cli.imaging.exemplar import exemplar

Ink = NDArray[np.float64]
"""Ink (H, W) in [0, 1]."""

GLYPHS = Path(__file__).parent.parent / "docs" / "glyphs"
CLEAN = ("at", "cat", "clef", "eight", "fish", "five", "house", "omega", "question", "star", "sun")
"""Glyphs with a clean picture in docs/glyphs, from which the graded pictures are made."""

STRENGTHS = (1, 2, 3, 4)

SAME = 0.6
"""Pixels of 28 between the ink of two pictures of a glyph; people's drawings differ by 0.8."""

SAME_TINY = 1.0
"""The same for pictures that were reduced to a few pixels."""


def glyph_ink(name: str) -> Ink:
    """The ink of a glyph's picture, cut to its bounding box."""
    grey = np.asarray(Image.open(GLYPHS / f"{name}.png").convert("L"), float) / 255
    border = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    ink = np.abs(grey - border) > 0.5 * np.abs(grey - border).max()
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(float)


def placed(ink: Ink, height: int, width: int, longer: float, at: tuple[float, float]) -> Ink:
    """The ink with its longer side `longer` pixels, centred at (row, column) `at` of a sheet."""
    scale = longer / max(ink.shape)
    size = (max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale)))
    small = Image.fromarray(np.uint8(255 * ink)).resize(size, Image.Resampling.LANCZOS)
    sheet = Image.new("L", (width, height), 0)
    sheet.paste(small, (round(at[1] - size[0] / 2), round(at[0] - size[1] / 2)))
    return np.asarray(sheet, float) / 255


def bytes_of(levels: Any) -> NDArray[np.uint8]:
    """Levels in [0, 1] as bytes."""
    return np.uint8(np.round(255 * np.clip(levels, 0, 1)))


@dataclass
class Sheet:
    """A glyph on paper: colours (H, W, 3) in [0, 1], and what makes it."""

    rng: np.random.Generator
    strength: int
    ink: Ink
    paper: tuple[float, float, float] = (0.92, 0.90, 0.86)
    pen: tuple[float, float, float] = (0.15, 0.15, 0.22)

    @classmethod
    def with_glyph(
        cls,
        glyph: Ink,
        rng: np.random.Generator,
        strength: int,
        size: tuple[int, int] = (1000, 760),
        share: float | None = None,
    ) -> Sheet:
        """The glyph somewhere near the middle, `share` of the shorter side long."""
        height, width = size
        longer = (share or rng.uniform(0.3, 0.5)) * min(size)
        at = (height * rng.uniform(0.42, 0.58), width * rng.uniform(0.42, 0.58))
        return cls(rng, strength, placed(glyph, height, width, longer, at))

    def colours(self, under: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """The pen's colour on the paper, or on the printed paper `under` (H, W, 3)."""
        paper = np.ones((*self.ink.shape, 3)) * self.paper if under is None else under
        ink = self.ink[..., None]
        return np.asarray(paper * (1 - ink) + np.minimum(paper, self.pen) * ink)

    def photo(
        self, colours: NDArray[np.float64], light: Ink | None = None, noise: float = 0.012
    ) -> bytes:
        """A JPEG: a slant of light, blur and noise."""
        height, width = self.ink.shape
        y, x = np.mgrid[:height, :width] / max(height, width)
        slant = 1 - self.rng.uniform(0, 0.3) * x - self.rng.uniform(0, 0.2) * y
        lit = colours * (slant if light is None else slant * light)[..., None]
        lit = gaussian_filter(lit, (1, 1, 0)) + noise * self.rng.standard_normal(lit.shape)
        return saved(Image.fromarray(bytes_of(lit)), "JPEG", quality=85)


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """The picture's file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def rules(
    sheet: Sheet,
    spacing: float,
    squared: bool,
    thickness: int,
    tone: tuple[float, ...],
    margin: bool = True,
    angle: float = 0.0,
) -> NDArray[np.float64]:
    """Paper with printed rules, (H, W, 3)."""
    height, width = sheet.ink.shape
    side = 2 * max(height, width)
    lines = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(lines)
    for at in np.arange(sheet.rng.uniform(0, spacing), side, spacing):
        draw.line((0, at, side, at), fill=255, width=thickness)
        if squared:
            draw.line((at, 0, at, side), fill=255, width=thickness)
    if margin and not squared:
        at = side / 2 - 0.36 * width
        draw.line((at, 0, at, side), fill=255, width=thickness)
    lines = lines.rotate(angle, Image.Resampling.BICUBIC)
    left, top = (side - width) // 2, (side - height) // 2
    mask = np.asarray(lines.crop((left, top, left + width, top + height)), float)[..., None] / 255
    return np.asarray(np.array(sheet.paper) * (1 - mask) + np.array(tone) * mask)


BLUE = (0.48, 0.60, 0.76)


def shadow(sheet: Sheet, width: float) -> Ink:
    """The light of a shadow whose edge crosses the glyph, `width` pixels soft."""
    height, broad = sheet.ink.shape
    y, x = np.mgrid[:height, :broad]
    rows, columns = np.nonzero(sheet.ink > 0.5)
    angle = sheet.rng.uniform(-0.5, 0.5)
    along = (x - np.median(columns)) * np.cos(angle) + (y - np.median(rows)) * np.sin(angle)
    if sheet.rng.random() < 0.3:
        along = (y - np.median(rows)) * np.cos(angle) + (x - np.median(columns)) * np.sin(angle)
    side = sheet.rng.choice([-1, 1])
    dark = 1 - 0.13 * (sheet.strength + 1)
    return np.asarray(dark + (1 - dark) * expit(side * along / width))


def hard_shadow(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """A shadow's sharp edge across the glyph."""
    sheet = Sheet.with_glyph(glyph, rng, strength)
    return sheet.photo(sheet.colours(), shadow(sheet, 0.7))


def soft_shadow(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """A shadow's soft edge across the glyph."""
    sheet = Sheet.with_glyph(glyph, rng, strength)
    return sheet.photo(sheet.colours(), shadow(sheet, rng.uniform(8, 30)))


def on_desk(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """A sheet on a desk, from dark to nearly as light as the paper."""
    sheet = Sheet.with_glyph(glyph, rng, strength, share=rng.uniform(0.25, 0.35))
    height, width = sheet.ink.shape
    tone = np.array([[0.25, 0.14, 0.1], [0.4, 0.28, 0.18], [0.55, 0.42, 0.3], [0.66, 0.55, 0.42]])
    grain = gaussian_filter(rng.standard_normal((height, width)), (1, 12))
    desk = tone[strength - 1] * (1 + 0.25 * grain[..., None])
    sides = [rng.uniform(0.1, 0.16) for _ in range(4)]
    box = (sides[0] * width, sides[1] * height, (1 - sides[2]) * width, (1 - sides[3]) * height)
    paper = Image.new("L", (width, height), 0)
    ImageDraw.Draw(paper).rectangle(box, fill=255)
    paper = paper.rotate(rng.uniform(-9, 9), Image.Resampling.BICUBIC)
    on = np.asarray(paper, float)[..., None] / 255
    return sheet.photo(sheet.colours() * on + desk * (1 - on), noise=0.02)


def at_desk_edge(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """A sheet that leaves one or two sides of a dark desk visible."""
    sheet = Sheet.with_glyph(glyph, rng, strength)
    height, width = sheet.ink.shape
    y, x = np.mgrid[:height, :width]
    edge = 0.03 * strength
    desk = x < width * edge + 0.05 * y
    if strength > 2:
        desk |= y > height * (1 - edge) - 0.04 * x
    colours = sheet.colours()
    colours[desk] = (0.25, 0.16, 0.12)
    return sheet.photo(colours, noise=0.02)


def black_border(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """A scan with a black border on one to four sides."""
    sheet = Sheet.with_glyph(glyph, rng, strength)
    colours = sheet.colours() + 0.004 * rng.standard_normal((*sheet.ink.shape, 3))
    height, width = sheet.ink.shape
    broad = [int(rng.uniform(0.02, 0.09) * width) for _ in range(4)]
    for side in range(strength):
        rows = slice(*((0, broad[0]), (0, height), (height - broad[2], height), (0, height))[side])
        columns = slice(*((0, width), (0, broad[1]), (0, width), (width - broad[3], width))[side])
        colours[rows, columns] = 0.04
    return saved(Image.fromarray(bytes_of(colours)), "JPEG", quality=90)


def ruled_scan(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """A clean scan of ruled paper: closer, thicker and darker rules with each strength."""
    sheet = Sheet.with_glyph(glyph, rng, strength, (800, 800))
    tone = tuple(np.array(BLUE) * (1.1 - 0.12 * strength))
    lines = rules(sheet, 110 - 15 * strength, False, 1 + strength // 2, tone)
    return saved(Image.fromarray(bytes_of(sheet.colours(lines))), "PNG")


def squared_scan(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """A clean scan of squared paper."""
    sheet = Sheet.with_glyph(glyph, rng, strength, (800, 800))
    tone = tuple(np.array(BLUE) * (1.1 - 0.12 * strength))
    lines = rules(sheet, 60 - 8 * strength, True, 1 + strength // 3, tone)
    return saved(Image.fromarray(bytes_of(sheet.colours(lines))), "PNG")


def ruled_photo(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """A photo of ruled or squared paper, a little turned."""
    sheet = Sheet.with_glyph(glyph, rng, strength)
    tone = tuple(np.array(BLUE) * (1.15 - 0.1 * strength))
    squared = bool(rng.random() < 0.4)
    spacing = 50 if squared else 70
    return sheet.photo(
        sheet.colours(rules(sheet, spacing, squared, 2, tone, angle=rng.uniform(-4, 4)))
    )


def red_on_rules(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """Red or green pen on blue rules, as dark as it."""
    sheet = Sheet.with_glyph(glyph, rng, strength)
    sheet.pen = ((0.8, 0.25, 0.22), (0.75, 0.3, 0.3), (0.2, 0.55, 0.3), (0.85, 0.4, 0.35))[
        strength - 1
    ]
    tone = tuple(np.array(BLUE) * 1.1)
    return sheet.photo(sheet.colours(rules(sheet, 45, False, 2, tone, angle=rng.uniform(-3, 3))))


def highlighter(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """A colour that is about as bright as the paper, in a photo or a scan."""
    sheet = Sheet.with_glyph(glyph, rng, strength)
    sheet.pen = ((1, 0.87, 0.2), (0.6, 0.95, 0.4), (1, 0.6, 0.75), (1, 0.93, 0.45))[strength - 1]
    if rng.random() < 0.5:
        return saved(Image.fromarray(bytes_of(sheet.colours())), "PNG")
    return sheet.photo(sheet.colours())


def equal_brightness(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """Green on red, red on blue and the like: one brightness, or nearly."""
    sheet = Sheet.with_glyph(glyph, rng, strength)
    pairs = (
        ((0.8, 0.15, 0.15), (0.1, 0.48, 0.1)),
        ((0.2, 0.31, 0.9), (0.8, 0.15, 0.15)),
        ((0.85, 0.5, 0.5), (0.45, 0.68, 0.4)),
        ((0.45, 0.6, 0.75), (0.75, 0.52, 0.5)),
    )
    sheet.paper, pen = pairs[strength - 1]
    ink = sheet.ink[..., None]
    colours = np.array(sheet.paper) * (1 - ink) + np.array(pen) * ink
    if rng.random() < 0.5:
        return saved(Image.fromarray(bytes_of(colours)), "PNG")
    return sheet.photo(colours)


def shrunk(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """A photo that was reduced to a thumbnail."""
    sheet = Sheet.with_glyph(glyph, rng, strength, (800, 800), share=rng.uniform(0.6, 0.75))
    photo = Image.open(io.BytesIO(sheet.photo(sheet.colours())))
    side = (64, 48, 36, 28)[strength - 1]
    return saved(photo.resize((side, side), Image.Resampling.BOX), "PNG")


def few_bits(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """10, 12, 14 or 16 bits in a 16-bit file."""
    sheet = Sheet.with_glyph(glyph, rng, strength, (400, 400), share=0.6)
    bits = (16, 14, 12, 10)[strength - 1]
    levels = np.round((2**bits - 1) * (1 - 0.9 * sheet.ink)).astype(np.uint16)
    return saved(Image.fromarray(levels), rng.choice(["PNG", "TIFF"]))


def blank_first(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """A recording or a scan whose first pages are blank."""
    sheet = Sheet.with_glyph(glyph, rng, strength, (400, 400), share=0.6)
    pages = [Image.new("L", (400, 400), 255)] * strength
    pages += [Image.fromarray(bytes_of(1 - sheet.ink))]
    kind = ("GIF", "TIFF", "PNG", "WEBP")[int(rng.integers(4))]
    return saved(pages[0], kind, save_all=True, append_images=pages[1:])


def printed_box(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """A box of a form around the glyph; stronger ones are practice cells with dashed lines."""
    sheet = Sheet.with_glyph(glyph, rng, strength, (500, 500), share=rng.uniform(0.45, 0.6))
    rows, columns = np.nonzero(sheet.ink > 0.5)
    middle = ((columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2)
    half = 0.75 * max(np.ptp(rows), np.ptp(columns))
    half = min(half, *middle, 499 - middle[0], 499 - middle[1])
    box = (middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half)
    page = Image.new("RGB", (500, 500), "white")
    draw = ImageDraw.Draw(page)
    tone = ((0, 0, 0), (90, 90, 90), (200, 60, 60), (200, 90, 90))[strength - 1]
    draw.rectangle(box, outline=tone, width=int(rng.integers(2, 5)))
    if strength > 2:
        for start in np.arange(-half, half, 16):
            ends = (start, min(start + 9, half))
            draw.line([(middle[0] + e, middle[1]) for e in ends], fill=tone, width=2)
            draw.line([(middle[0], middle[1] + e) for e in ends], fill=tone, width=2)
    return saved(Image.fromarray(bytes_of(sheet.colours(np.asarray(page) / 255))), "PNG")


def holes_and_fold(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """Punch holes at the edge, and a fold from strength 3."""
    sheet = Sheet.with_glyph(glyph, rng, strength)
    colours = sheet.colours()
    height, width = sheet.ink.shape
    y, x = np.mgrid[:height, :width]
    radius = rng.uniform(14, 26)
    for row in ((0.25, 0.75), (0.3, 0.7), (0.12, 0.38, 0.62, 0.88), (0.25, 0.75))[strength - 1]:
        colours[(x - 0.06 * width) ** 2 + (y - row * height) ** 2 < radius**2] = 0.22
    light = np.ones((height, width))
    if strength > 2:
        light -= 0.25 * np.exp(-(((y - 0.5 * height) / 3) ** 2))
    if strength == 2:
        return saved(Image.fromarray(bytes_of(colours)), "PNG")
    return sheet.photo(colours, light)


def on_transparency(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """White, grey or black ink on transparency, or a dark tile."""
    sheet = Sheet.with_glyph(glyph, rng, strength, (400, 400), share=0.6)
    tone = (0, 255, 128, 255)[strength - 1]
    picture = Image.new("RGBA", (400, 400), (tone, tone, tone, 0))
    picture.putalpha(Image.fromarray(bytes_of(sheet.ink)))
    if strength == 4:
        tile = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
        ImageDraw.Draw(tile).rounded_rectangle((8, 8, 392, 392), 60, fill=(20, 20, 60, 255))
        picture = Image.alpha_composite(tile, picture)
    return saved(picture, "PNG")


def board(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """Light on dark: a screen, chalk, a lamp's light."""
    sheet = Sheet.with_glyph(glyph, rng, strength)
    ink = sheet.ink[..., None] * (1 - 0.12 * strength)
    colours = np.array((0.12, 0.2, 0.16)) * (1 - ink) + 0.9 * ink
    if strength == 1:
        return saved(Image.fromarray(bytes_of(colours)), "PNG")
    height, width = sheet.ink.shape
    y, x = np.mgrid[:height, :width] / width
    lamp = 0.5 + 0.5 * np.exp(-((x - 0.4) ** 2 + (y - 0.5) ** 2) / 0.2)
    return sheet.photo(colours, lamp)


def faint(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """Pencil: ever fainter strokes on noisy paper."""
    sheet = Sheet.with_glyph(glyph, rng, strength)
    tone = 0.5 + 0.07 * strength
    sheet.pen = (tone, tone, tone)
    return sheet.photo(sheet.colours(), noise=0.015)


def lamp_light(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """The light of a lamp: corners darker than the ink in the middle."""
    sheet = Sheet.with_glyph(glyph, rng, strength)
    height, width = sheet.ink.shape
    y, x = np.mgrid[:height, :width] / width
    spread = (0.5, 0.3, 0.2, 0.14)[strength - 1]
    lamp = 0.15 + 0.85 * np.exp(-((x - 0.45) ** 2 + (y - 0.6) ** 2) / spread)
    return sheet.photo(sheet.colours(), lamp, noise=0.008)


def placed_anywhere(glyph: Ink, rng: np.random.Generator, strength: int) -> bytes:
    """Far from the middle, small on the page, or cut tightly."""
    if strength == 4:
        tight = np.pad(placed(glyph, 400, 400, 380, (200, 200)), 2)
        rows, columns = np.flatnonzero(tight.any(1)), np.flatnonzero(tight.any(0))
        tight = tight[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return saved(Image.fromarray(bytes_of(1 - tight)), "PNG")
    longer = (300, 160, 100)[strength - 1]
    at = (rng.uniform(200, 800), rng.uniform(200, 560))
    return saved(Image.fromarray(bytes_of(1 - placed(glyph, 1000, 760, longer, at))), "PNG")


KINDS: dict[str, Callable[[Ink, np.random.Generator, int], bytes]] = {
    "hard shadow": hard_shadow,
    "soft shadow": soft_shadow,
    "sheet on a desk": on_desk,
    "desk at the edge": at_desk_edge,
    "black border": black_border,
    "ruled scan": ruled_scan,
    "squared scan": squared_scan,
    "ruled photo": ruled_photo,
    "red on rules": red_on_rules,
    "highlighter": highlighter,
    "equal brightness": equal_brightness,
    "shrunk photo": shrunk,
    "few bits": few_bits,
    "blank first page": blank_first,
    "printed box": printed_box,
    "holes and fold": holes_and_fold,
    "transparency": on_transparency,
    "board": board,
    "pencil": faint,
    "lamp": lamp_light,
    "placement": placed_anywhere,
}


@dataclass(frozen=True)
class Reading:
    """One graded picture, and how far what was read is from the glyph, in pixels of 28."""

    kind: str
    strength: int
    glyph: str
    file: bytes
    distance: float
    error: str = ""

    @property
    def right(self) -> bool:
        """Whether the glyph was read."""
        return self.distance < (SAME_TINY if self.kind == "shrunk photo" else SAME)


@cache
def read_clean(glyph: str) -> Tensor:
    """What is read of a clean picture of a glyph, (1, 28, 28)."""
    return exemplar(1 - placed(glyph_ink(glyph), 500, 500, 300, (250, 250)), 28)


def readings(
    glyphs: tuple[str, ...] = CLEAN,
    kinds: tuple[str, ...] = tuple(KINDS),
    per_grade: int = 3,
    seed: int = 0,
) -> Iterator[Reading]:
    """Each kind at each strength with `per_grade` glyphs, read. The same for the same seed."""
    for kind in kinds:
        for strength in STRENGTHS:
            rng = np.random.default_rng([list(KINDS).index(kind), strength, seed])
            for name in rng.choice(glyphs, per_grade, replace=False):
                picture = KINDS[kind](glyph_ink(str(name)), rng, strength)
                expected = read_clean(str(name))
                try:
                    read = exemplar(Image.open(io.BytesIO(picture)), 28)
                    distance = ink_distance(read[None] > 0.5, expected[None] > 0.5).item()
                    error = ""
                except OneshotError as problem:
                    distance, error = float("inf"), str(problem)
                yield Reading(kind, strength, str(name), picture, distance, error)


def main() -> None:
    """Print the share of each kind and of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=KINDS)
    parser.add_argument("--per-grade", type=int, default=5)
    parser.add_argument("--save", type=Path, help="write the pictures that are read wrongly here")
    parser.add_argument("--json", type=Path, help="write the shares here")
    parser.add_argument("--seed", type=int, default=1, help="the reader was made with seed 0")
    options = parser.parse_args()
    shares: dict[str, list[float]] = {}
    right = number = 0
    for kind in options.kinds:
        found = list(readings(kinds=(kind,), per_grade=options.per_grade, seed=options.seed))
        shares[kind] = [
            float(np.mean([each.right for each in found if each.strength == strength]))
            for strength in STRENGTHS
        ]
        right, number = right + sum(each.right for each in found), number + len(found)
        grades = "  ".join(f"{share:4.0%}" for share in shares[kind])
        print(f"{kind:18} {grades}")
        for index, each in enumerate(found if options.save else []):
            if not each.right:
                name = f"{kind}-{each.strength}-{each.glyph}-{index}".replace(" ", "_")
                options.save.mkdir(parents=True, exist_ok=True)
                (options.save / name).write_bytes(each.file)
    print(f"read right: {right} of {number}, {right / number:.1%}")
    if options.json:
        document = {"right": right, "pictures": number, "seed": options.seed, "shares": shares}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
