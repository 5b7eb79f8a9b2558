"""From the drawings' own size to the model's: the two published protocols, as functions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from oneshot_cli.data.drawings import area_weights
from oneshot_cli.errors import OneshotError

RESAMPLINGS = ("area", "max")
CROP = 104


def resampled(images: Tensor, size: int, how: str = "area") -> Tensor:
    """Binary uint8 (B, S, S) to (B, size, size).

    "area": ink where the mean over the area that a pixel covers exceeds one half. "max": max
    pooling of the top left 104 x 104 pixels (Bornschein et al. 2017: 4 x 4, to 26 x 26); any ink
    makes ink. Raises OneshotError for a size that does not divide 104.
    """
    if how not in RESAMPLINGS:
        raise OneshotError(f"There is no resampling {how!r}: {' or '.join(RESAMPLINGS)}.")
    if size < 1:
        raise OneshotError(f"The size is {size}; pictures have at least one pixel.")
    if how == "max":
        if CROP % size or images.shape[-1] < CROP:
            raise OneshotError(
                f"Max pooling needs a size that divides {CROP} (26 or 52), not {size}."
            )
        stride = CROP // size
        return max_pool2d(images[:, :CROP, :CROP].float(), stride).to(torch.uint8)
    if size == images.shape[-1]:
        return images
    weights = area_weights(images.shape[-1], size)
    return ((weights @ images.float() @ weights.T) > 0.5).to(torch.uint8)
