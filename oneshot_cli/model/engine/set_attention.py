"""Backward pass of the attention over a context's set, see `context.attend`.

Forward, with values e_m, a query q and d their width:

    a = softmax(q . e_m / sqrt(d)),   v = sum over m of a_m e_m

Backward, from the gradient dv:

    da_m = dv . e_m,   ds = softmax_backward(da, a) / sqrt(d)
    de_m = a_m dv + ds_m q,   dq = sum over m of ds_m e_m
"""

from __future__ import annotations

import torch
from torch import Tensor


def attend_backward(
    values: Tensor, query: Tensor, weights: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradients of values (B, 1 + M, D) and query (B, D), from that of v (B, D).

    `weights` (B, 1 + M) are the attention's a.
    """
    grad_weights = (values * gradient[:, None]).sum(-1)
    grad_scores = torch.ops.aten._softmax_backward_data(grad_weights, weights, -1, weights.dtype)
    grad_scores = (grad_scores * values.shape[-1] ** -0.5)[..., None]
    grad_values = torch.addcmul(weights[..., None] * gradient[:, None], grad_scores, query[:, None])
    return grad_values, (grad_scores * values).sum(1)
