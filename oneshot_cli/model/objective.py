"""What training minimizes: the negative of a bound on log p(x), in nats."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from oneshot_cli.model.sequential import Bound


def iwae(bound: Bound) -> Tensor:
    """L_K = log 1/K sum_k p(x, z_k) / q(z_k | x) for each example, (B,) (Burda et al. 2015)."""
    particles = bound.log_weight.shape[1]
    return torch.logsumexp(bound.log_weight, 1) - math.log(particles)


def objective(bound: Bound, kl_weight: float = 1.0) -> Tensor:
    """The mean loss of a batch: the negative ELBO for one particle, the negative L_K for more.

    `kl_weight` below 1 lets a young posterior say more than it may in the end; for one particle
    the KL is the analytic one.
    """
    if bound.log_likelihood.shape[1] == 1:
        return (kl_weight * bound.kl.sum(-1) - bound.log_likelihood).mean()
    weights = bound.log_likelihood - kl_weight * bound.log_ratio.sum(-1)
    return math.log(weights.shape[1]) - torch.logsumexp(weights, 1).mean()
