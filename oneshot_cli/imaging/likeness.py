"""How far apart two drawings are, for telling copies from new ones."""

from __future__ import annotations

import torch
from torch import Tensor


def ink_distance(a: Tensor, b: Tensor) -> Tensor:
    """The chamfer distance, in pixels, of every drawing in `a` to every one in `b`: (N, M).

    From each ink pixel of one drawing to the nearest ink of the other, averaged, both ways, after
    the centres of mass are brought together. `a` (N, S, S) and `b` (M, S, S) are masks of ink; a
    blank drawing is as far as the frame is wide.
    """
    a, b = _centred(a), _centred(b)
    to_a, to_b = _distance_to_ink(a), _distance_to_ink(b)
    ink_a, ink_b = a.flatten(1).float(), b.flatten(1).float()
    there = ink_a @ to_b.T / ink_a.sum(1, keepdim=True).clamp(min=1)
    back = (ink_b @ to_a.T / ink_b.sum(1, keepdim=True).clamp(min=1)).T
    return (there + back) / 2


def _centred(masks: Tensor) -> Tensor:
    """Each mask (S, S) moved by whole pixels, so that its ink's mean is at the centre."""
    size = masks.shape[-1]
    positions = torch.arange(size, dtype=torch.float32)
    moved = []
    for mask in masks:
        ink = mask.float()
        mass = ink.sum().clamp(min=1)
        down, right = (((ink.sum(axis) * positions).sum() / mass) for axis in (1, 0))
        shift = [round((size - 1) / 2 - float(at)) if mask.any() else 0 for at in (down, right)]
        moved.append(mask.roll(shift, (0, 1)))
    return torch.stack(moved) if moved else masks


def _distance_to_ink(masks: Tensor) -> Tensor:
    """For each pixel of masks (N, S, S) the Euclidean distance to the nearest ink: (N, S * S)."""
    size = masks.shape[-1]
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()], 1).float()
    apart = torch.cdist(places, places)
    blank = torch.full((size * size,), float(size))
    nearest = [apart[:, m.flatten()].min(1).values if m.any() else blank for m in masks]
    return torch.stack(nearest) if nearest else torch.empty(0, size * size)
