"""A limit on the gradient of a state; and autograd switched off inside written-out code."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def limit_gradient(h: Tensor, limit: float) -> Tensor:
    """h (B, hidden), unchanged. In the backward pass each row's gradient gets norm `limit` or less.

    A window is read where earlier windows pointed, so the gradient of a single example explodes now
    and then. The limit keeps it from drowning the rest of the batch. It must be loose: a limit that
    most rows meet weakens the reconstruction's gradient against the KL's.
    """
    return cast(Tensor, _Limit.apply(h, limit))


def limited(gradient: Tensor, limit: float) -> Tensor:
    """Rows (B, hidden), each scaled to norm `limit` or less."""
    norm = torch.linalg.vector_norm(gradient, dim=-1, keepdim=True)
    return gradient * (limit / norm.clamp(min=limit))


def unrecorded() -> AbstractContextManager[object]:
    """Skip autograd's dispatch, for operations of functions whose gradient is written out.

    Nothing is recorded there anyway, and the dispatch is a good part of what a small operation
    costs. Versions of PyTorch without the guard run the same operations through the dispatch.
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
