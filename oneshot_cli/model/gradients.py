"""Gradients that stay within bounds."""

from __future__ import annotations

import torch
from torch import Tensor


def limit_gradient(h: Tensor, limit: float) -> Tensor:
    """h (B, hidden) itself; on the way back, each row's gradient is scaled to norm `limit` or less.

    Windows that read where windows pointed make now and then one example's gradient explode; so it
    cannot drown those of its batch. A limit that most rows meet would starve the posterior of the
    reconstruction's pull while the KL keeps pushing: keep it loose.
    """
    h = h.clone()

    def limited(gradient: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(gradient, dim=-1, keepdim=True)
        return gradient * (limit / norm.clamp(min=limit))

    h.register_hook(limited)
    return h
