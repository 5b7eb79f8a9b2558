"""Any picture of a glyph comes out as the same centred ink; what is no picture is refused."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from oneshot_cli.errors import OneshotError
from oneshot_cli.imaging.distances import ink_distance
from oneshot_cli.imaging.exemplar import exemplar, omniglot_drawing
from oneshot_cli.imaging.reading import read_picture
from oneshot_cli.imaging.resampling import box_ink

STROKES = [[(20, 10), (20, 90)], [(20, 12), (70, 30), (22, 50)], [(40, 46), (75, 90)]]
SAME = 0.6
"""Pixels of 28 between the ink of two pictures of the glyph; people differ by 0.8."""


def glyph(
    width: int = 400,
    height: int = 300,
    at: tuple[int, int] = (110, 60),
    pen: int = 9,
    by: float = 2,
) -> NDArray[np.float64]:
    """The ink, 0 to 1, of an R-like glyph whose box is 55 x 80 times `by`, placed at `at`."""
    sheet = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(sheet)
    for stroke in STROKES:
        points = [(at[0] + by * (x - 20), at[1] + by * (y - 10)) for x, y in stroke]
        draw.line(points, fill=255, width=pen, joint="curve")
        for x, y in points:
            draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)
    return np.asarray(sheet, float) / 255


def reference() -> torch.Tensor:
    """The glyph at 28 x 28, drawn by other means: as long as Omniglot's, centred, with its pen."""
    by = 0.65 * 840 / 80
    left, top = (840 - 55 * by) / 2, (840 - 80 * by) / 2
    ink = Image.fromarray(glyph(840, 840, (round(left), round(top)), 42, by))
    return torch.tensor(np.asarray(ink.resize((28, 28), Image.Resampling.BOX)))


def bytes_of(levels: NDArray[np.float64]) -> NDArray[np.uint8]:
    return (255 * levels.clip(0, 1)).round().astype(np.uint8)


def with_alpha(tone: int, ink: NDArray[np.float64]) -> Image.Image:
    picture = Image.new("RGBA", (ink.shape[1], ink.shape[0]), (tone, tone, tone, 0))
    picture.putalpha(Image.fromarray(bytes_of(ink)))
    return picture


def photo() -> Image.Image:
    """A slant of light, a hard shadow across the glyph, noise, warm paper, a dark table's edge."""
    ink = glyph(900, 700, (300, 120), 16, 5)
    y, x = np.mgrid[:700, :900] / 900
    light = (0.95 - 0.4 * x - 0.2 * y) * np.where(x + 0.4 * y > 0.7, 0.7, 1)
    grey = light * (1 - 0.65 * ink) + 0.02 * np.random.default_rng(0).standard_normal((700, 900))
    grey[:, :25] *= 0.2
    return Image.fromarray(bytes_of(grey[..., None] * np.array([1, 0.95, 0.85])))


def lamp() -> Image.Image:
    """The same in the light of a lamp: its corners are darker than the ink in the middle."""
    ink = glyph(900, 700, (300, 120), 16, 5)
    y, x = np.mgrid[:700, :900] / 900
    light = 0.12 + 0.8 * np.exp(-((x - 0.45) ** 2 + (y - 0.35) ** 2) / 0.08)
    return Image.fromarray(bytes_of(light * (1 - 0.7 * ink)))


def hand() -> Image.Image:
    """A hand reaches in from the corner, its edge loose from the border."""
    picture = photo()
    ImageDraw.Draw(picture).ellipse((780, 520, 1000, 760), fill=(120, 90, 80))
    ImageDraw.Draw(picture).ellipse((760, 500, 790, 530), fill=(90, 70, 60))
    return picture


def colours() -> Image.Image:
    """Red on a blue that is as bright."""
    ink = Image.fromarray(bytes_of(glyph()))
    blank = Image.new("RGB", ink.size, (50, 80, 230))
    blank.paste((204, 38, 38), (0, 0), ink)
    return blank


def pencil() -> Image.Image:
    """Faint strokes on grey, noisy paper."""
    noise = 0.02 * np.random.default_rng(1).standard_normal((700, 900))
    return Image.fromarray(bytes_of(0.7 * (1 - 0.2 * glyph(900, 700, (300, 120), 16, 5)) + noise))


def huge() -> Image.Image:
    """A page scanned at a high resolution, the glyph in a corner."""
    page = Image.new("L", (6000, 8000), 255)
    page.paste(grey(glyph(800, 1100, (40, 40), 40, 12)), (3600, 5200))
    return page


def plate() -> Image.Image:
    """White on a dark tile with round corners, transparent around it."""
    picture = Image.new("RGBA", (420, 320), (0, 0, 0, 0))
    ImageDraw.Draw(picture).rounded_rectangle((10, 10, 410, 310), 50, fill=(20, 20, 60, 255))
    picture.paste((255, 255, 255, 255), (10, 10), Image.fromarray(bytes_of(glyph())))
    return picture


