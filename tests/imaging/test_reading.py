"""Pictures as people bring them: photos, scans, recordings, forms. All are read as the glyph."""

from __future__ import annotations

import io
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from benchmarks.reading import SAME, glyph_ink, placed, readings
from oneshot_cli.errors import OneshotError, UsageError
from oneshot_cli.imaging.characters import characters
from oneshot_cli.imaging.distances import ink_distance
from oneshot_cli.imaging.exemplar import Reading, drawing, exemplar
from oneshot_cli.imaging.reading import read_picture

FIELD = Path(__file__).parents[1] / "fixtures" / "field"
PICTURES = sorted(path for path in FIELD.iterdir() if path.suffix != ".md")


def same(a: torch.Tensor, b: torch.Tensor, tolerance: float = SAME) -> bool:
    return ink_distance(a[None] > 0.5, b[None] > 0.5).item() < tolerance


def page(name: str = "five", longer: float = 300) -> Image.Image:
    """A clean picture of a glyph."""
    ink = placed(glyph_ink(name), 400, 500, longer, (200, 250))
    return Image.fromarray(np.uint8(255 * (1 - ink)))


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_pictures_from_the_field_are_read_as_their_glyph(path: Path) -> None:
    part = 1 if path.name == "three_characters.png" else None
    expected = exemplar(FIELD / "ref.png", 28)
    tolerance = 1.0 if path.name == "phone_shrunk_28.png" else SAME
    assert same(exemplar(path, 28, Reading(part=part)), expected, tolerance)


def test_graded_pictures_of_every_kind_are_read() -> None:
    """The whole set has five glyphs a grade: `python -m benchmarks.reading`."""
    right = defaultdict(list)
    for each in readings(per_grade=1):
        right[each.kind].append(each.right)
    for kind, found in right.items():
        assert np.mean(found) >= 0.75, kind
    assert np.mean([value for found in right.values() for value in found]) >= 0.95


def test_a_frame_is_read_by_its_number(tmp_path: Path) -> None:
    pages = [page("five"), page("eight"), page("star")]
    for kind in ("gif", "tiff", "webp", "png"):
        path = tmp_path / f"pages.{kind}"
        pages[0].save(path, save_all=True, append_images=pages[1:], lossless=True)
        for number, one in enumerate(pages, 1):
            assert same(exemplar(path, 28, Reading(frame=number)), exemplar(one, 28), 0.1)
        assert same(exemplar(path, 28), exemplar(pages[0], 28), 0.1), "the first, without a number"
        with pytest.raises(OneshotError, match="there is no frame 4: it has 3"):
            exemplar(path, 28, Reading(frame=4))


def test_a_picture_of_the_caller_stays_as_it_is(tmp_path: Path) -> None:
    page().resize((3000, 2000)).convert("RGB").save(tmp_path / "photo.jpg")
    with Image.open(tmp_path / "photo.jpg") as photo:
        exemplar(photo, 28)
        assert photo.size == (3000, 2000)
    film = [page("five"), page("star"), page("eight")]
    film[0].save(tmp_path / "film.gif", save_all=True, append_images=film[1:])
    with Image.open(tmp_path / "film.gif") as opened:
        opened.seek(1)
        exemplar(opened, 28, Reading(frame=3))
        assert opened.tell() == 1


def test_a_blank_first_frame_is_passed_over(tmp_path: Path) -> None:
    blank = Image.new("L", (500, 400), 255)
    later = [blank, page("five"), page("eight")]
    blank.save(tmp_path / "pages.tiff", save_all=True, append_images=later)
    assert same(exemplar(tmp_path / "pages.tiff", 28), exemplar(page("five"), 28), 0.1), "a page"
    blank.save(tmp_path / "film.gif", save_all=True, append_images=later)
    assert same(exemplar(tmp_path / "film.gif", 28), exemplar(page("eight"), 28), 0.1), "the end"


def test_a_box_is_left_out_or_kept_as_asked() -> None:
    boxed = page("five", 200)
    ImageDraw.Draw(boxed).rectangle((90, 40, 410, 360), outline=0, width=2)
    plain = exemplar(page("five", 200), 28)
    assert same(exemplar(boxed, 28), plain)
    assert drawing(boxed, 28).box == "removed"
    assert same(exemplar(boxed, 28, Reading(box="remove")), plain)
    kept = drawing(boxed, 28, Reading(box="keep"))
    assert kept.box == ""
    assert not same(exemplar(boxed, 28, Reading(box="keep")), plain)
    thick = page("five", 200)
    ImageDraw.Draw(thick).rectangle((90, 40, 410, 360), outline=0, width=12)
    assert drawing(thick, 28).box == "kept", "as thick as the strokes: perhaps a character"
    with pytest.raises(UsageError, match="box is 'maybe'"):
        Reading(box="maybe")


