"""What training minimizes: the negative of a bound on log p(x), in nats."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from oneshot_cli.model.interface import Bound

Objective = Literal["elbo", "iwae"]


def iwae(bound: Bound) -> Tensor:
    """L_K = log 1/K sum_k p(x, z_k) / q(z_k | x) for each example, (B,) (Burda et al. 2015)."""
    particles = bound.log_weight.shape[1]
    return torch.logsumexp(bound.log_weight, 1) - math.log(particles)


def objective(
    bound: Bound,
    kl_weight: float | Tensor = 1.0,
    which: Objective = "iwae",
    free_bits: float = 0.0,
    batch_mean: Callable[[Tensor], Tensor] = lambda means: means,
) -> Tensor:
    """The mean loss of a batch: the negative L_K, or the negative ELBO averaged over particles.

    For one particle both are the ELBO, with the KL in closed form. `kl_weight` scales the KL.
    `free_bits` are nats of each latent group, averaged over the batch, that are not penalized
    (Kingma et al. 2016, eq. 15); L_K of several particles has no KL to which they apply. If `bound`
    is of a part of the batch, `batch_mean` turns the part's mean KL of each group, (T,), into the
    batch's, which is compared with `free_bits`. Then the mean of the parts' losses is the loss of
    the batch.
    """
    if which == "elbo" or bound.log_likelihood.shape[1] == 1:
        groups = bound.kl.mean((0, 1))
        if free_bits:
            groups = torch.where(batch_mean(groups.detach()) < free_bits, free_bits, groups)
        return kl_weight * groups.sum() - bound.log_likelihood.mean()
    weights = bound.log_likelihood - kl_weight * bound.log_ratio.sum(-1)
    return math.log(weights.shape[1]) - torch.logsumexp(weights, 1).mean()
