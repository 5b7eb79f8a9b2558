"""Resampling of drawings to the size of a model, by two protocols."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from oneshot_cli.errors import OneshotError

RESAMPLINGS = ("area", "max")
CROP = 104


def resampled(images: Tensor, size: int, method: str = "area") -> Tensor:
    """Resample binary uint8 (B, S, S) to (B, size, size).

    "area" is the protocol of this project, `box_ink`. "max" is the few-shot density protocol,
    `max_ink`. Raises OneshotError for another method or an impossible size.
    """
    if method not in RESAMPLINGS:
        raise OneshotError(
            f"there is no resampling {method!r}\nresamplings: {', '.join(RESAMPLINGS)}"
        )
    if size < 1:
        raise OneshotError(f"the size is {size}, but pictures have at least one pixel")
    return box_ink(images, size) if method == "area" else max_ink(images, size)


def box_ink(images: Tensor, size: int) -> Tensor:
    """Box resampling: binary uint8 (B, H, W) to (B, size, size), ink if the box mean is >= 1/2.

    Bit for bit the same as Pillow's BOX filter on 8-bit images (columns, then rows, each rounded)
    with a threshold of 128. The project's figures are measured on these pictures. From 105 to 28
    pixels a box is 3 or 4 pixels wide, so means of exactly one half are common. Since they count as
    ink, the mean ink is 0.087; with exact means and a strict threshold it would be 0.080.
    """
    if images.shape[-1] == images.shape[-2] == size:
        return images
    return (box_grey(255 * images, size) >= 128).to(torch.uint8)


def box_grey(images: Tensor, size: int) -> Tensor:
    """Rounded box means (..., size, size) of grey uint8 (..., H, W), the same as Pillow's."""
    height, width = images.shape[-2:]
    if height == width == size:
        return images
    columns, rows = _boxes(width, size, images.device), _boxes(height, size, images.device)
    narrow = _mean(images.float() @ columns.inside.T, columns.weights)
    return _mean(rows.inside @ narrow, rows.weights[:, None]).to(torch.uint8)


def _mean(sums: Tensor, weights: Tensor) -> Tensor:
    """Rounded means in Pillow's fixed-point arithmetic with 22 fractional bits, for equal ties."""
    return sums.int().mul_(weights).add_(2**21).bitwise_right_shift_(22).float()


class _Boxes(NamedTuple):
    """The source pixels of each target pixel, as 0 or 1 (target, source), and their weights.

    A weight (target,) is 1 over their number, as an int32 in Pillow's fixed point.
    """

    inside: Tensor
    weights: Tensor


@cache
@torch.inference_mode(mode=False)
def _boxes(source: int, target: int, device: torch.device) -> _Boxes:
    inside = boxes(source, target)
    weights = (2**22 / inside.double().sum(1)).round().int()
    return _Boxes(inside.to(device), weights.to(device))


def boxes(source: int, target: int) -> Tensor:
    """Whether the centre of each source pixel lies in each target pixel: 0 or 1, (target, source).

    A target pixel that is smaller than a source pixel gets the source pixel at its centre.
    """
    scale = max(source / target, 1.0)
    centres = (torch.arange(target, dtype=torch.float64) + 0.5) * (source / target)
    pixels = torch.arange(source, dtype=torch.float64)
    # Both of Pillow's conditions, in its order of operations. Rounding decides where a centre lies
    # on a border (105 to 26, 52 or 100).
    first = torch.floor(centres - scale / 2 + 0.5)[:, None]
    end = torch.floor(centres + scale / 2 + 0.5)[:, None]
    distance = (pixels - centres[:, None] + 0.5) * (1 / scale)
    inside = (pixels >= first) & (pixels < end) & (distance > -0.5) & (distance <= 0.5)
    return inside.float()


def max_ink(images: Tensor, size: int) -> Tensor:
    """Max pooling of the top left 104 x 104 pixels: binary uint8 (B, H, W) to (B, size, size).

    Bornschein et al. 2017 pool 4 x 4 pixels, to 26 x 26. Raises OneshotError if `size` does not
    divide 104 or the images are smaller.
    """
    if size < 1 or CROP % size or min(images.shape[-2:]) < CROP:
        raise OneshotError(f"max pooling needs a size that divides {CROP} (26 or 52), not {size}")
    return max_pool2d(images[:, :CROP, :CROP].float(), CROP // size).to(torch.uint8)
