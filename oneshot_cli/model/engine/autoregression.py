"""NADE's conditionals of all pixels at once, with their gradient written out.

The pixels before a pixel are known, so no conditional waits for another:

    a_i = c + sum over j < i of W_j x_j,    h_i = sigmoid(a_i),    y_i = b_i + V_i h_i

and with the gradients dy_i of the logits, da_i = dy_i V_i h_i (1 - h_i):

    db_i = dy_i,  dV_i = dy_i h_i,  dW_j = x_j sum over i > j of da_i,  dc = sum over all i of da_i

It takes a few pixels at a time, which stay in the cache. Sums within these are one product with a
triangular mask, and the sums before and after them are carried from one part to the next. The
backward pass computes the hidden units again, so those of all pixels, (B, D, hidden), never exist.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from oneshot_cli.model.engine.gradients import unrecorded

LARGEST = 2**19
"""The most hidden units that are computed together: 2 MB in float32."""


def conditional_logits(
    x: Tensor, read: Tensor, write: Tensor, start: Tensor, bias: Tensor
) -> Tensor:
    """The logits y (B, D) of pixels x (B, D), each given those before it.

    `read` is W and `write` V, each (D, hidden); `start` is c (hidden,) and `bias` b (D,). There is
    no gradient for x, which is data.
    """
    return cast(Tensor, _Conditionals.apply(x, read, write, start, bias))


class _Conditionals(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, read: Tensor, write: Tensor, start: Tensor, bias: Tensor
    ) -> Tensor:
        x = x.to(read.dtype)
        states, logits = [start.expand(len(x), -1)], []
        with unrecorded(), torch.autocast(x.device.type, enabled=False):
            for pixels in _parts(x, read):
                h = _hidden(states[-1], _before(x, pixels), read[pixels])
                logits.append((h @ write[pixels, :, None]).squeeze(-1))
                states.append(torch.addmm(states[-1], x[:, pixels], read[pixels]))
        ctx.save_for_backward(x, read, write, *states[:-1])
        return torch.cat(logits).T + bias

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, read, write, *states = ctx.saved_tensors
        by_read, by_write = torch.empty_like(read), torch.empty_like(write)
        later = torch.zeros_like(states[0])
        with unrecorded(), torch.autocast(x.device.type, enabled=False):
            rows = gradient.to(read.dtype).T.contiguous()
            for pixels, state in zip(reversed(_parts(x, read)), reversed(states), strict=True):
                before = _before(x, pixels)
                h = _hidden(state, before, read[pixels])
                by_write[pixels] = (rows[pixels, None] @ h).squeeze(1)
                slope = h.mul_(1 - h).mul_(rows[pixels, :, None]).mul_(write[pixels, None])
                within = before.flatten(0, 1).T @ slope.flatten(0, 1)
                by_read[pixels] = torch.addmm(within, x[:, pixels].T, later)
                later = later + slope.sum(0)
        return None, by_read, by_write, later.sum(0), gradient.sum(0)


def _parts(x: Tensor, read: Tensor) -> list[slice]:
    """All pixels, in runs of as many as LARGEST allows."""
    length = max(1, LARGEST // max(1, len(x) * read.shape[1]))
    return [slice(i, min(i + length, len(read))) for i in range(0, len(read), length)]


def _before(x: Tensor, pixels: slice) -> Tensor:
    """For P pixels those of them before each: x_j where j < i, (P, B, P) with i first, j last."""
    part = x[:, pixels]
    return part * part.new_ones(part.shape[1], part.shape[1]).tril(-1)[:, None]


def _hidden(state: Tensor, before: Tensor, read: Tensor) -> Tensor:
    """h of P pixels, (P, B, hidden), from the sum (B, hidden) of what is before all of them."""
    return (before @ read).add_(state).sigmoid_()
