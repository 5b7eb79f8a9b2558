"""Planar normalizing flows (Rezende & Mohamed 2015), for posteriors that are not Gaussian.

z' = z + u^ tanh(w . z + b),   log |det dz'/dz| = log(1 + u^ . w (1 - tanh^2(w . z + b)))
u^ = u + (softplus(w . u + s) - 1 - w . u) w / |w|^2     so that w . u^ >= -1: invertible

With s = log(e - 1), u^ is u where w . u is 0: parameters of 0 change nothing.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

SHIFT = math.log(math.e - 1)


def planar_parameters(dimensions: int) -> int:
    """The number of parameters (u, w, b) of a planar transformation of D `dimensions`."""
    return 2 * dimensions + 1


def planar(z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """z (..., D) after transformations with `parameters` (..., N, 2 D + 1), and the log-det (...).

    The inference network gives each example its own parameters.
    """
    log_det = z.new_zeros(z.shape[:-1])
    for u, w, b in (p.split([z.shape[-1]] * 2 + [1], -1) for p in parameters.unbind(-2)):
        inner = (w * u).sum(-1, keepdim=True)
        square = w.square().sum(-1, keepdim=True) + 1e-8
        u = u + (F.softplus(inner + SHIFT) - 1 - inner) * w / square
        activation = torch.tanh((w * z).sum(-1, keepdim=True) + b)
        z = z + u * activation
        slope = (u * w).sum(-1) * (1 - activation.squeeze(-1).square())
        log_det = log_det + torch.log1p(slope.clamp(min=-1 + 1e-6))
    return z, log_det
