"""Images sampled at affine maps and added up, and how samples change with where they are taken."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from oneshot_cli.affine import ALL, coordinates, sample, sampling_grid
from oneshot_cli.model.gradients import unrecorded
from oneshot_cli.model.linear import multiply

AT_ONCE = 2**18
"""Points that a sum samples in one call on the CPU: their coordinates stay in its cache."""
AT_ONCE_ELSEWHERE = 2**24
"""On accelerators, which want large calls: coordinates of 128 MB."""


def slopes(images: Tensor, maps: Tensor, size: int) -> Tensor:
    """How samples of (B, C, H, W) at maps (B, T, 2, 3) change with where they are taken.

    (T, B, C, size, size, 2): along x and y, of `transform(images, maps[:, t], size)`.
    """
    batch, channels = images.shape[:2]
    grid = coordinates(maps.transpose(1, 2), size).flatten(2, 3).permute(0, 2, 3, 1)
    each = grid[:, None].expand(-1, channels, -1, -1, -1).flatten(0, 1)
    ones = images.new_ones(len(each), 1, *grid.shape[1:3])
    found = _sample_backward(images.flatten(0, 1)[:, None], each, ones, of_images=False)[1]
    return found.view(batch, channels, -1, size, size, 2).permute(2, 0, 1, 3, 4, 5)


def gradient_of_maps(to_grid: Tensor, rows: slice = ALL) -> Tensor:
    """The gradient for maps (B, 2, 3), given that for `rows` of their grid (B, rows, S, 2)."""
    basis = _basis(to_grid.shape[2], to_grid.dtype, to_grid.device)[rows].flatten(0, 2)
    return multiply(to_grid.flatten(1), basis.t()).view(-1, 2, 3)


def sum_of_transforms(images: Tensor, maps: Tensor, size: int) -> Tensor:
    """The sum over t of `transform(images[:, t], maps[:, t], size)`, (B, C, size, size).

    For images (B, T, C, H, W) and maps (B, T, 2, 3). What is held at a time does not grow with T:
    coordinates and samples, which at 52 x 52 take up sixty times what they are made from, are made
    a few steps at a time, and the coordinates once more on the way back. On the CPU only for the
    rows that some map reaches: a model that has learned to draw does so row by row.
    """
    return cast(Tensor, _SumOfTransforms.apply(images.float(), maps.float(), size))


def _sample_backward(
    images: Tensor, grid: Tensor, gradient: Tensor, of_images: bool = True
) -> tuple[Tensor, Tensor]:
    """The gradients for images and grid, given that for the samples."""
    found = torch.ops.aten.grid_sampler_2d_backward(
        gradient,
        images,
        grid,
        interpolation_mode=0,
        padding_mode=0,
        align_corners=False,
        output_mask=[of_images, True],
    )
    return cast(tuple[Tensor, Tensor], found)


@cache
@torch.inference_mode(mode=False)
def _basis(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(S, S, 2, 6): the sampling grid of each map that has one entry of 1, and else of 0."""
    maps = torch.eye(6, dtype=dtype, device=device).view(6, 2, 3)
    return sampling_grid(maps, size).permute(1, 2, 3, 0).contiguous()


class _SumOfTransforms(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, maps: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(images, maps)
        with unrecorded():
            return _sum(images, maps, size)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        images, maps = ctx.saved_tensors
        with unrecorded():
            return *_sum_backward(images, maps, gradient), None


def _sum(images: Tensor, maps: Tensor, size: int) -> Tensor:
    """`sum_of_transforms` itself."""
    total = images.new_zeros(len(images), images.shape[2], size, size)
    for some, grid, rows in _parts(images, maps, size):
        steps = some.shape[1]
        samples = sample(some.flatten(0, 1), grid)
        reached = total[:, :, rows]
        reached += samples if steps == 1 else samples.unflatten(0, (-1, steps)).sum(1)
    return total


def _sum_backward(images: Tensor, maps: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients for images and maps, given that for their sum."""
    to_images: list[Tensor] = []
    to_maps: list[Tensor] = []
    for some, grid, rows in _parts(images, maps, gradient.shape[-1]):
        steps = some.shape[1]
        to_each = gradient[:, None, :, rows].expand(-1, steps, -1, -1, -1).flatten(0, 1)
        to_some, to_grid = _sample_backward(some.flatten(0, 1), grid, to_each)
        to_images.append(to_some.unflatten(0, (-1, steps)))
        to_maps.append(gradient_of_maps(to_grid, rows).unflatten(0, (-1, steps)))
    return torch.cat(to_images, 1), torch.cat(to_maps, 1)


def _parts(images: Tensor, maps: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor, slice]]:
    """Images of some steps at a time, their sampling grids, all in the same room, and rows."""
    on_cpu = images.device.type == "cpu"
    points = AT_ONCE if on_cpu else AT_ONCE_ELSEWHERE
    steps = min(max(1, points // (len(images) * size**2)), maps.shape[1])
    parts = list(zip(images.split(steps, 1), maps.split(steps, 1), strict=True))
    bands = _bands(images, maps, size, steps) if on_cpu else [slice(0, size)] * len(parts)
    room = maps.new_empty(len(maps) * steps * 2 * size**2)
    for (some, where), rows in zip(parts, bands, strict=True):
        flat = where.flatten(0, 1)
        shape = len(flat), 2, rows.stop - rows.start, size
        yield some, sampling_grid(flat, size, rows, room[: math.prod(shape)].view(shape)), rows


def _bands(images: Tensor, maps: Tensor, size: int, steps: int) -> list[slice]:
    """The rows that maps (B, T, 2, 3) take into images (B, T, C, H, W), for each `steps` steps.

    An image reaches one pixel beyond its own, where samples fade to 0. What of the plane is mapped
    there is a parallelogram, and its rows are between those of two corners.
    """
    height, width = images.shape[-2:]
    a, b, e, c, d, f = maps.flatten(-2).unbind(-1)
    area = a * d - b * c
    middle = (c * e - a * f) / area
    half = (((1 + 1 / height) * a).abs() + ((1 + 1 / width) * c).abs()) / area.abs()
    top = (middle - half).nan_to_num(nan=-1.0).amin(0)  # a map to a line has no area
    bottom = (middle + half).nan_to_num(nan=1.0).amax(0)
    first = ((size * (1 + top) - 1) / 2).floor().clamp(0, size - 1).int().tolist()
    last = ((size * (1 + bottom) - 1) / 2).ceil().clamp(0, size - 1).int().tolist()
    return [
        slice(min(first[t : t + steps]), max(last[t : t + steps]) + 1)
        for t in range(0, len(first), steps)
    ]
