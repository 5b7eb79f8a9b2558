"""Affine maps of images: sampling grids, and samples of images on them.

A map (2, 3) takes the coordinates (x, y, 1) of a pixel of the result to a place in the image. Both
are in [-1, 1] from edge to edge, as in `torch.nn.functional.grid_sample`, align_corners=False.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

ALL = slice(None)
"""All rows of a grid."""


def transform(images: Tensor, maps: Tensor, size: int, mode: str = "bilinear") -> Tensor:
    """`images` (B, C, H, W) seen through `maps` (B, 2, 3): (B, C, size, size), 0 outside.

    `mode` is "bilinear" or "nearest", as in `torch.nn.functional.grid_sample`.
    """
    return sample(images.float(), sampling_grid(maps.float(), size), mode)


def sampling_grid(maps: Tensor, size: int, rows: slice = ALL, room: Tensor | None = None) -> Tensor:
    """The places to which `maps` (B, 2, 3) take the pixels of a size x size patch.

    Returns (B, size, size, 2), or (B, rows, size, 2) for some `rows` of the patch, computed in the
    buffer `room` (B, 2, rows, size) if it is given.

    `torch.nn.functional.affine_grid` computes the same by a matrix product, which autocast would
    run in bfloat16 with errors of a fraction of a pixel. Broadcast sums have float32's precision
    and are many times faster on the CPU.
    """
    return coordinates(maps, size, rows, room).permute(0, 2, 3, 1)


def coordinates(maps: Tensor, size: int, rows: slice = ALL, room: Tensor | None = None) -> Tensor:
    """One coordinate of `sampling_grid`, (..., rows, size), from rows (..., 3) of maps."""
    pixel = pixels(size, maps.dtype, maps.device)
    x, y, shift = maps[..., None].unbind(-2)
    across, down = x * pixel, torch.addcmul(shift, y, pixel[rows])
    return torch.add(down[..., :, None], across[..., None, :], out=room)


def sample(images: Tensor, grid: Tensor, mode: str = "bilinear") -> Tensor:
    """`images` (B, C, H, W) at the points (B, h, w, 2), x and y in [-1, 1]: (B, C, h, w).

    0 outside the images. `mode` is that of `torch.nn.functional.grid_sample`.
    """
    return F.grid_sample(images, grid, mode, padding_mode="zeros", align_corners=False)


@cache
@torch.inference_mode(mode=False)
def pixels(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The coordinates (size,) of the pixels' centres in a row, in [-1, 1]."""
    return (2 * torch.arange(size, device=device, dtype=dtype) + 1) / size - 1
