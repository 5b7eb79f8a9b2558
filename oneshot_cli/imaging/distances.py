"""Distances between drawings: of their ink (chamfer, Jaccard), and in colour of their levels."""

from __future__ import annotations

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

TOGETHER = 4096
"""Images in colour that are compared in one product: 50 MB of 32 x 32."""


def ink_distance(a: Tensor, b: Tensor) -> Tensor:
    """The symmetric chamfer distance of each drawing in `a` to each in `b`: (N, M), in pixels.

    The distance from each ink pixel of one drawing to the nearest ink of the other, averaged over
    its pixels, then over both directions. `a` (N, S, S) and `b` (M, S, S) are masks of ink; their
    centres of mass are aligned first. The distance to a blank drawing is S.
    """
    a, b = centred(a), centred(b)
    to_a, to_b = _distance_to_ink(a), _distance_to_ink(b)
    ink_a, ink_b = a.flatten(1).float(), b.flatten(1).float()
    from_a = ink_a @ to_b.T / ink_a.sum(1, keepdim=True).clamp(min=1)
    from_b = ink_b @ to_a.T / ink_b.sum(1, keepdim=True).clamp(min=1)
    return (from_a + from_b.T) / 2


def nearest_drawings(pictures: Tensor, drawings: Tensor) -> tuple[Tensor, Tensor]:
    """For each of `pictures` (N, S, S) the nearest of `drawings` (M, S, S): indices and distances.

    Both are masks of ink, whose centres of mass are aligned. The distance is that of `jaccard`.
    """
    return nearest_aligned(centred(pictures).flatten(1), centred(drawings).flatten(1))


def nearest_aligned(pictures: Tensor, drawings: Tensor) -> tuple[Tensor, Tensor]:
    """`nearest_drawings` for masks that are aligned and flat already, (N, P) and (M, P)."""
    distance, index = jaccard(pictures, drawings).min(1)
    return index, distance


def jaccard(a: Tensor, b: Tensor) -> Tensor:
    """The Jaccard distances (N, M) of masks `a` (N, P) and `b` (M, P), 1 - intersection / union.

    0 for the same pixels, 1 for none in common, also between two blank masks.
    """
    a, b = a.float(), b.float()
    shared = a @ b.T
    union = a.sum(1)[:, None] + b.sum(1) - shared
    return 1 - shared / union.clamp(min=1)


def nearest_in_colour(pictures: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """For each of `pictures` (N, C, S, S) the nearest of `images` (M, C, S, S).

    Pictures are in [0, 1], images of 256 levels. Returns indices and root mean squared differences,
    both (N,), nothing aligned.
    """
    flat = pictures.flatten(1).float()
    least, index = torch.full((len(flat),), torch.inf), torch.zeros(len(flat), dtype=torch.long)
    for start in range(0, len(images), TOGETHER):
        known = images[start : start + TOGETHER].flatten(1).float() / 255
        # |a - b|^2 without |a|^2, which does not matter for which is nearest
        distance, found = (known.square().sum(1) - 2 * flat @ known.T).min(1)
        index = torch.where(distance < least, start + found, index)
        least = torch.minimum(least, distance)
    off = flat - images[index].flatten(1).float() / 255
    return index, off.square().mean(1).sqrt()


def centred(masks: Tensor) -> Tensor:
    """Masks (N, S, S) rolled by whole pixels, so that the ink's centre of mass is in the middle."""
    size = masks.shape[-1]
    ink, pixel = masks.float(), torch.arange(size)
    mass = ink.sum((1, 2)).clamp(min=1)
    rolled = []
    for axis in (2, 1):
        mean = (ink.sum(axis) * pixel).sum(1) / mass
        # not round(), which takes half a pixel now up, now down: copies would be a pixel apart
        shift = torch.where(masks.any(2).any(1), size / 2 - mean, 0.0).floor().long()
        rolled.append((pixel - shift[:, None]) % size)
    rows, columns = rolled
    return masks[torch.arange(len(masks))[:, None, None], rows[:, :, None], columns[:, None, :]]


def _distance_to_ink(masks: Tensor) -> Tensor:
    """For each pixel of `masks` (N, S, S) the Euclidean distance to the nearest ink: (N, S * S).

    S where there is no ink.
    """
    distances = torch.full(masks.shape, float(masks.shape[-1]))
    for distance, mask in zip(distances, masks.numpy(), strict=True):
        if mask.any():
            distance.copy_(torch.from_numpy(distance_transform_edt(~mask)))
    return distances.flatten(1)
