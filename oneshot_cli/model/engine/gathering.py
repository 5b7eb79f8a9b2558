"""Gradients of weights that every step uses: one product over all steps instead of one a step.

A layer that is called at T steps, y_t = W x_t + b, with the gradients dy_t of its outputs, has

    dW = sum over t of dy_t x_t',    db = sum over t of dy_t,

which is one product of the rows of all steps. Under autocast this also sums in float32 what would
otherwise be rounded to bfloat16 T times.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from oneshot_cli.model.engine.linear import Linear, multiply


class Gathering:
    """A context manager: calls of each Linear layer in `module` share its cast and its gradient.

    The gradient of a layer's weights is computed when the backward pass has reached the last of its
    calls. One gathering serves all steps that belong together, in as many `with` statements as they
    take.
    """

    def __init__(self, module: nn.Module) -> None:
        layers = [layer for layer in module.modules() if isinstance(layer, Linear)]
        wanted = layers if torch.is_grad_enabled() else []
        self.layers = {layer: _GatheredLayer(layer) for layer in wanted}

    def __enter__(self) -> None:
        for layer, gathered in self.layers.items():
            layer._gathered = gathered

    def __exit__(self, *_: object) -> None:
        for layer in self.layers:
            layer._gathered = None


Calls = list[tuple[Tensor, Tensor] | None]
"""For each call of a layer its input and the gradient of its output, once that is known."""


class _GatheredLayer:
    """A layer whose calls record in `calls` what the gradient of its weights needs."""

    def __init__(self, layer: Linear) -> None:
        self.layer = layer
        self.weights: tuple[Tensor, Tensor] | None = None
        self.calls: Calls = []

    def __call__(self, x: Tensor) -> Tensor:
        if self.weights is None:
            self.weights = _SharedWeights.apply(self.layer.weight, self.layer.bias, self.calls)
        return cast(Tensor, _Call.apply(x, *self.weights, self.calls))


class _SharedWeights(torch.autograd.Function):
    """The weights, cast for the products. Its backward pass comes after that of all calls."""

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
        x, grad_output = (torch.cat(each) for each in zip(*known, strict=True))
        needs_weight, needs_bias = ctx.needs_input_grad[:2]
        return (
            multiply(grad_output.t(), x.t()).to(ctx.dtype) if needs_weight else None,
            grad_output.sum(0).to(ctx.dtype) if needs_bias else None,
            None,
        )


class _Call(torch.autograd.Function):
    """x W' + b. Its backward pass records the gradient of the output in `calls`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, calls: Calls) -> Tensor:
        ctx.calls, ctx.call, ctx.dtype = calls, len(calls), x.dtype
        calls.append(None)
        x = x.to(weight.dtype).contiguous()
        ctx.save_for_backward(x, weight)
        return multiply(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad_output = grad_output.contiguous()
        ctx.calls[ctx.call] = x, grad_output
        needs_x = ctx.needs_input_grad[0]
        grad_x = multiply(grad_output, weight.t()).to(ctx.dtype) if needs_x else None
        return grad_x, None, None, None