def grey(ink: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(bytes_of(1 - ink))


PICTURES: dict[str, tuple[str, Callable[[], Image.Image]]] = {
    "dark on light": ("png", lambda: grey(glyph())),
    "light on dark": ("png", lambda: Image.fromarray(bytes_of(glyph()))),
    "low contrast": ("png", lambda: Image.fromarray(bytes_of(0.55 - 0.1 * glyph()))),
    "white, transparent": ("png", lambda: with_alpha(255, glyph())),
    "black, transparent": ("png", lambda: with_alpha(0, glyph())),
    "grey, transparent": ("webp", lambda: with_alpha(128, glyph())),
    "tile, transparent": ("png", plate),
    "palette": ("gif", lambda: grey(glyph()).convert("P")),
    "bilevel": ("png", lambda: grey(glyph()).convert("1")),
    "CMYK": ("jpg", lambda: grey(glyph()).convert("CMYK")),
    "16 bits": ("png", lambda: Image.fromarray(((1 - glyph()) * 65535).astype(np.uint16))),
    "floats": ("tif", lambda: Image.fromarray((40 - 30 * glyph()).astype(np.float32))),
    "hairline": ("png", lambda: grey(glyph(pen=1))),
    "thick": ("png", lambda: grey(glyph(pen=26))),
    "off centre": ("png", lambda: grey(glyph(900, 900, (760, 20), 4, 1))),
    "touching the border": ("png", lambda: grey(glyph(119, 169, (4, 4)))),
    "specks": ("png", lambda: grey(np.maximum(glyph(), np.pad([[1.0]], [(40, 259), (380, 19)])))),
    "tiny": ("png", lambda: grey(glyph()).crop((90, 50, 240, 230)).resize((20, 24))),
    "photo": ("jpg", photo),
    "pencil": ("jpg", pencil),
    "lamp": ("jpg", lamp),
    "hand": ("jpg", hand),
    "colours of one brightness": ("png", colours),
    "huge": ("png", huge),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_every_kind_of_picture_gives_the_same_ink(kind: str, tmp_path: Path) -> None:
    ending, make = PICTURES[kind]
    path = tmp_path / f"glyph.{ending}"
    make().save(path)
    ink = exemplar(path, 28)
    assert ink.shape == (28, 28)
    assert set(ink.unique().tolist()) == {0.0, 1.0}
    tolerance = 2 * SAME if kind in ("tiny", "thick") else SAME
    assert ink_distance(ink[None] > 0.5, reference()[None] > 0.5).item() < tolerance
    rows, columns = (torch.nonzero(ink.any(axis)).flatten() for axis in (1, 0))
    assert abs((rows[0] + rows[-1]).item() / 2 - 13.5) <= 1, "centred"
    assert abs((columns[0] + columns[-1]).item() / 2 - 13.5) <= 1, "centred"
    assert 16 <= (rows[-1] - rows[0] + 1).item() <= 21, "as long as Omniglot's drawings are"


def test_exif_orientation_is_undone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: to be shown a quarter turn clockwise
    turned = grey(glyph()).transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    ink = exemplar(tmp_path / "turned.jpg", 28)
    assert ink_distance(ink[None] > 0.5, reference()[None] > 0.5).item() < SAME


def test_first_frame_of_an_animation_is_read(tmp_path: Path) -> None:
    first, blank = grey(glyph()), Image.new("L", (400, 300), 255)
    first.save(tmp_path / "film.gif", save_all=True, append_images=[blank, blank])
    assert torch.equal(exemplar(tmp_path / "film.gif", 28), exemplar(first, 28))


def test_arrays_tensors_and_pictures_are_read_like_files(tmp_path: Path) -> None:
    levels = bytes_of(1 - glyph())
    Image.fromarray(levels).save(tmp_path / "glyph.png")
    expected = exemplar(tmp_path / "glyph.png", 28)
    for same in (
        str(tmp_path / "glyph.png"),
        Image.fromarray(levels),
        levels,
        levels / 255.0,
        torch.from_numpy(levels / 255.0)[None],
        1 - levels / 255.0,
    ):
        assert torch.equal(exemplar(same, 28), expected)
    with pytest.raises(OneshotError, match="one picture"):
        exemplar(np.zeros((5, 8, 8)), 28)


def test_the_model_reads_its_own_size() -> None:
    for size in (26, 28, 52):
        assert exemplar(grey(glyph()), size).shape == (size, size)


def test_filled_shapes_become_contours_and_bold_strokes_lines() -> None:
    disc = Image.new("L", (300, 300), 255)
    ImageDraw.Draw(disc).ellipse((60, 60, 240, 240), fill=0)
    ink = exemplar(disc, 28)
    assert ink[11:17, 11:17].sum() == 0, "hollow"
    assert ink[14].sum() <= 6, "two strokes across"
    bar = Image.new("L", (300, 300), 255)
    ImageDraw.Draw(bar).rectangle((120, 40, 180, 260), fill=0)
    assert exemplar(bar, 28).sum(1).max() <= 2, "one stroke"


def test_dots_stay(tmp_path: Path) -> None:
    colon = Image.new("L", (300, 300), 255)
    for y in (90, 210):
        ImageDraw.Draw(colon).ellipse((135, y - 15, 165, y + 15), fill=0)
    ink = exemplar(colon, 28)
    assert ink[:14].any()
    assert ink[14:].any()


def test_omniglot_passes_unchanged(real_data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(real_data / "omniglot" / "images_evaluation.zip") as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".png"))[::53]
        for name in names:
            content = archive.read(name)
            (tmp_path / "drawing.png").write_bytes(content)
            picture = Image.open(io.BytesIO(content)).convert("L")
            boxed = 255 - np.asarray(
                Image.fromarray(255 - np.asarray(picture)).resize((28, 28), Image.Resampling.BOX)
            )
            expected = torch.from_numpy(boxed <= 127).float()
            assert torch.equal(exemplar(tmp_path / "drawing.png", 28), expected), name


def test_redrawn_omniglot_keeps_its_ink_and_size(real_data: Path) -> None:
    with zipfile.ZipFile(real_data / "omniglot" / "images_evaluation.zip") as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".png"))[::211]
        ink, redrawn, longer = [], [], []
        for name in names:
            picture = Image.open(io.BytesIO(archive.read(name))).convert("L")
            mask = torch.from_numpy((np.asarray(picture) < 128).astype(np.uint8))
            ink.append(box_ink(mask[None], 28).float().mean().item())
            again = exemplar(picture.resize((333, 333), Image.Resampling.BICUBIC), 28)
            redrawn.append(again.mean().item())
            rows, columns = again.any(1).sum().item(), again.any(0).sum().item()
            longer.append(max(rows, columns) / 28)
    assert np.mean(redrawn) == pytest.approx(np.mean(ink), rel=0.1)
    assert np.mean(longer) == pytest.approx(0.64, abs=0.03)


