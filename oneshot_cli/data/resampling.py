"""From the drawings' own size to the model's: the two published protocols, as functions."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from oneshot_cli.errors import OneshotError

RESAMPLINGS = ("area", "max")
CROP = 104


def resampled(images: Tensor, size: int, how: str = "area") -> Tensor:
    """Binary uint8 (B, S, S) to (B, size, size).

    "area" is the house protocol, `box_ink`; "max" the few-shot density protocol, `max_ink`.
    Raises OneshotError for a size or a way that there is not.
    """
    if how not in RESAMPLINGS:
        raise OneshotError(f"there is no resampling {how!r}\nresamplings: {', '.join(RESAMPLINGS)}")
    if size < 1:
        raise OneshotError(f"the size is {size}, but pictures have at least one pixel")
    return box_ink(images, size) if how == "area" else max_ink(images, size)


def box_ink(images: Tensor, size: int) -> Tensor:
    """Ink where the box mean is at least one half: binary uint8 (B, H, W) -> (B, size, size).

    Bit for bit what Pillow's BOX filter gives on 8-bit images (columns, then rows, each rounded),
    read as ink from grey 128 on: the pictures that the project's figures are measured on. With
    105 pixels to 28 each box is 3 or 4 pixels wide, so a half is common, and counting it as ink
    is what makes the mean ink 0.087 where an exact area mean above one half has 0.080.
    """
    if images.shape[-1] == images.shape[-2] == size:
        return images
    return (box_grey(255 * images, size) >= 128).to(torch.uint8)


def box_grey(images: Tensor, size: int) -> Tensor:
    """The box mean of grey uint8 (..., H, W), rounded: (..., size, size), as Pillow has it."""
    height, width = images.shape[-2:]
    if height == width == size:
        return images
    columns, rows = _boxes(width, size, images.device), _boxes(height, size, images.device)
    narrow = _mean(images.float() @ columns.inside.T, columns.weights)
    return _mean(rows.inside @ narrow, rows.weights[:, None]).to(torch.uint8)


def _mean(sums: Tensor, weights: Tensor) -> Tensor:
    """Rounded means, in Pillow's fixed point: 22 bits after the point decide their ties."""
    return sums.int().mul_(weights).add_(2**21).bitwise_right_shift_(22).float()


class _Boxes(NamedTuple):
    """Which of the source's pixels lie in each target pixel (target, source), and their weights.

    A weight is 1 over their number in Pillow's fixed point, as int32.
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
    """Which source pixels' centres lie in each target pixel: 0 or 1, (target, source).

    Of a target smaller than a source pixel it is the pixel that its centre lies in.
    """
    scale = max(source / target, 1.0)
    centres = (torch.arange(target, dtype=torch.float64) + 0.5) * (source / target)
    pixels = torch.arange(source, dtype=torch.float64)
    # Both of Pillow's conditions, in its order of operations: where a centre lies on a border
    # (105 to 26, 52 or 100), rounding decides whether they agree.
    first = torch.floor(centres - scale / 2 + 0.5)[:, None]
    end = torch.floor(centres + scale / 2 + 0.5)[:, None]
    distance = (pixels - centres[:, None] + 0.5) * (1 / scale)
    inside = (pixels >= first) & (pixels < end) & (distance > -0.5) & (distance <= 0.5)
    return inside.float()


def max_ink(images: Tensor, size: int) -> Tensor:
    """Max pooling of the top left 104 x 104 pixels: any ink makes ink.

    Bornschein et al. 2017 pool 4 x 4, to 26 x 26. Raises OneshotError where `size` does not
    divide 104, or the images are smaller.
    """
    if size < 1 or CROP % size or min(images.shape[-2:]) < CROP:
        raise OneshotError(f"max pooling needs a size that divides {CROP} (26 or 52), not {size}")
    return max_pool2d(images[:, :CROP, :CROP].float(), CROP // size).to(torch.uint8)
