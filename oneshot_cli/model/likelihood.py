"""Likelihoods of images, in nats."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 256
LOG_SCALE_LEAST = -7.0


def bernoulli_log_likelihood(logits: Tensor, x: Tensor) -> Tensor:
    """log Bernoulli(x; sigmoid(logits)), summed over channels and pixels: (..., C, H, W) -> (...).

    x log s(l) + (1 - x) log(1 - s(l)) = x l - softplus(l), which is safe at any logit.
    """
    return (x * logits - F.softplus(logits)).sum((-3, -2, -1))


def discretized_logistic_log_likelihood(mean: Tensor, log_scale: Tensor, x: Tensor) -> Tensor:
    """log P(x) of levels x = k / 255, summed over channels and pixels: (..., C, H, W) -> (...).

    The mass of a logistic density over the bin of width 1 / 255 around x; the first and the last
    bin reach to infinity (Salimans et al. 2017, PixelCNN++, eq. 2, on [0, 1]). With a, b the
    standardized upper and lower edges, s(a) - s(b) = s(a) s(-b) (1 - exp(b - a)), whose logarithm
    is safe however far in the tail x lies. The scale is at least exp(-7), a quarter of a bin.
    """
    return _log_mass(mean, log_scale, x).sum((-3, -2, -1))


def logistic_mixture_log_likelihood(
    weight: Tensor, mean: Tensor, log_scale: Tensor, x: Tensor
) -> Tensor:
    """log P(x) under a mixture of M such logistics: (..., M, C, H, W), x (..., C, H, W) -> (...).

    log sum_m softmax(weight)_m P_m(x) for each channel of each pixel (Salimans et al. 2017, eq. 2,
    channels apart), summed over them.
    """
    mass = _log_mass(mean, log_scale, x.unsqueeze(-4))
    return torch.logsumexp(weight.log_softmax(-4) + mass, -4).sum((-3, -2, -1))


def _log_mass(mean: Tensor, log_scale: Tensor, x: Tensor) -> Tensor:
    """log P of each level of x under its discretized logistic, shaped alike."""
    precision = torch.exp(-log_scale.clamp(min=LOG_SCALE_LEAST))
    half_bin = 0.5 / (LEVELS - 1)
    upper = F.logsigmoid((x - mean + half_bin) * precision)
    lower = F.logsigmoid((mean - x + half_bin) * precision)
    inside = upper + lower + torch.log(-torch.expm1(-2 * half_bin * precision))
    first, last = x < half_bin, x > 1 - half_bin
    return torch.where(first, upper, torch.where(last, lower, inside))


def bits_per_dimension(nats: float, dimensions: int) -> float:
    """Nats per image as bits per dimension, for images of `dimensions` = C x H x W numbers."""
    return nats / (dimensions * math.log(2))
