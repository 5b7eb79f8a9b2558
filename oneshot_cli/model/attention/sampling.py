"""Bilinear sampling at affine maps: one image each, or many added up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from oneshot_cli.model.linear import multiply

AT_ONCE = 2**18
"""Points that a sum samples in one call on the CPU: their coordinates stay in its cache."""
AT_ONCE_ELSEWHERE = 2**24
"""On accelerators, which want large calls: coordinates of 128 MB."""


def transform(images: Tensor, maps: Tensor, size: int) -> Tensor:
    """Sample (B, C, H, W) bilinearly at `maps` (B, 2, 3) of a size x size grid; 0 outside."""
    return _sample(images.float(), maps.float(), size)


def sum_of_transforms(images: Tensor, maps: Tensor, size: int) -> Tensor:
    """The sum over t of `transform(images[:, t], maps[:, t], size)`, (B, C, size, size).

    For images (B, T, C, H, W) and maps (B, T, 2, 3). What is held at a time does not grow with T:
    coordinates and samples, which at 52 x 52 take up sixty times what they are made from, are made
    a few steps at a time, and the coordinates once more on the way back.
    """
    return cast(Tensor, _SumOfTransforms.apply(images.float(), maps.float(), size))


def sampling_grid(maps: Tensor, size: int) -> Tensor:
    """Where `maps` (B, 2, 3) take the pixels of a size x size patch: (B, size, size, 2).

    As `torch.nn.functional.affine_grid`, whose matrix product autocast would run in bfloat16, off
    by a fraction of a pixel; sums of outer products are exact and several times faster on the CPU.
    """
    pixel = _pixels(size, maps)
    x, y, shift = maps[..., None].unbind(2)
    across, down = x * pixel, y * pixel + shift
    return (down[:, :, :, None] + across[:, :, None, :]).permute(0, 2, 3, 1)


def _sample(images: Tensor, maps: Tensor, size: int) -> Tensor:
    grid = sampling_grid(maps, size)
    return F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)


def _pixels(size: int, like: Tensor) -> Tensor:
    """The coordinates of pixels in a row, in [-1, 1]."""
    return (2 * torch.arange(size, device=like.device, dtype=like.dtype) + 1) / size - 1


class _SumOfTransforms(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, maps: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(images, maps)
        ctx.size = size
        total = images.new_zeros(len(images), images.shape[2], size, size)
        for some, where in _parts(images, maps, size):
            steps = some.shape[1]
            samples = _sample(some.flatten(0, 1), where.flatten(0, 1), size)
            total += samples if steps == 1 else samples.unflatten(0, (-1, steps)).sum(1)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        images, maps = ctx.saved_tensors
        to_images, to_maps = [], []
        for some, where in _parts(images, maps, ctx.size):
            steps = some.shape[1]
            to_some, to_grid = torch.ops.aten.grid_sampler_2d_backward(
                gradient[:, None].expand(-1, steps, -1, -1, -1).flatten(0, 1),
                some.flatten(0, 1),
                sampling_grid(where.flatten(0, 1), ctx.size),
                interpolation_mode=0,
                padding_mode=0,
                align_corners=False,
                output_mask=[True, True],
            )
            to_images.append(to_some.unflatten(0, (-1, steps)))
            to_maps.append(_gradient_of_maps(to_grid).unflatten(0, (-1, steps)))
        return torch.cat(to_images, 1), torch.cat(to_maps, 1), None


def _parts(images: Tensor, maps: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Some steps at a time."""
    points = AT_ONCE if images.device.type == "cpu" else AT_ONCE_ELSEWHERE
    steps = max(1, points // (len(images) * size**2))
    return zip(images.split(steps, 1), maps.split(steps, 1), strict=True)


def _gradient_of_maps(to_grid: Tensor) -> Tensor:
    """The gradient for maps (B, 2, 3), given that for their `sampling_grid` (B, S, S, 2).

    Of each row of points the sum and the sum weighed by x: a product, as memory lies. Then over y.
    """
    size = to_grid.shape[1]
    pixel = _pixels(size, to_grid)
    weights = torch.stack([pixel, torch.ones_like(pixel)])
    both = torch.eye(2, dtype=pixel.dtype, device=pixel.device)
    kinds = (weights[:, None, :, None] * both[:, None, :]).reshape(4, 2 * size)
    rows = multiply(to_grid.reshape(-1, 2 * size), kinds).view(-1, size, 2, 2)
    by_x, plain = rows.unbind(2)
    return torch.stack([by_x.sum(1), (pixel[:, None] * plain).sum(1), plain.sum(1)], -1)
