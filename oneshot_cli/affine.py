"""Affine maps of images: where they take the pixels of a grid, and bilinear samples there."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

ALL = slice(None)


def transform(images: Tensor, maps: Tensor, size: int, mode: str = "bilinear") -> Tensor:
    """Sample (B, C, H, W) at `maps` (B, 2, 3) of a size x size grid; 0 outside.

    Bilinearly, or of the nearest pixel: `mode` is that of `torch.nn.functional.grid_sample`.
    """
    return sample(images.float(), sampling_grid(maps.float(), size), mode)


def sampling_grid(maps: Tensor, size: int, rows: slice = ALL, room: Tensor | None = None) -> Tensor:
    """Where `maps` (B, 2, 3) take the pixels of a size x size patch: (B, size, size, 2).

    Or those of some `rows`; in `room` (B, 2, rows, size), if there is any.

    As `torch.nn.functional.affine_grid`, whose matrix product autocast would run in bfloat16, off
    by a fraction of a pixel; sums of outer products are exact and many times faster on the CPU.
    """
    return coordinates(maps, size, rows, room).permute(0, 2, 3, 1)


def coordinates(maps: Tensor, size: int, rows: slice = ALL, room: Tensor | None = None) -> Tensor:
    """(..., rows, size), of pixels in a patch, for the rows (..., 3) of maps."""
    pixel = pixels(size, maps.dtype, maps.device)
    x, y, shift = maps[..., None].unbind(-2)
    across, down = x * pixel, torch.addcmul(shift, y, pixel[rows])
    return torch.add(down[..., :, None], across[..., None, :], out=room)


def sample(images: Tensor, grid: Tensor, mode: str = "bilinear") -> Tensor:
    """(B, C, H, W) at the points (B, h, w, 2) of a grid, x and y in [-1, 1]; 0 outside."""
    return F.grid_sample(images, grid, mode, padding_mode="zeros", align_corners=False)


@cache
@torch.inference_mode(mode=False)
def pixels(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The coordinates of pixels in a row, in [-1, 1]."""
    return (2 * torch.arange(size, device=device, dtype=dtype) + 1) / size - 1
