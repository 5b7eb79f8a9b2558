"""Pen strokes: exact coverage, one stroke for one line, whole crossings, dots, filled areas."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt, label
from skimage.morphology import skeletonize

from oneshot_cli.imaging.centrelines import traced
from oneshot_cli.imaging.exemplar import PEN
from oneshot_cli.imaging.pen import Points, Stroke, VectorDrawing, drawn
from oneshot_cli.imaging.rendering import penned
from oneshot_cli.imaging.vectorizing import GRID, smooth, strokes_in

Line = Sequence[tuple[float, float]]


def polyline(*points: tuple[float, float]) -> Points:
    """Points close to each other along straight lines, in the frame."""
    corners = np.array(points)
    steps = [np.linspace(a, b, 80) for a, b in pairwise(corners)]
    return np.concatenate(steps)


def circle(x: float, y: float, radius: float) -> Points:
    angle = np.linspace(0, 2 * np.pi, 160, endpoint=False)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], 1)


def logits(*lines: Points, size: int = GRID, widths: Sequence[float] | None = None) -> np.ndarray:
    """What a sure model would say of lines drawn with a pen of PEN, or of other widths."""
    ink = np.zeros((size, size), np.float32)
    for line, width in zip(lines, widths or [PEN] * len(lines), strict=True):
        ink = np.maximum(ink, drawn(VectorDrawing((Stroke(line),)), size, width))
    return (12 * ink - 6).astype(np.float32)


def ends(stroke: Stroke) -> list[tuple[float, float]]:
    return [tuple(stroke.points[0]), tuple(stroke.points[-1])]


def away(points: Points, line: Points) -> float:
    """The greatest distance of points from a line, in parts of the frame."""
    return float(np.hypot(*(points[:, None] - line[None]).T).min(0).max())


@pytest.mark.parametrize("side", [56, 112, 208, 512])
def test_a_straight_stroke_covers_what_a_capsule_does(side: int) -> None:
    stroke = Stroke(np.array([[0.2, 0.3], [0.7, 0.6]]))
    ink = drawn(VectorDrawing((stroke,)), side, 0.06)
    length = np.hypot(0.5, 0.3)
    assert ink.sum() / side**2 == pytest.approx(0.06 * length + np.pi * 0.03**2, rel=0.004)
    centre = (np.arange(side) + 0.5) / side
    x, y = np.meshgrid(centre, centre)
    along = (((x - 0.2) * 0.5 + (y - 0.3) * 0.3) / length**2).clip(0, 1)
    distance = np.hypot(x - 0.2 - along * 0.5, y - 0.3 - along * 0.3)
    assert ink == pytest.approx((0.5 + (0.03 - distance) * side).clip(0, 1), abs=1e-3)


@pytest.mark.parametrize("side", [56, 208, 512])
def test_a_circle_is_a_ring_of_even_width(side: int) -> None:
    ink = drawn(VectorDrawing((Stroke(circle(0.5, 0.5, 0.3), closed=True),)), side, 0.05)
    assert ink.sum() / side**2 == pytest.approx(2 * np.pi * 0.3 * 0.05, rel=0.004)
    middle = ink[side // 2 - 1 : side // 2 + 1].mean(0)
    assert middle[: side // 2].sum() / side == pytest.approx(0.05, rel=0.03)
    assert middle[side // 2 :].sum() / side == pytest.approx(0.05, rel=0.03)


def test_overlapping_strokes_are_no_darker_and_holes_in_areas_stay_white() -> None:
    stroke = Stroke(np.array([[0.2, 0.5], [0.8, 0.5]]))
    once, twice = (drawn(VectorDrawing((stroke,) * n), 112, 0.05) for n in (1, 2))
    assert (once == twice).all()
    square = np.array([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]])
    ink = drawn(VectorDrawing((), (square, 0.25 + square / 2)), 112, 0.05)
    assert ink.mean() == pytest.approx(0.25 - 0.0625, rel=0.02)
    assert ink[56, 56] == 0


@pytest.mark.parametrize("size", [60, 112, 208, 400])
def test_a_wavy_stroke_is_found_where_it_was_whatever_the_size_of_the_picture(size: int) -> None:
    t = np.linspace(0, 1, 200)
    line = np.stack([0.15 + 0.7 * t, 0.5 + 0.15 * np.sin(6 * t)], 1)
    (stroke,) = strokes_in(logits(line, size=size)).strokes
    assert not stroke.closed
    assert away(stroke.points, line) < 0.006
    assert away(line, stroke.points) < 0.012, "and as long as it was"


def test_strokes_have_the_width_of_the_pen_and_their_lumps_are_gone() -> None:
    line = polyline((0.15, 0.5), (0.85, 0.5))
    lumps = [polyline((x, 0.5), (x + 0.01, 0.5)) for x in (0.3, 0.5, 0.7)]
    lumpy = logits(line, *lumps, widths=[0.045, 0.065, 0.07, 0.062])
    ink = drawn(strokes_in(lumpy), 208, PEN)
    across = ink[:, 40:168].sum(0) / 208
    assert across == pytest.approx(np.full(128, PEN), rel=0.02)


def test_a_wider_pen_ends_where_the_ink_does() -> None:
    line = logits(polyline((0.3, 0.5), (0.7, 0.5)))
    for width in (0.03, 0.05, 0.09):
        inked = np.flatnonzero(drawn(strokes_in(line, width), GRID, width).max(0) > 0.5)
        assert inked[0] / GRID == pytest.approx(0.275, abs=0.01)
        assert (inked[-1] + 1) / GRID == pytest.approx(0.725, abs=0.01)


@pytest.mark.parametrize("angle", [30, 45, 60, 75, 90])
@pytest.mark.parametrize("turned", [0, 20])
def test_a_cross_is_two_strokes_that_go_straight_on(angle: int, turned: int) -> None:
    lines = []
    for degrees in (turned, turned + angle):
        dx, dy = 0.35 * np.cos(np.radians(degrees)), 0.35 * np.sin(np.radians(degrees))
        lines.append(polyline((0.5 - dx, 0.5 - dy), (0.5 + dx, 0.5 + dy)))
    found = strokes_in(logits(*lines)).strokes
    assert len(found) == 2
    for stroke in found:
        assert min(away(stroke.points, line) for line in lines) < 0.012
    assert not strokes_in(logits(*lines)).areas


def test_a_t_is_two_strokes_that_touch_and_the_bar_stays_straight() -> None:
    bar, stem = polyline((0.2, 0.3), (0.8, 0.3)), polyline((0.5, 0.3), (0.5, 0.8))
    found = sorted(strokes_in(logits(bar, stem)).strokes, key=lambda s: np.ptp(s.points[:, 0]))
    assert len(found) == 2
    assert away(found[1].points, bar) < 0.012
    assert min(abs(y - 0.3) for _, y in ends(found[0])) < 0.02
    ink = drawn(VectorDrawing(tuple(found)), GRID, PEN)
    assert label(ink > 0.5)[1] == 1


def test_three_strokes_that_meet_evenly_all_reach_the_middle() -> None:
    spokes = [polyline((0.5, 0.5), (0.5 + 0.3 * np.sin(a), 0.5 - 0.3 * np.cos(a)))
              for a in np.radians([0, 120, 240])]  # fmt: skip
    ink = drawn(strokes_in(logits(*spokes)), GRID, PEN)
    assert label(ink > 0.5)[1] == 1
    assert ink[104, 104] == 1


def test_an_eight_is_one_closed_stroke_with_both_loops() -> None:
    t = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    eight = np.stack([0.5 + 0.18 * np.sin(2 * t), 0.5 + 0.3 * np.cos(t)], 1)
    drawing = strokes_in(logits(np.concatenate([eight, eight[:1]])))
    (stroke,) = drawing.strokes
    assert stroke.closed
    assert away(eight, stroke.points) < 0.015
    assert label(drawn(drawing, GRID, PEN) < 0.5)[1] == 3, "outside, and two holes"


def test_a_ring_is_closed_and_round() -> None:
    (stroke,) = strokes_in(logits(np.concatenate([circle(0.5, 0.5, 0.2)] * 2))).strokes
    assert stroke.closed
    assert np.hypot(*(stroke.points - 0.5).T) == pytest.approx(
        np.full(len(stroke.points), 0.2), abs=0.005
    )


def test_corners_stay_corners() -> None:
    corner = polyline((0.3, 0.8), (0.3, 0.3), (0.8, 0.3))
    (stroke,) = strokes_in(logits(corner)).strokes
    assert away(np.array([[0.3, 0.3]]), stroke.points) < 0.02
    assert away(stroke.points, corner) < 0.015


def test_lines_near_each_other_are_not_merged() -> None:
    lines = [polyline((0.2, y), (0.8, y)) for y in (0.46, 0.54)]
    drawing = strokes_in(logits(*lines))
    assert len(drawing.strokes) == 2
    assert label(drawn(drawing, GRID, PEN) > 0.5)[1] == 2


@pytest.mark.parametrize("width", [0.028, 0.05, 0.07])
def test_dots_stay_where_they_are_and_as_large(width: int) -> None:
    place = np.array([[0.6, 0.4]])
    (dot,) = strokes_in(logits(place, widths=[width])).strokes
    assert dot.points == pytest.approx(place, abs=0.004)
    assert dot.width == pytest.approx(width, abs=0.012)
    ink = drawn(VectorDrawing((dot,)), GRID, PEN)
    assert ink.sum() / GRID**2 >= 0.9 * np.pi / 4 * (0.8 * PEN) ** 2, "no dot is a speck"


def test_a_filled_shape_keeps_its_outline_and_is_no_spider() -> None:
    t = np.linspace(0, 2 * np.pi, 200)
    heart = np.stack([16 * np.sin(t) ** 3, -13 * np.cos(t) + 5 * np.cos(2 * t) + 2 * np.cos(3 * t)])
    shape = drawn(VectorDrawing((), (0.5 + heart.T / 60,)), GRID, PEN)
    ink = drawn(strokes_in(12 * shape - 6), GRID, PEN)
    assert np.abs(ink - shape).sum() / shape.sum() < 0.04


def test_a_blot_at_a_stroke_is_drawn_over_where_nothing_is_filled() -> None:
    line, blot = polyline((0.2, 0.5), (0.8, 0.5)), np.array([[0.5, 0.5]])
    shape = logits(line, blot, widths=[PEN, 0.15])
    drawing = strokes_in(shape, filled=False)
    assert not drawing.areas
    probability = torch.sigmoid(torch.from_numpy(shape))[None, None]
    levels = penned(probability, PEN, filled=False)[0]
    assert (levels == np.rint(255 * (1 - drawn(drawing, GRID, PEN)))).all()
    assert (levels < penned(probability, PEN)[0]).sum() == 0


def test_a_blot_at_a_stroke_stays_filled() -> None:
    line, blot = polyline((0.2, 0.5), (0.8, 0.5)), np.array([[0.5, 0.5]])
    shape = logits(line, blot, widths=[PEN, 0.15])
    drawing = strokes_in(shape)
    assert len(drawing.areas) == 1
    assert np.abs(drawn(drawing, GRID, PEN) - (shape > 0)).sum() / (shape > 0).sum() < 0.08


@pytest.mark.parametrize("width", [1.5 * PEN, 2.2 * PEN])
def test_a_lump_on_a_stroke_is_drawn_over(width: float) -> None:
    """A person's pen leaves no lumps: the stroke is as wide there as elsewhere."""
    line, lump = polyline((0.2, 0.5), (0.8, 0.5)), polyline((0.45, 0.5), (0.55, 0.5))
    drawing = strokes_in(logits(line, lump, widths=[PEN, width]))
    assert not drawing.areas
    ink = drawn(drawing, GRID, PEN)
    across = ink.sum(0)[int(0.25 * GRID) : int(0.75 * GRID)] / GRID
    assert across == pytest.approx(PEN, rel=0.1)


