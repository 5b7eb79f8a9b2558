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


def nearest_drawings(pictures: Tensor, drawings: Tensor) -> tuple[Tensor, Tensor]:
    """For each of `pictures` (N, S, S) the nearest of `drawings` (M, S, S): indices and distances.

    The Jaccard distance of the ink, with the centres of mass brought together: 0 for the same
    pixels, 1 for none in common.
    """
    known = _centred(drawings).flatten(1).float()
    mine = _centred(pictures).flatten(1).float()
    shared = mine @ known.T
    union = mine.sum(1)[:, None] + known.sum(1) - shared
    distance, index = (1 - shared / union.clamp(min=1)).min(1)
    return index, distance


def _centred(masks: Tensor) -> Tensor:
    """Masks (N, S, S) rolled by whole pixels, so that the ink's centre of mass is in the middle."""
    size = masks.shape[-1]
    ink, place = masks.float(), torch.arange(size)
    mass = ink.sum((1, 2)).clamp(min=1)
    rolled = []
    for axis in (2, 1):
        mean = (ink.sum(axis) * place).sum(1) / mass
        shift = torch.where(masks.any(2).any(1), (size - 1) / 2 - mean, 0.0).round().long()
        rolled.append((place - shift[:, None]) % size)
    down, right = rolled
    return masks[torch.arange(len(masks))[:, None, None], down[:, :, None], right[:, None, :]]


def _distance_to_ink(masks: Tensor) -> Tensor:
    """For each pixel of masks (N, S, S) the Euclidean distance to the nearest ink: (N, S * S)."""
    size = masks.shape[-1]
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()], 1).float()
    apart = torch.cdist(places, places)
    blank = torch.full((size * size,), float(size))
    nearest = [apart[:, m.flatten()].min(1).values if m.any() else blank for m in masks]
    return torch.stack(nearest) if nearest else torch.empty(0, size * size)