def test_a_character_with_an_inner_frame_is_no_box() -> None:
    sun = Image.new("L", (300, 300), 255)
    draw = ImageDraw.Draw(sun)
    draw.rectangle((80, 60, 220, 240), outline=0, width=10)
    draw.line((80, 150, 220, 150), fill=0, width=10)
    assert drawing(sun, 28).box == ""
    rows = torch.nonzero(exemplar(sun, 28).any(1)).flatten()
    assert (rows[-1] - rows[0]).item() >= 16, "the whole character"


def test_several_characters_are_taken_apart() -> None:
    sheet = np.zeros((700, 1200))
    for name, at in {"five": (200, 200), "star": (200, 620), "eight": (520, 400)}.items():
        sheet = np.maximum(sheet, placed(glyph_ink(name), 700, 1200, 220, at))
    picture = Image.fromarray(np.uint8(255 * (1 - sheet)))
    for number, name in enumerate(("five", "star", "eight"), 1):
        assert same(exemplar(picture, 28, Reading(part=number)), exemplar(page(name), 28)), name
    with pytest.raises(OneshotError, match="no character 4 found: there are 3"):
        exemplar(picture, 28, Reading(part=4))


def test_accents_dots_and_loose_strokes_stay_with_their_character() -> None:
    mask = np.zeros((100, 200), bool)
    mask[30:80, 20:26] = mask[15:21, 20:26] = True  # an i
    mask[30:36, 80:120] = mask[52:58, 80:120] = True  # an equals sign
    mask[30:80, 160:166] = mask[50:56, 170:190] = True  # strokes that nearly touch
    found = characters(mask)
    assert len(found) == 3
    assert (np.sum(found, axis=0) == mask).all()
    assert found[0][15:21, 20:26].all()


def test_open_files_and_bytes_are_read_like_paths(tmp_path: Path) -> None:
    page().save(tmp_path / "five.png")
    expected = exemplar(tmp_path / "five.png", 28)
    content = (tmp_path / "five.png").read_bytes()
    assert torch.equal(exemplar(content, 28), expected)
    assert torch.equal(exemplar(io.BytesIO(content), 28), expected)
    with (tmp_path / "five.png").open("rb") as file:
        assert torch.equal(exemplar(file, 28), expected)
    with pytest.raises(OneshotError, match="is not a picture"):
        exemplar(b"no picture", 28)


def test_coloured_arrays_and_tensors_are_read(tmp_path: Path) -> None:
    ink = placed(glyph_ink("five"), 400, 500, 300, (200, 250))[..., None]
    rgb = np.array([0.8, 0.15, 0.15]) * (1 - ink) + np.array([0.1, 0.48, 0.1]) * ink
    expected = exemplar(page("five"), 28)
    assert same(exemplar(rgb, 28), expected)
    assert same(exemplar(np.uint8(255 * rgb), 28), expected)
    assert same(exemplar(torch.tensor(rgb).permute(2, 0, 1), 28), expected)
    clear = np.dstack([np.ones_like(rgb), ink])
    assert same(exemplar(clear, 28), expected), "white on transparency"


def test_svg_is_rendered() -> None:
    text = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 50 50">'
        '<path d="M15 10 L15 40 L35 40" fill="none" stroke="black" stroke-width="2"/></svg>'
    )
    drawn = Image.new("L", (500, 500), 255)
    ImageDraw.Draw(drawn).line([(150, 100), (150, 400), (350, 400)], fill=0, width=20)
    assert same(exemplar(text.encode(), 28), exemplar(drawn, 28), 0.3)
    with pytest.raises(OneshotError, match="damaged"):
        exemplar(b"<svg", 28)


def test_heic_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    page().convert("RGB").save(tmp_path / "photo.heic", quality=80)
    assert same(exemplar(tmp_path / "photo.heic", 28), exemplar(page(), 28), 0.2)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(OneshotError, match="is not a regular file"):
        read_picture(tmp_path / "pipe.png")
    with pytest.raises(OneshotError, match="is a URL"):
        read_picture("https://example.org/a.png")


def test_only_listed_formats_are_decoded(tmp_path: Path) -> None:
    """EPS would start Ghostscript."""
    page().convert("RGB").save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    with pytest.raises(OneshotError, match="is not a picture that can be read"):
        read_picture(tmp_path / "a.png")
