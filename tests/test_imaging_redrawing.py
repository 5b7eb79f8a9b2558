"""Distances, parts, centre lines and the pen, against scipy and plain geometry."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from oneshot_cli.imaging.ink import components, drawing_only
from oneshot_cli.imaging.redrawing import distance_to_paper, drawn_with, lines, thin


def blobs(seed: int, shape: tuple[int, int] = (60, 47), level: float = 0.53) -> np.ndarray:
    """A random mask with parts of many shapes."""
    noise = np.random.default_rng(seed).random(shape)
    return ndimage.gaussian_filter(noise, 1.5) > level


@pytest.mark.parametrize("seed", range(3))
def test_distance_is_scipys(seed: int) -> None:
    mask = blobs(seed)
    expected = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    np.testing.assert_allclose(distance_to_paper(mask), expected, atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_parts_are_scipys(seed: int) -> None:
    mask = blobs(seed, level=0.5)
    expected, count = ndimage.label(mask, np.ones((3, 3)))
    labels = components(mask)
    assert labels.max() == count
    pairs = set(zip(labels.ravel().tolist(), expected.ravel().tolist(), strict=True))
    assert len(pairs) == count + 1, "one name for one part"
    assert (0, 0) in pairs


@pytest.mark.parametrize("seed", range(5))
def test_centre_lines_are_thin_inside_and_connected_alike(seed: int) -> None:
    mask = blobs(seed)
    line = thin(mask)
    assert not (line & ~mask).any()
    assert ndimage.label(line, np.ones((3, 3)))[1] == ndimage.label(mask, np.ones((3, 3)))[1]
    squares = line[1:, 1:] & line[1:, :-1] & line[:-1, 1:] & line[:-1, :-1]
    assert squares.sum() <= 0.02 * line.sum(), "hardly a 2 x 2 square of ink"


def test_centre_line_of_a_bar_is_its_middle() -> None:
    bar = np.zeros((40, 80), bool)
    bar[15:24, 10:70] = True
    rows, columns = np.nonzero(thin(bar))
    assert abs(np.median(rows) - 19) <= 1
    assert np.ptp(columns) >= 48


def test_the_pen_is_round_and_as_wide_as_asked() -> None:
    point = np.zeros((31, 31), bool)
    point[15, 15] = True
    dot = drawn_with(point, 12)
    y, x = np.nonzero(dot)
    assert ((y - 15) ** 2 + (x - 15) ** 2).max() <= 36
    assert dot.sum() == pytest.approx(np.pi * 36, rel=0.05)
    corner = np.zeros((9, 9), bool)
    corner[0, 0] = True
    assert drawn_with(corner, 6).sum() == 11, "nothing comes round from the other side"


def test_lines_keep_strokes_contours_and_sticks_apart() -> None:
    y, x = np.mgrid[:140, :140]
    ball = (y - 45) ** 2 + (x - 70) ** 2 < 40**2
    stick = (abs(x - 70) < 4) & (y > 40) & (y < 135)
    drawn = lines(ball | stick, fattest=46)
    assert not drawn[25:65, 50:90].any(), "the ball is hollow"
    assert ndimage.distance_transform_edt(~drawn)[90:130, 70].max() < 4, "the stick is there"
    assert (drawn[95:125].sum(1) == 1).all(), "as one line"


def test_specks_go_and_so_does_what_reaches_into_a_photo() -> None:
    mask = np.zeros((100, 100), bool)
    mask[30:70, 40:50] = True
    mask[10, 10] = True
    mask[:, 95:] = True
    glyph = np.zeros_like(mask)
    glyph[30:70, 40:50] = True
    assert (drawing_only(mask, even_light=False) == glyph).all()
    scanned = drawing_only(mask, even_light=True)
    assert scanned[50, 97]
    assert not scanned[10, 10]


def test_a_dot_of_the_same_pen_stays_and_a_finer_speck_goes() -> None:
    """The dot of a question mark is less than 2 % of its hook."""
    mask = np.zeros((400, 400), bool)
    mask[40:320, 100:108] = mask[40:48, 100:300] = True
    dot, speck = np.zeros_like(mask), np.zeros_like(mask)
    y, x = np.mgrid[:400, :400]
    dot[np.hypot(y - 360, x - 104) < 4] = True
    speck[200:204, 200:204] = True
    assert dot.sum() < 0.02 * mask.sum()
    kept = drawing_only(mask | dot | speck, even_light=True)
    assert (kept == (mask | dot)).all()
