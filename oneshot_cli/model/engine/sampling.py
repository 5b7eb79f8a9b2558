"""Images sampled at affine maps and summed in little memory, and derivatives of samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from oneshot_cli.affine import ALL, coordinates, sample, sampling_grid, transform
from oneshot_cli.model.engine.gradients import unrecorded
from oneshot_cli.model.engine.linear import multiply

AT_ONCE = 2**18
"""Points that one call samples on the CPU: few enough that their coordinates stay in its cache."""
AT_ONCE_ELSEWHERE = 2**24
"""The same on accelerators, which are fast in large calls: coordinates of 128 MB."""
WHOLE_VECTORS = 32
"""Rows of pictures are sampled in such numbers where a picture may not depend on others beside it.
The last floats of a call are not computed as vectors, and rounded differently. A vector loop of
torch takes 32 floats or fewer."""


def sample_jacobian(images: Tensor, maps: Tensor, size: int) -> Tensor:
    """Derivatives of samples of (B, C, H, W) at maps (B, T, 2, 3), for the points sampled.

    (T, B, C, size, size, 2): along x and y, for `transform(images, maps[:, t], size)`.
    """
    batch, channels = images.shape[:2]
    grid = coordinates(maps.transpose(1, 2), size).flatten(2, 3).permute(0, 2, 3, 1)
    each = grid[:, None].expand(-1, channels, -1, -1, -1).flatten(0, 1)
    ones = images.new_ones(len(each), 1, *grid.shape[1:3])
    flat = images.flatten(0, 1)[:, None]
    jacobian = _sample_backward(flat, each, ones, of_images=False)[1]
    return jacobian.view(batch, channels, -1, size, size, 2).permute(2, 0, 1, 3, 4, 5)


def gradient_of_maps(grad_grid: Tensor, rows: slice = ALL) -> Tensor:
    """The gradient of maps (B, 2, 3), from that of `rows` of their grids (B, rows, S, 2)."""
    basis = _basis(grad_grid.shape[2], grad_grid.dtype, grad_grid.device)[rows].flatten(0, 2)
    return multiply(grad_grid.flatten(1), basis.t()).view(-1, 2, 3)


def sum_of_transforms(images: Tensor, maps: Tensor, size: int) -> Tensor:
    """The sum over t of `transform(images[:, t], maps[:, t], size)`, (B, C, size, size).

    For images (B, T, C, H, W) and maps (B, T, 2, 3). Its memory does not grow with T: coordinates
    and samples, which at 52 x 52 are sixty times as large as their inputs, are made for a few steps
    at a time, and the coordinates again in the backward pass. On the CPU only those rows are
    sampled that some map reaches: a trained model draws row by row.
    """
    if torch.compiler.is_compiling():  # a graph cannot choose rows by the values of maps
        samples = transform(images.flatten(0, 1), maps.flatten(0, 1), size)
        return samples.unflatten(0, maps.shape[:2]).sum(1)
    return cast(Tensor, _SumOfTransforms.apply(images.float(), maps.float(), size))


def _sample_backward(
    images: Tensor, grid: Tensor, gradient: Tensor, of_images: bool = True
) -> tuple[Tensor, Tensor]:
    """The gradients of images and grid, from that of the samples."""
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
    """(S, S, 2, 6): the sampling grids of the six maps with one entry 1 and the others 0."""
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
    """The gradients of images and maps, from that of the sum."""
    grad_images: list[Tensor] = []
    grad_maps: list[Tensor] = []
    for some, grid, rows in _parts(images, maps, gradient.shape[-1]):
        steps = some.shape[1]
        grad_each = gradient[:, None, :, rows].expand(-1, steps, -1, -1, -1).flatten(0, 1)
        grad_some, grad_grid = _sample_backward(some.flatten(0, 1), grid, grad_each)
        grad_images.append(grad_some.unflatten(0, (-1, steps)))
        grad_maps.append(gradient_of_maps(grad_grid, rows).unflatten(0, (-1, steps)))
    return torch.cat(grad_images, 1), torch.cat(grad_maps, 1)


def _parts(images: Tensor, maps: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor, slice]]:
    """Images of a few steps at a time, their grids, all in one buffer, and the rows reached."""
    on_cpu = images.device.type == "cpu"
    points = AT_ONCE if on_cpu else AT_ONCE_ELSEWHERE
    steps = min(max(1, points // (len(images) * size**2)), maps.shape[1])
    parts = list(zip(images.split(steps, 1), maps.split(steps, 1), strict=True))
    bands = _bands(images, maps, size, steps) if on_cpu else [slice(0, size)] * len(parts)
    buffer = maps.new_empty(len(maps) * steps * 2 * size**2)
    for (some, where), rows in zip(parts, bands, strict=True):
        flat = where.flatten(0, 1)
        shape = len(flat), 2, rows.stop - rows.start, size
        yield some, sampling_grid(flat, size, rows, buffer[: math.prod(shape)].view(shape)), rows


def _bands(images: Tensor, maps: Tensor, size: int, steps: int) -> list[slice]:
    """The rows that maps (B, T, 2, 3) take into images (B, T, C, H, W), for each `steps` steps.

    Samples fade to 0 within one pixel outside an image. The points that a map takes there form a
    parallelogram, so their rows lie between those of two corners. In inference mode, in which
    pictures are drawn, they begin and end at multiples of WHOLE_VECTORS: a drawing has the same
    bits whatever is drawn beside it.
    """
    height, width = images.shape[-2:]
    a, b, e, c, d, f = maps.flatten(-2).unbind(-1)
    area = a * d - b * c
    middle = (c * e - a * f) / area
    half = (((1 + 1 / height) * a).abs() + ((1 + 1 / width) * c).abs()) / area.abs()
    top = (middle - half).nan_to_num(nan=-1.0).amin(0)  # a map onto a line has no area
    bottom = (middle + half).nan_to_num(nan=1.0).amax(0)
    first = ((size * (1 + top) - 1) / 2).floor().clamp(0, size - 1).int().tolist()
    last = ((size * (1 + bottom) - 1) / 2).ceil().clamp(0, size - 1).int().tolist()
    whole = WHOLE_VECTORS if torch.is_inference_mode_enabled() else 1
    return [
        slice(
            min(first[t : t + steps]) // whole * whole,
            min(size, (max(last[t : t + steps]) // whole + 1) * whole),
        )
        for t in range(0, len(first), steps)
    ]