@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize("length", [0.02, 0.06])
def test_a_large_dot_keeps_its_shape(length: float, filled: bool) -> None:
    """It is no lump on a stroke, and a dash would be something else."""
    shape = logits(polyline((0.5, 0.5), (0.5 + length, 0.5)), widths=[2 * PEN])
    ink = drawn(strokes_in(shape, filled=filled), GRID, PEN)
    assert np.abs(ink - (shape > 0)).sum() / (shape > 0).sum() < 0.1


def test_nothing_is_drawn_of_paper_and_everything_of_full_ink() -> None:
    assert strokes_in(np.full((112, 112), -6, np.float32)) == VectorDrawing(())
    assert drawn(strokes_in(np.full((112, 112), 6, np.float32)), 112, PEN).mean() > 0.97


def test_turned_and_mirrored_pictures_give_turned_and_mirrored_strokes() -> None:
    letter = logits(
        polyline((0.25, 0.8), (0.25, 0.2), (0.6, 0.25)),
        polyline((0.15, 0.45), (0.7, 0.5)),
        np.concatenate([circle(0.6, 0.7, 0.12)] * 2),
        np.array([[0.8, 0.3]]),
    )
    ink = drawn(strokes_in(letter), GRID, PEN)
    for change in (np.rot90, np.fliplr, np.transpose, lambda a: np.rot90(a, 2)):
        # thinning is not symmetric by half a pixel of the grid
        other = drawn(strokes_in(np.ascontiguousarray(change(letter))), GRID, PEN)
        assert np.abs(other - change(ink)).mean() / ink.mean() < 0.12


