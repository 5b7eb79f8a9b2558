"""Distances between drawings, against brute force."""

from __future__ import annotations

import pytest
import torch

from oneshot_cli.imaging.distances import centred, ink_distance, nearest_drawings


def drawings(n: int, size: int = 12, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, size, size, generator=generator) < 0.15


def moved(mask: torch.Tensor) -> torch.Tensor:
    """Ink coordinates (P, 2), the centre of mass rounded to the middle."""
    places = mask.nonzero().float()
    shift = (torch.tensor([(mask.shape[0] - 1) / 2] * 2) - places.mean(0)).round()
    return (places + shift) % mask.shape[0]


def test_chamfer_distance_is_brute_force() -> None:
    a, b = drawings(4), drawings(3, seed=1)
    expected = torch.empty(4, 3)
    for i in range(4):
        for j in range(3):
            apart = torch.cdist(moved(a[i]), moved(b[j]))
            expected[i, j] = (apart.min(0).values.mean() + apart.min(1).values.mean()) / 2
    torch.testing.assert_close(ink_distance(a, b), expected)


def test_a_moved_copy_is_no_distance_away() -> None:
    mask = torch.zeros(1, 20, 20, dtype=torch.bool)
    mask[0, 3:9, 4] = mask[0, 8, 4:12] = True
    assert ink_distance(mask, mask.roll((7, 5), (1, 2))).item() == 0
    assert ink_distance(mask, mask.transpose(1, 2)).item() > 0.5


def test_a_blank_drawing_is_far_from_everything() -> None:
    mask = drawings(1)
    assert ink_distance(mask, torch.zeros_like(mask)).item() == pytest.approx(6)
    assert ink_distance(mask, mask[:0]).shape == (1, 0)


def test_centred_moves_ink_and_nothing_else() -> None:
    masks = torch.zeros(5, 28, 28, dtype=torch.bool)
    masks[:, 9:21, 9:21] = drawings(5)
    moved = centred(masks.roll((3, -4), (1, 2)))
    assert torch.equal(moved, centred(masks)), "wherever the copy lies"
    assert torch.equal(moved.sum((1, 2)), masks.sum((1, 2)))
    for mask in moved:
        assert ((mask.nonzero().float().mean(0) - 13.5).abs() <= 0.5001).all()
    blank = torch.zeros(1, 28, 28, dtype=torch.bool)
    assert torch.equal(centred(blank), blank)


def test_nearest_drawing_by_shared_ink() -> None:
    known = drawings(30, seed=2)
    asked = known[[7, 21]].clone()
    asked[0, 5, 5] ^= True
    index, distance = nearest_drawings(asked, known)
    assert index.tolist() == [7, 21]
    mine, theirs = centred(asked[:1]), centred(known[7:8])
    shared = (mine & theirs).sum().item() / (mine | theirs).sum().item()
    assert distance[0].item() == pytest.approx(1 - shared, abs=1e-6)
    assert 0 < distance[0] < 0.5
    assert distance[1] == 0
