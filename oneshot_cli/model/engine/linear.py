"""Linear layers. On CPUs with AVX-512 their products in float32 are oneDNN's.

PyTorch computes float32 products by MKL, which does not use AVX-512 on other processors than
Intel's. There oneDNN, which PyTorch uses for convolutions and for bfloat16, is twice as fast.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

WORTHWHILE = 2**20
"""The least number of multiplications at which oneDNN is faster, for FEWEST rows or more."""
FEWEST = 4
PACKED = 2**16
"""The least size of a weight at which packing it once for many products pays."""


class Linear(nn.Linear):
    """`torch.nn.Linear`, computed by `linear`."""

    _gathered: Callable[[Tensor], Tensor] | None = None
    """Replaces `linear` inside a `Gathering`."""

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling() or self._gathered is None or x.dim() != 2:
            return linear(x, self.weight, self.bias)
        return self._gathered(x)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W' + b, as `torch.nn.functional.linear`."""
    if _onednn_is_faster(x, weight):
        return cast(Tensor, _Linear.apply(x, weight, bias))
    return F.linear(x, weight, bias)


def multiply(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """As `linear`, without a gradient."""
    if _onednn_is_faster(x, weight):
        return cast(Tensor, torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], ""))
    return F.linear(x, weight, bias)


def multiplier(weight: Tensor, bias: Tensor | None, rows: int) -> Callable[[Tensor], Tensor]:
    """`multiply` by the same weights many times, for inputs of `rows` rows.

    oneDNN reorders the weights for every product. Here they are reordered once, which pays from
    four products on.
    """
    packs = (
        _has_onednn()
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
        and weight.device.type == "cpu"
        and weight.dtype in (torch.float32, torch.bfloat16)
        and weight.numel() >= PACKED
        and rows >= FEWEST
    )
    if not packs:
        return lambda x: multiply(x, weight, bias)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
    product = torch.ops.mkldnn._linear_pointwise.default
    return lambda x: cast(Tensor, product(x, packed, bias, "none", [], ""))


def _onednn_is_faster(x: Tensor, weight: Tensor) -> bool:
    return (
        not torch.compiler.is_compiling()  # first: the number of rows is unknown then
        and x.dim() == 2
        and len(x) >= FEWEST
        and len(x) * weight.numel() >= WORTHWHILE
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and _has_onednn()
    )


@cache
def _has_onednn() -> bool:
    return (
        torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x = x.contiguous()  # oneDNN is very slow with strides of 0, those of an expanded row
        ctx.save_for_backward(x, weight)
        return multiply(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        gradient = gradient.contiguous()
        return (
            multiply(gradient, weight.t()) if needs_x else None,
            multiply(gradient.t(), x.t()) if needs_weight else None,
            gradient.sum(0) if needs_bias else None,
        )
