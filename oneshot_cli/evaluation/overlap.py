"""Intersection over union of the ink of variations and their exemplar: copies have much of it."""

from __future__ import annotations

import torch
from torch import Tensor

_CHUNK = 256
"""The number of drawings whose cross-correlations are computed at once; bounds the memory."""


def overlap(exemplars: Tensor, variations: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union of the ink of variations and exemplars: in place, and shifted.

    `variations` are (C, n, 1, S, S), `exemplars` (C, 1, S, S), both ink, 0 or 1. Returns two
    tensors (C, n): the value in place, and the greatest value over all shifts by whole pixels. 1
    means the same pixels, 0 none in common, also between two blank pictures. The intersections at
    all shifts are a cross-correlation, computed by the fast Fourier transform.
    """
    count, each = variations.shape[:2]
    if not count * each:
        return torch.zeros(count, each), torch.zeros(count, each)
    rows = torch.arange(count).repeat_interleave(each)
    flat = variations.flatten(0, 1)[:, 0]
    parts = [
        _overlap(exemplars[some, 0], part)
        for some, part in zip(rows.split(_CHUNK), flat.split(_CHUNK), strict=True)
    ]
    in_place, shifted = (torch.cat(part).view(count, each) for part in zip(*parts, strict=True))
    return in_place, shifted


def _overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The two figures of pairs of masks (B, S, S)."""
    sides = (2 * a.shape[-1], 2 * a.shape[-1])  # zero padding: shifts do not wrap around
    spectrum = torch.fft.rfft2(a, s=sides).conj() * torch.fft.rfft2(b, s=sides)
    common = torch.fft.irfft2(spectrum, s=sides).round().clamp(min=0)
    ink = (a.sum((1, 2)) + b.sum((1, 2)))[:, None, None]
    found = common / (ink - common).clamp(min=1)
    return found[:, 0, 0], found.amax((1, 2))
