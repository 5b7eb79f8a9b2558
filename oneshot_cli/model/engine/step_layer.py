"""One linear layer over all steps of a recurrence."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from oneshot_cli.model.engine.linear import multiplier, multiply


class StepLayer:
    """y_t = W x_t + b at the steps t = 0 .. T - 1, for `rows` rows each.

    `inputs` (T, rows, in) are kept for the gradient of the weights, `grad_outputs` (T, rows, out)
    collects the gradients of the outputs. `inputs_at`, `saved_at` and `grad_at` are the same by
    step. `saved_at` is a buffer for activations that the backward pass needs. In float32 it shares
    its memory with `grad_outputs`: most of a step's small operations wait for memory.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, steps: int, rows: int, dtype: torch.dtype
    ) -> None:
        self.weight, self.bias = weight.to(dtype), bias.to(dtype)
        self.inputs = weight.new_empty(steps, rows, weight.shape[1], dtype=dtype)
        self.inputs_at = self.inputs.unbind()
        self.transposed = self.weight.t()
        self._product = multiplier(self.weight, self.bias, rows)

    @cached_property
    def saved_at(self) -> tuple[Tensor, ...]:
        shared = self.inputs.dtype == torch.float32
        return self.grad_at if shared else self._outputs(torch.float32).unbind()

    @cached_property
    def grad_outputs(self) -> Tensor:
        return self._outputs(self.inputs.dtype)

    @cached_property
    def grad_at(self) -> tuple[Tensor, ...]:
        return self.grad_outputs.unbind()

    def _outputs(self, dtype: torch.dtype) -> Tensor:
        return self.inputs.new_empty(*self.inputs.shape[:2], len(self.weight), dtype=dtype)

    def forward(self, t: int) -> Tensor:
        """The output (rows, out) of step t."""
        return self._product(self.inputs_at[t])

    def backward(self, t: int) -> Tensor:
        """The gradient (rows, in) of the input of step t, from that of its output: W' dy_t."""
        return multiply(self.grad_at[t], self.transposed).float()

    def weight_gradients(self) -> tuple[Tensor, Tensor]:
        """The gradients of weight and bias: sums over all steps, each in one product."""
        inputs, grad_outputs = self.inputs.flatten(0, 1), self.grad_outputs.flatten(0, 1)
        return multiply(grad_outputs.t(), inputs.t()).float(), grad_outputs.sum(0).float()