@pytest.mark.parametrize("seed", range(20))
def test_any_picture_has_strokes(seed: int) -> None:
    """Noise of every coarseness: tangles, loops in loops, ink at the borders."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 1, *[4 + 2 * seed] * 2, generator=generator)
    noise = torch.nn.functional.interpolate(coarse, (112, 112), mode="bicubic")[0, 0]
    drawing = strokes_in((4 * noise).numpy())
    assert drawing.strokes or drawing.areas
    for stroke in drawing.strokes:
        assert np.isfinite(stroke.points).all()
    ink = drawn(drawing, 112, PEN)
    assert ((ink >= 0) & (ink <= 1)).all()
    again = drawn(strokes_in((4 * noise).numpy()), 112, PEN)
    assert (ink == again).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_graph_of_a_skeleton_has_all_its_pixels_once(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=(60, 60))
    skeleton = skeletonize(distance_transform_edt(noise < 1.6) < 3)
    edges, alone = traced(skeleton)
    inner = [tuple(p) for edge in edges for p in edge.points[1:-1].astype(int).tolist()]
    nodes = {tuple(p) for edge in edges for p in edge.points[[0, -1]].astype(int).tolist()}
    single = {tuple(p) for p in np.array(alone).reshape(-1, 2).astype(int).tolist()}
    assert len(inner) == len(set(inner))
    y, x = np.nonzero(skeleton)
    assert set(inner) | nodes | single == set(zip(x.tolist(), y.tolist(), strict=True))
    for edge in edges:
        assert np.abs(np.diff(edge.points, axis=0)).max() == 1, "neighbour follows neighbour"


def test_spurs_go_and_branches_stay() -> None:
    line, branch = polyline((0.15, 0.5), (0.85, 0.5)), polyline((0.6, 0.5), (0.6, 0.35))
    bump = polyline((0.35, 0.5), (0.35, 0.487))
    found = strokes_in(logits(line, branch, bump)).strokes
    assert len(found) == 2
    assert sorted(float(stroke.points[:, 1].min()) for stroke in found) == pytest.approx(
        [0.35, 0.5], abs=0.015
    )
    assert len(strokes_in(logits(line, polyline((0.35, 0.5), (0.35, 0.45)))).strokes) == 2


def test_smoothing_takes_wobbles_and_leaves_lines_and_circles() -> None:
    line = np.stack([np.arange(100.0), np.full(100, 7.0)], 1)
    assert smooth(line) == pytest.approx(line, abs=1e-6)
    wobbly = line + np.stack([np.zeros(100), 0.5 * np.sin(np.arange(100) * 0.9)], 1)
    assert np.abs(smooth(wobbly)[:, 1] - 7).max() < 0.2
    ring = 30 * circle(0, 0, 1)
    assert np.hypot(*smooth(ring, closed=True).T) == pytest.approx(np.full(188, 30), abs=0.1)


def test_grey_levels_are_black_ink_on_white_for_every_picture() -> None:
    probability = torch.from_numpy(logits(polyline((0.2, 0.5), (0.8, 0.5)))).sigmoid()
    pictures = torch.stack([probability, probability.T]).reshape(1, 2, 1, GRID, GRID)
    levels = penned(pictures, PEN)
    assert levels.shape == (1, 2, GRID, GRID)
    assert levels.dtype == np.uint8
    assert levels[0, 0, 104, 104] == 0
    assert levels[0, 0, 20, 104] == 255
    assert np.abs(levels[0, 0].astype(int) - levels[0, 1].T).mean() < 1
