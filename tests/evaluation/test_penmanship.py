"""The measures of strokes, on strokes that are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from oneshot_cli.evaluation.penmanship import MEASURES, penmanship, strokes


def blank(count: int = 1, each: int = 1, size: int = 32) -> Tensor:
    return torch.zeros(count, each, 1, size, size)


def bar(length: int = 20, width: int = 3) -> Tensor:
    drawing = blank()
    drawing[..., 10 : 10 + width, 4 : 4 + length] = 1
    return drawing


def ring() -> Tensor:
    drawing = blank()
    drawing[..., 8:24, 8:24] = 1
    drawing[..., 11:21, 11:21] = 0
    return drawing


def values(drawing: Tensor) -> dict[str, float]:
    found = strokes(drawing)
    return {name: getattr(found, name).value for name in MEASURES}


def test_a_bar_is_one_part_with_two_ends() -> None:
    found = values(bar())
    assert found["parts"] == 1
    assert found["ends"] == 2
    assert found["width"] == pytest.approx(3, abs=0.5)
    assert found["thickest"] == pytest.approx(3)


def test_a_stroke_with_a_lump_is_uneven() -> None:
    even, lumpy = bar(), bar()
    lumpy[..., 8:15, 10:17] = 1
    assert values(even)["unevenness"] < 0.5
    assert values(lumpy)["unevenness"] > 1


def test_where_a_stroke_breaks_there_are_two_more_ends() -> None:
    broken = bar()
    broken[..., 13:15] = 0
    assert values(broken)["parts"] == 2
    assert values(broken)["ends"] == 4


def test_what_is_closed_has_no_end() -> None:
    found = values(ring())
    assert (found["parts"], found["ends"]) == (1, 0)
    assert found["width"] == pytest.approx(3, abs=0.5)


def test_no_ink_is_no_stroke() -> None:
    assert set(values(blank()).values()) == {0}


def test_means_are_over_drawings_and_then_characters() -> None:
    drawings = torch.cat([torch.cat([bar(), ring()], 1), torch.cat([blank(), blank()], 1)])
    found = strokes(drawings)
    assert found.ends.value == pytest.approx((2 / 2 + 0) / 2)
    assert found.ends.low <= found.ends.value <= found.ends.high
    assert found.deepest.shape == (2, 2)


def test_blobs_are_thicker_than_people_draw() -> None:
    people = bar().expand(4, 5, -1, -1, -1)
    blot = bar(width=9).expand(4, 1, -1, -1, -1)
    assert penmanship(people, people).blobs == 0
    assert penmanship(torch.cat([people[:, :3], blot], 1), people).blobs == 0.25


def test_people_set_the_limit_and_only_the_first_five_drawings_count() -> None:
    """One in twenty of people's drawings is wider, one in a hundred much wider."""
    people = bar().expand(40, 5, -1, -1, -1).clone()
    people[:10, 0] = bar(width=5)[0]
    people[:2, 1] = bar(width=9)[0]
    each = [bar(width=width).expand(40, 1, -1, -1, -1) for width in (3, 5, 9, 9, 9)]
    mine = torch.cat(each, 1)
    found = penmanship(mine, people)
    assert found.blobs == pytest.approx(0.6)
    more = torch.cat([mine, bar(width=11).expand(40, 3, -1, -1, -1)], 1)
    assert penmanship(more, people).as_dict() == found.as_dict()


def test_fog_is_what_is_neither_paper_nor_ink() -> None:
    people = bar().expand(2, 2, -1, -1, -1)
    foggy = people.clone()
    foggy[..., 20:23, 4:24] = 0.3
    assert penmanship(people, people).fog == 0
    assert penmanship(foggy, people).fog == 1
    assert penmanship(foggy, people).drawings.parts.value == 1


def test_drawings_of_another_size_are_brought_to_that_of_people() -> None:
    people = bar().expand(2, 2, -1, -1, -1)
    large = people.repeat_interleave(4, -1).repeat_interleave(4, -2)
    assert penmanship(large, people).as_dict() == penmanship(people, people).as_dict()
