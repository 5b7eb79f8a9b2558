"""Linear layers. On CPUs with AVX-512 their products in float32 are oneDNN's.

PyTorch leaves float32 products to MKL, which does without AVX-512 on processors that are not
Intel's. There oneDNN, which PyTorch uses for convolutions and for bfloat16, is twice as fast.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

WORTHWHILE = 2**20
"""Multiplications from which oneDNN is the faster of the two, given FEWEST rows or more."""
FEWEST = 4


class Linear(nn.Linear):
    """As `torch.nn.Linear`, by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W' + b, as `torch.nn.functional.linear`."""
    if _onednn_is_faster(x, weight):
        return cast(Tensor, _Linear.apply(x, weight, bias))
    return F.linear(x, weight, bias)


def multiply(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """What `linear` computes, without a gradient."""
    if _onednn_is_faster(x, weight):
        return cast(Tensor, torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], ""))
    return F.linear(x, weight, bias)


def _onednn_is_faster(x: Tensor, weight: Tensor) -> bool:
    return (
        x.dim() == 2
        and len(x) >= FEWEST
        and len(x) * weight.numel() >= WORTHWHILE
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x = x.contiguous()  # oneDNN takes forever with strides of 0, those of an expanded row
        ctx.save_for_backward(x, weight)
        return multiply(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        to_x, to_weight, to_bias = ctx.needs_input_grad
        gradient = gradient.contiguous()
        return (
            multiply(gradient, weight.t()) if to_x else None,
            multiply(gradient.t(), x.t()) if to_weight else None,
            gradient.sum(0) if to_bias else None,
        )
