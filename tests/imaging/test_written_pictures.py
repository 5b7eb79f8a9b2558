"""Grids and films: what stands where, in which colours, in which files."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from oneshot_cli.errors import OneshotError
from oneshot_cli.imaging.animation import Strip, draw_window, film, palette, save_film
from oneshot_cli.imaging.grid import FRAME, GAP, Group, arranged, beside, paper, sheet
from oneshot_cli.imaging.rendering import cell_side, enlarged, inked, of_mask, save_picture


def tile(level: int, size: int = 28) -> np.ndarray:
    return np.full((size, size), level, np.uint8)


def test_ink_is_black_and_the_outline_stays_when_drawn_larger() -> None:
    probability = torch.tensor([0.0, 0.4, 0.5, 0.6, 1.0]).reshape(5, 1, 1, 1).expand(5, 1, 112, 112)
    own, larger = inked(probability[..., :28, :28], 28), inked(probability, 28)
    assert own.shape == (5, 28, 28)
    assert own[:, 0, 0].tolist() == [255, 153, 128, 102, 0]
    levels = larger[:, 0, 0]
    assert levels[2] == 128, "an even chance stays an even grey"
    assert levels[1] == 255
    assert levels[3] == 0


@pytest.mark.parametrize("size", [52, 112, 208])
def test_outlines_drawn_larger_are_smooth(size: int) -> None:
    """Of a disc whose edge is the model's pixels wide, pixels are as dark as it covers them."""
    line = (torch.arange(size) + 0.5) * 28 / size - 14
    radius = torch.hypot(line[:, None], line[None])
    shown = 1 - inked((9 - radius).mul(4).sigmoid()[None], 28) / 255.0
    finer = (torch.arange(8 * size) + 0.5) * 3.5 / size - 14
    inside = (torch.hypot(finer[:, None], finer[None]) < 9).float()
    covered = inside.unflatten(0, (size, 8)).unflatten(2, (size, 8)).mean((1, 3))
    assert shown == pytest.approx(covered.numpy(), abs=0.2)
    assert np.abs(shown - covered.numpy()).mean() < 0.004


def test_drawn_larger_strokes_keep_their_width_and_lose_what_is_less_than_a_pixel() -> None:
    logits = torch.full((1, 112, 112), -9.0)
    logits[:, 20:90, 40:46] = 5.0  # a pixel and a half of the model's
    logits[:, 50, 80] = 5.0
    ink = 255 - inked(logits.sigmoid(), 28).astype(float)
    assert ink.shape == (112, 112)
    assert ink[30:80, :60].sum(1) / 255 == pytest.approx(np.full(50, 6), abs=0.7)
    assert ink[40:60, 70:90].max() < 2


def test_small_pictures_are_enlarged_by_whole_pixels() -> None:
    checks = (np.indices((28, 28)).sum(0) % 2 * 255).astype(np.uint8)
    large = np.asarray(enlarged(checks, cell_side(28)))
    assert large.shape == (112, 112)
    assert (large == checks.repeat(4, 0).repeat(4, 1)).all()
    framed = np.asarray(enlarged(checks, 115))
    assert (framed[1:113, 1:113] == large).all()
    assert (framed[0] == 255).all()


def test_masks_are_shown_smooth_at_any_size() -> None:
    mask = np.zeros((105, 105), bool)
    mask[20:80, 50:55] = True
    for side in (35, 105, 210):
        shown = of_mask(mask, side)
        assert shown.shape == (side, side)
        assert (255 - shown.astype(float)).mean() / 255 == pytest.approx(mask.mean(), rel=0.05)


def test_sheet_puts_the_exemplar_first_and_the_drawings_in_rows() -> None:
    drawn = [tile(10 * i) for i in range(12)]
    labels = [str(i) for i in range(12)]
    picture = sheet([Group("glyph", drawn, tile(200), labels), Group("other", drawn[:3])])
    pixels = np.asarray(picture)
    first = GAP + 112 + 2 * GAP
    top = GAP + 13 + GAP
    assert tuple(pixels[top + 50, GAP + 50]) == (200, 200, 200)
    assert tuple(pixels[top + 50, GAP - 1]) == FRAME
    for i in range(12):
        row, column = divmod(i, 10)
        x, y = first + column * (112 + GAP), top + row * (112 + GAP + 15)
        assert tuple(pixels[y + 60, x + 60]) == (10 * i,) * 3, i
    assert picture.width == first + 10 * (112 + GAP)


def test_paper_layout_has_the_exemplars_on_top() -> None:
    groups = [Group(str(i), [tile(i), tile(50 + i)], tile(100 + i)) for i in range(3)]
    pixels = np.asarray(paper(groups))
    for i in range(3):
        x = GAP + i * (112 + GAP) + 40
        assert pixels[GAP + 40, x, 0] == 100 + i
        assert pixels[112 + 4 * GAP + 40, x, 0] == i
        assert pixels[112 + 4 * GAP + 112 + GAP + 40, x, 0] == 50 + i


def test_grids_beside_each_other_are_level_at_the_bottom() -> None:
    low, high = (arranged([Group("", [tile(i)] * n)], 1) for i, n in ((0, 1), (9, 2)))
    both = beside(low, high).picture()
    assert both.size == (low.width + 2 * GAP + high.width, high.height)
    assert both.getpixel((GAP + 5, high.height - low.height - 5)) == (255, 255, 255)
    assert both.getpixel((GAP + 5, high.height - GAP - 5)) == (0, 0, 0)
    assert both.getpixel((both.width - GAP - 5, GAP + 5)) == (9, 9, 9)


