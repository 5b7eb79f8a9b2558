"""Gradients: within bounds, and written out by hand."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def limit_gradient(h: Tensor, limit: float) -> Tensor:
    """h (B, hidden) itself; on the way back, each row's gradient is scaled to norm `limit` or less.

    Windows that read where windows pointed make now and then one example's gradient explode; so it
    cannot drown those of its batch. A limit that most rows meet would starve the posterior of the
    reconstruction's pull while the KL keeps pushing: keep it loose.
    """
    return cast(Tensor, _Limit.apply(h, limit))


def limited(gradient: Tensor, limit: float) -> Tensor:
    """Rows (B, hidden), each scaled to norm `limit` or less."""
    norm = torch.linalg.vector_norm(gradient, dim=-1, keepdim=True)
    return gradient * (limit / norm.clamp(min=limit))


def unrecorded() -> AbstractContextManager[object]:
    """Around the work of functions that have their gradient written out.

    Nothing is recorded there anyhow; so operations are spared the way through autograd, which is a
    good part of what a small one costs. Without PyTorch's guard for that they take it.
    """
    guard = getattr(torch._C, "_AutoDispatchBelowAutograd", nullcontext)
    return nullcontext() if torch.compiler.is_compiling() else guard()


class _Limit(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, limit: float) -> Tensor:
        ctx.limit = limit
        return h.view_as(h)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return limited(gradient, ctx.limit), None
