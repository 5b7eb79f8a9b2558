"""Linear layers. On CPUs with AVX-512 their products in float32 are oneDNN's.

PyTorch leaves float32 products to MKL, which does without AVX-512 on processors that are not
Intel's. There oneDNN, which PyTorch uses for convolutions and for bfloat16, is twice as fast.

Layers that are called at every step can share the work that is the same at every step, see
`Gathering`.
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
"""Multiplications from which oneDNN is the faster of the two, given FEWEST rows or more."""
FEWEST = 4
PACKED = 2**16
"""Weights from which it pays to arrange them once for many products."""


class Linear(nn.Linear):
    """As `torch.nn.Linear`, by `linear`."""

    _gathered: _Gathered | None = None

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling() or self._gathered is None or x.dim() != 2:
            return linear(x, self.weight, self.bias)
        return self._gathered(x)


class Gathering:
    """With it, calls of each Linear layer in `module` share its weights' cast and gradient.

    The gradient of a weight that is used at T steps is the sum of T products. It is computed as one
    product over the rows of all steps, when the last of them has come back; under autocast, that
    also sums in float32 what would else be rounded to bfloat16 T times. One gathering serves all
    steps that belong together, in as many `with` statements as they take.
    """

    def __init__(self, module: nn.Module) -> None:
        layers = [layer for layer in module.modules() if isinstance(layer, Linear)]
        wanted = layers if torch.is_grad_enabled() else []
        self.layers = {layer: _Gathered(layer) for layer in wanted}

    def __enter__(self) -> None:
        for layer, gathered in self.layers.items():
            layer._gathered = gathered

    def __exit__(self, *_: object) -> None:
        for layer in self.layers:
            layer._gathered = None


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


def multiplier(weight: Tensor, bias: Tensor | None, rows: int) -> Callable[[Tensor], Tensor]:
    """`multiply` by the same weights many times, for inputs of so many rows.

    oneDNN arranges weights to its liking at every product; here that is done once, which pays from
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
        x.dim() == 2
        and len(x) >= FEWEST
        and len(x) * weight.numel() >= WORTHWHILE
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
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


Calls = list[tuple[Tensor, Tensor] | None]
"""Of each call of a layer its input and its output's gradient, once that is known."""


class _Gathered:
    """A layer whose calls leave what the gradients of its weights are made of in `calls`."""

    def __init__(self, layer: Linear) -> None:
        self.layer = layer
        self.weights: tuple[Tensor, Tensor] | None = None
        self.calls: Calls = []

    def __call__(self, x: Tensor) -> Tensor:
        if self.weights is None:
            self.weights = _Gather.apply(self.layer.weight, self.layer.bias, self.calls)
        return cast(Tensor, _Call.apply(x, *self.weights, self.calls))


class _Gather(torch.autograd.Function):
    """The weights as they are multiplied with. Its backward pass comes after that of all calls."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor, calls: Calls) -> tuple[Tensor, ...]:
        ctx.calls, ctx.dtype = calls, weight.dtype
        kind = weight.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
        return tuple(t.view_as(t) if t.dtype == dtype else t.to(dtype) for t in (weight, bias))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor | None, ...]:
        known = [call for call in ctx.calls if call is not None]
        ctx.calls[:] = [None] * len(ctx.calls)
        x, gradient = (torch.cat(each) for each in zip(*known, strict=True))
        to_weight, to_bias = ctx.needs_input_grad[:2]
        return (
            multiply(gradient.t(), x.t()).to(ctx.dtype) if to_weight else None,
            gradient.sum(0).to(ctx.dtype) if to_bias else None,
            None,
        )


class _Call(torch.autograd.Function):
    """x W' + b. What comes back for the weights is left in `calls`, for `_Gather`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, calls: Calls) -> Tensor:
        ctx.calls, ctx.call, ctx.dtype = calls, len(calls), x.dtype
        calls.append(None)
        x = x.to(weight.dtype).contiguous()
        ctx.save_for_backward(x, weight)
        return multiply(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        ctx.calls[ctx.call] = x, gradient
        to_x = multiply(gradient, weight.t()).to(ctx.dtype) if ctx.needs_input_grad[0] else None
        return to_x, None, None, None
