"""Ink in common with the exemplar: by hand, by brute force, and of copies."""

from __future__ import annotations

import torch
from torch import Tensor

from oneshot_cli.evaluation.overlap import overlap


def random_ink(*shape: int, seed: int = 0) -> Tensor:
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < 0.3).float()


def moved(mask: Tensor, down: int, right: int) -> Tensor:
    """A mask (S, S) on an empty plane of 3 S, moved: the plain form of a shift."""
    size = mask.shape[-1]
    plane = torch.zeros(3 * size, 3 * size)
    plane[size + down : 2 * size + down, size + right : 2 * size + right] = mask
    return plane


def test_overlap_equals_every_shift_tried_by_hand() -> None:
    size = 6
    exemplars, variations = random_ink(2, 1, size, size), random_ink(2, 3, 1, size, size, seed=1)
    in_place, shifted = overlap(exemplars, variations)
    for c in range(2):
        still = moved(exemplars[c, 0], 0, 0)
        for n in range(3):
            found = {}
            for down in range(-size, size + 1):
                for right in range(-size, size + 1):
                    other = moved(variations[c, n, 0], down, right)
                    common = (still * other).sum()
                    found[down, right] = (common / ((still + other) > 0).sum()).item()
            assert abs(in_place[c, n].item() - found[0, 0]) < 1e-5
            assert abs(shifted[c, n].item() - max(found.values())) < 1e-5


def test_a_copy_that_was_moved_is_found_out() -> None:
    exemplar = torch.zeros(1, 1, 28, 28)
    exemplar[0, 0, 8:20, 10:12] = 1
    exemplar[0, 0, 8:10, 10:18] = 1
    copies = torch.stack([exemplar, exemplar.roll((5, -4), (2, 3))], 1)
    in_place, shifted = overlap(exemplar, copies)
    assert shifted.tolist() == [[1, 1]]
    assert in_place[0, 0] == 1
    assert in_place[0, 1] < 0.1


def test_blank_pictures_have_nothing_in_common() -> None:
    blank = torch.zeros(2, 1, 8, 8)
    for found in overlap(blank, torch.stack([blank, torch.ones_like(blank)], 1)):
        assert found.tolist() == [[0, 0], [0, 0]]
    assert overlap(blank, torch.zeros(2, 0, 1, 8, 8))[0].shape == (2, 0)


def test_no_figure_depends_on_how_the_work_is_cut() -> None:
    exemplars, variations = random_ink(40, 1, 8, 8), random_ink(40, 9, 1, 8, 8, seed=1)
    whole = torch.stack(overlap(exemplars, variations))
    apart = torch.stack(
        [
            torch.cat(both)
            for both in zip(
                *(overlap(exemplars[c : c + 1], variations[c : c + 1]) for c in range(40)),
                strict=True,
            )
        ]
    )
    torch.testing.assert_close(whole, apart)
