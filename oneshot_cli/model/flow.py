"""Planar normalizing flows (Rezende & Mohamed 2015): a Gaussian bent into a richer posterior.

z' = z + u^ tanh(w . z + b),   log |det dz'/dz| = log(1 + u^ . w (1 - tanh^2(w . z + b)))
u^ = u + (softplus(w . u) - 1 - w . u) w / |w|^2       so that w . u^ >= -1: invertible
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

SHIFT = math.log(math.e - 1)


def planar_parameters(dimensions: int) -> int:
    """How many numbers (u, w, b) a planar transformation of so many dimensions has."""
    return 2 * dimensions + 1


def planar(z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """z (..., D) after transformations with `parameters` (..., N, 2 D + 1), and the log-det (...).

    Each example has its own, from the inference network.
    """
    log_det = z.new_zeros(z.shape[:-1])
    for u, w, b in (p.split([z.shape[-1]] * 2 + [1], -1) for p in parameters.unbind(-2)):
        inner = (w * u).sum(-1, keepdim=True)
        square = w.square().sum(-1, keepdim=True) + 1e-8
        u = u + (F.softplus(inner + SHIFT) - 1 - inner) * w / square
        bend = torch.tanh((w * z).sum(-1, keepdim=True) + b)
        z = z + u * bend
        slope = (u * w).sum(-1) * (1 - bend.squeeze(-1).square())
        log_det = log_det + torch.log1p(slope.clamp(min=-1 + 1e-6))
    return z, log_det
