"""Diagonal Gaussians: densities and divergences, in nats.

All divergences are from the standard normal. For another Gaussian both are mapped first, so that
it becomes N(0, I): see `standardized`.
"""

from __future__ import annotations

import math

from torch import Tensor

LOG_STD_RANGE = (-4.0, 1.0)


def mean_and_log_std(output: Tensor) -> tuple[Tensor, Tensor]:
    """A network's output (..., 2 D) as mean and log standard deviation, each (..., D).

    Standard deviations are clamped to [e^-4, e], so that the KL of a step stays finite.
    """
    mean, log_std = output.float().chunk(2, -1)
    return mean, log_std.clamp(*LOG_STD_RANGE)


def unclamped(output: Tensor) -> Tensor:
    """Where `mean_and_log_std` leaves the log standard deviations (..., D) as they are."""
    raw = output.chunk(2, -1)[1]
    return (raw >= LOG_STD_RANGE[0]) & (raw <= LOG_STD_RANGE[1])


def gaussian_log_density(z: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """log N(z; mean, exp(log_std)^2), summed over the last dimension."""
    standardized = (z - mean) * (-log_std).exp()
    return (-0.5 * standardized.square() - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)


def standard_normal_log_density(z: Tensor) -> Tensor:
    """log N(z; 0, I), summed over the last dimension."""
    return (-0.5 * z.square() - 0.5 * math.log(2 * math.pi)).sum(-1)


def gaussian_analytical_kl(mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(N(mean, exp(log_std)^2) || N(0, I)), summed over the last dimension (Kingma & Welling)."""
    return (0.5 * (mean.square() + (2 * log_std).exp() - 1) - log_std).sum(-1)


def standardized(
    z: Tensor, mean: Tensor, log_std: Tensor, prior: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """z, and its posterior's mean and log standard deviation, in the prior's coordinates.

    `prior` is the mean and log standard deviation of N(mu, sigma^2); all are (..., D). The map
    (. - mu) / sigma makes the prior N(0, I). It changes neither the KL of the two Gaussians nor
    the ratio of their densities at z.
    """
    prior_mean, prior_log_std = prior
    scale = (-prior_log_std).exp()
    return (z - prior_mean) * scale, (mean - prior_mean) * scale, log_std - prior_log_std