def test_only_fine_two_tone_squares_count_as_omniglot_drawings() -> None:
    paper = np.asarray(glyph(105, 105, (30, 15), 5, 1) <= 0.5, np.float64)
    drawing = (bytes_of(paper) / 255).astype(np.float32)
    assert omniglot_drawing(drawing, 28) is not None
    assert omniglot_drawing(1 - drawing, 28) is not None, "either polarity"
    assert omniglot_drawing(drawing[:, 5:], 28) is None, "not square"
    assert omniglot_drawing(np.pad(drawing, 3, constant_values=1), 28) is None, "another size"
    many = (drawing * 0.5 + np.linspace(0, 0.5, 105)).astype(np.float32)
    assert omniglot_drawing(many, 28) is None, "many tones"
    thick = 1 - (glyph(105, 105, (30, 15), 17, 1) > 0.5).astype(np.float32)
    assert omniglot_drawing(thick, 28) is None, "a thick pen"


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    checksum = struct.pack(">I", zlib.crc32(header))
    begun = struct.pack(">I", 99) + b"IDAT"
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + checksum + begun


def saved(picture: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


BAD: dict[str, tuple[str, Callable[[], bytes]]] = {
    "cut.png": ("damaged or truncated", lambda: saved(photo(), "PNG")[:9000]),
    "cut.jpg": ("damaged or truncated", lambda: saved(photo(), "JPEG")[:9000]),
    "text.png": ("not a picture", lambda: b"this is no picture\n" * 40),
    "empty.png": ("not a picture", lambda: b""),
    "white.png": ("blank", lambda: saved(Image.new("L", (200, 200), 255), "PNG")),
    "grey.png": ("blank", lambda: saved(Image.new("L", (200, 200), 90), "PNG")),
    "pixel.png": ("blank", lambda: saved(Image.new("L", (1, 1), 90), "PNG")),
    "clear.png": ("blank", lambda: saved(Image.new("RGBA", (80, 80), (9, 9, 9, 0)), "PNG")),
    "paper.jpg": (
        "blank",
        lambda: saved(
            Image.fromarray(
                bytes_of(0.7 + 0.02 * np.random.default_rng(0).standard_normal((300, 400)))
            ),
            "JPEG",
        ),
    ),
    "bomb.png": ("more than 100,000,000 pixels", lambda: png_header(12_000, 12_000)),
    "vast.png": ("more than 100,000,000 pixels", lambda: png_header(60_000, 60_000)),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_drawing_is_refused_by_name(name: str, tmp_path: Path) -> None:
    message, content = BAD[name]
    path = tmp_path / name
    path.write_bytes(content())
    with pytest.raises(OneshotError, match=message) as caught:
        exemplar(path, 28)
    assert str(path) in str(caught.value)
    assert str(caught.value).count("\n") <= 1


def test_missing_files_and_folders_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(OneshotError, match=r"nowhere\.png: no such file"):
        exemplar(tmp_path / "nowhere.png", 28)
    with pytest.raises(OneshotError, match="is a folder"):
        exemplar(tmp_path, 28)


def test_pictures_are_averaged_down_to_a_bounded_size(tmp_path: Path) -> None:
    Image.new("L", (5000, 1000), 255).save(tmp_path / "long.png")
    assert read_picture(tmp_path / "long.png").shape == (160, 800, 1)
