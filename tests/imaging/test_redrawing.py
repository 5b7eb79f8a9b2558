"""Depth, components, classes, centre lines and the pen, against brute force and geometry."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from oneshot_cli.imaging.ink import components, depth, drawing_only, two_classes
from oneshot_cli.imaging.redrawing import drawn_with_pen, line_ends, pen_lines, thinned


def blobs(seed: int, shape: tuple[int, int] = (60, 47), level: float = 0.53) -> np.ndarray:
    """A random mask with parts of many shapes."""
    noise = np.random.default_rng(seed).random(shape)
    return ndimage.gaussian_filter(noise, 1.5) > level


def test_depth_is_the_distance_to_paper_and_the_outside_is_paper() -> None:
    mask = blobs(0)
    rows, columns = np.nonzero(~np.pad(mask, 1))
    for y, x in np.argwhere(mask)[::17]:
        expected = np.hypot(rows - 1 - y, columns - 1 - x).min()
        assert depth(mask)[y, x] == pytest.approx(expected)
    assert (depth(mask)[~mask] == 0).all()
    assert depth(np.ones((5, 7), bool)).max() == 3


def test_components_touch_by_their_corners() -> None:
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [1, 0, 0, 1]], bool)
    labels, count = components(mask)
    assert count == 3
    assert labels.tolist() == [[1, 0, 0, 2], [0, 1, 0, 0], [1, 0, 0, 3]]


def test_the_two_classes_of_a_picture() -> None:
    grey = np.repeat(np.array([0.1, 0.2, 0.8, 0.9], np.float32), [30, 10, 20, 60])
    threshold, gap, within = two_classes(grey)
    low, high = 0.125, 0.875
    assert threshold == pytest.approx((low + high) / 2, abs=1 / 256)
    assert gap == pytest.approx(high - low, abs=1 / 256)
    variance = (30 * 0.025**2 + 10 * 0.075**2 + 20 * 0.075**2 + 60 * 0.025**2) / 120
    assert within == pytest.approx(variance**0.5, abs=1 / 256)


@pytest.mark.parametrize("shift", [0.3, 0.7])
def test_the_threshold_is_the_one_of_least_variance_withinned(shift: float) -> None:
    """Brute force over all thresholds, as Otsu (1979) defines it."""
    generator = np.random.default_rng(3)
    grey = generator.normal(np.where(generator.random(4000) < shift, 0.3, 0.6), 0.08)
    grey = ((grey.clip(0, 0.999) * 256).astype(int) + 0.5) / 256
    spread = {
        t: sum(len(c) * c.var() for c in (grey[grey <= t], grey[grey > t]))
        for t in np.unique(grey)[:-1]
    }
    best = min(spread, key=spread.__getitem__)
    low, high = grey[grey <= best].mean(), grey[grey > best].mean()
    threshold, gap, within = two_classes(grey.astype(np.float32))
    assert threshold == pytest.approx((low + high) / 2, abs=1e-5)
    assert gap == pytest.approx(high - low, abs=1e-5)
    assert within == pytest.approx((spread[best] / len(grey)) ** 0.5, abs=1e-4)


def test_line_ends_have_one_neighbour() -> None:
    line = np.zeros((6, 8), bool)
    line[2, 1:6] = line[3, 6] = line[0, 0] = True
    assert line_ends(line) == 2, "the single point is no end"


@pytest.mark.parametrize("seed", range(5))
def test_centre_lines_are_thin_inside_and_connected_alike(seed: int) -> None:
    mask = blobs(seed)
    line = thinned(mask)
    assert not (line & ~mask).any()
    assert ndimage.label(line, np.ones((3, 3)))[1] == ndimage.label(mask, np.ones((3, 3)))[1]
    squares = line[1:, 1:] & line[1:, :-1] & line[:-1, 1:] & line[:-1, :-1]
    assert squares.sum() <= 0.02 * line.sum(), "hardly a 2 x 2 square of ink"


def test_centre_line_of_a_bar_is_its_middle() -> None:
    bar = np.zeros((40, 80), bool)
    bar[15:24, 10:70] = True
    rows, columns = np.nonzero(thinned(bar))
    assert abs(np.median(rows) - 19) <= 1
    assert np.ptp(columns) >= 48


def test_the_pen_is_round_and_as_wide_as_asked() -> None:
    point = np.zeros((31, 31), bool)
    point[15, 15] = True
    dot = drawn_with_pen(point, 12)
    y, x = np.nonzero(dot)
    assert ((y - 15) ** 2 + (x - 15) ** 2).max() <= 36
    assert dot.sum() == pytest.approx(np.pi * 36, rel=0.05)
    corner = np.zeros((9, 9), bool)
    corner[0, 0] = True
    assert drawn_with_pen(corner, 6).sum() == 11, "it does not wrap around"
    assert not drawn_with_pen(np.zeros_like(corner), 6).any()


def test_lines_keep_strokes_contours_and_sticks_apart() -> None:
    y, x = np.mgrid[:140, :140]
    ball = (y - 45) ** 2 + (x - 70) ** 2 < 40**2
    stick = (abs(x - 70) < 4) & (y > 40) & (y < 135)
    drawn = pen_lines(ball | stick, fattest=46)
    assert not drawn[25:65, 50:90].any(), "the ball is hollow"
    assert ndimage.distance_transform_edt(~drawn)[90:130, 70].max() < 4, "the stick is there"
    assert (drawn[95:125].sum(1) == 1).all(), "as one line"


def test_a_thin_part_is_a_line_up_to_the_edge_of_the_picture() -> None:
    y, x = np.mgrid[:140, :140]
    ball = (y - 45) ** 2 + (x - 70) ** 2 < 40**2
    stick = (abs(x - 70) < 4) & (y > 40)
    drawn = pen_lines(ball | stick, fattest=46)
    assert (drawn[95:].sum(1) <= 1).all()
    assert drawn[95:135].any(1).all()


def test_specks_go_and_so_does_what_reaches_into_a_photo() -> None:
    mask = np.zeros((100, 100), bool)
    mask[30:70, 40:50] = True
    mask[10, 10] = True
    mask[60:80, 95:] = True
    glyph = np.zeros_like(mask)
    glyph[30:70, 40:50] = True
    assert (drawing_only(mask, even_light=False) == glyph).all()
    scanned = drawing_only(mask, even_light=True)
    assert scanned[70, 97]
    assert not scanned[10, 10]
    mask[:, 95:] = True
    assert (drawing_only(mask, even_light=True) == glyph).all(), "a scanner's edge"


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