def test_pictures_are_written_by_their_ending(tmp_path: Path) -> None:
    for ending, kind in ((".png", "PNG"), (".jpg", "JPEG"), (".webp", "WEBP"), (".tif", "TIFF")):
        save_picture(Image.new("RGB", (9, 9)), tmp_path / f"a{ending}")
        with Image.open(tmp_path / f"a{ending}") as picture:
            assert picture.format == kind
    assert len(list(tmp_path.iterdir())) == 4, "no temporary file is left"


def strip(n: int = 2, steps: int = 4, size: int = 28) -> Strip:
    canvases = np.full((n, steps, size, size), 255, np.uint8)
    for t in range(steps):
        canvases[:, t:, 4 + t, 4:20] = 0
    window = torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]).expand(n, steps, 2, 3)
    return Strip(canvases, window, tile(180, size), window)


def test_a_window_is_framed_where_the_map_says() -> None:
    panel = Image.new("RGB", (100, 100), "white")
    draw_window(panel, torch.tensor([[0.5, 0.0, 0.2], [0.0, 0.25, -0.1]]), (255, 0, 0))
    rows, columns = np.nonzero((np.asarray(panel) == (255, 0, 0)).all(-1))
    # centre (0.2, -0.1) is pixel (60, 45); half-widths 0.5 and 0.25 are 25 and 12.5 pixels
    assert [columns.min(), columns.max()] == pytest.approx([35, 85], abs=1.5)
    assert [rows.min(), rows.max()] == pytest.approx([32.5, 57.5], abs=1.5)
    assert tuple(np.asarray(panel)[45, 60]) == (255, 255, 255)


def test_a_film_shows_every_step_and_its_windows() -> None:
    frames = film([strip(), strip()])
    assert len(frames) == 4
    side, first = 112, GAP + 112 + 2 * GAP
    red, other = palette(2)
    early, last = (np.asarray(frames[t]) for t in (1, 3))
    assert early.shape[0] == GAP + 2 * (side + GAP)
    assert (early == red).all(-1)[:, first : first + side].any(), "where the first one writes"
    assert (early == other).all(-1)[:, first + side + GAP :].any(), "and the second"
    assert (early == other).all(-1)[:, GAP : GAP + side].any(), "and where it reads"
    assert not (last == red).all(-1)[:, first:].any(), "the finished drawing is shown alone"
    assert early[GAP + 6 * 4 + 1, first + 40].sum() == 255 * 3, "the third stroke is not drawn yet"
    assert last[GAP + 6 * 4 + 1, first + 40].sum() == 0


def test_a_film_ends_with_the_finished_drawings() -> None:
    finished = np.full((2, 28, 28), 255, np.uint8)
    finished[:, :5] = 0
    drawn = replace(strip(), finished=finished)
    for frames in (film([drawn, strip()]), film([drawn, strip()], fade=True)):
        last = np.asarray(frames[-1])
        assert len(frames) == 5
        assert np.ptp(last.astype(int), axis=-1).max() == 0, "no window, no fresh ink"
        x, y = GAP + 112 + 2 * GAP, GAP + 112 + GAP
        assert (last[GAP : GAP + 20, x : x + 112] == 0).all()
        assert (last[GAP + 22 : GAP + 112, x : x + 112] == 255).all()
    unfaded = np.asarray(film([strip()])[-1])
    assert np.array_equal(last[y:, x:], unfaded[GAP:, x:]), "the others show their canvas"


def test_fresh_strokes_fade_to_black() -> None:
    frames = film([strip(1)], fade=True)
    x, y = GAP + 112 + 2 * GAP + 40, GAP + 4 * 4 + 1
    reds = [np.asarray(frame)[y, x, 0] for frame in frames]
    assert reds[0] == palette(1)[0][0]
    assert all(later < sooner for sooner, later in pairwise(reds))


@pytest.mark.parametrize("ending", [".gif", ".webp", ".png", ".apng"])
def test_animations_loop_and_hold_the_last_frame(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"film{ending}"
    save_film(film([strip(3, 5)]), path, fps=10, hold=2)
    with Image.open(path) as picture:
        assert picture.n_frames == 5
        durations, greys = [], []
        for i in range(5):
            picture.seek(i)
            picture.load()
            durations.append(picture.info["duration"])
            greys.append(np.asarray(picture.convert("RGB"), int))
        assert durations == pytest.approx([100] * 4 + [2000])
        assert picture.info["loop"] == 0
    expected = [np.asarray(frame, int) for frame in film([strip(3, 5)])]
    for got, wanted in zip(greys, expected, strict=True):
        assert abs(got - wanted).max() <= (12 if ending == ".gif" else 0)
        assert (got[0, 0] == 255).all(), "paper is white"


def test_a_film_of_ten_drawings_is_small(tmp_path: Path) -> None:
    save_film(film([strip(10, 20, 52)]), tmp_path / "ten.gif", fps=8, hold=2)
    assert (tmp_path / "ten.gif").stat().st_size < 1_000_000


def test_mp4_is_written_by_the_extra(tmp_path: Path) -> None:
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    save_film(film([strip(1)]), tmp_path / "film.mp4", fps=10, hold=1)
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "film.mp4"))
    assert frames == 13, "three steps, and the last one for a second"
    assert seconds == pytest.approx(1.3, abs=0.11)


def test_mp4_without_the_extra_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(OneshotError, match=r"oneshot-cli\[video\]"):
        save_film(film([strip(1)]), tmp_path / "film.mp4", fps=8, hold=2)
    assert not list(tmp_path.iterdir())


def test_unknown_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OneshotError, match=r"an animation ends in \.gif"):
        save_film(film([strip(1)]), tmp_path / "film.avi", fps=8, hold=2)
