"""p(x | canvas): the distribution of an image, given the last canvas.

An observation model turns P parameters a pixel (B, P, H, W) into a distribution over images
(B, C, H, W) with values in [0, 1].
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from oneshot_cli.model.likelihood import (
    bernoulli_log_likelihood,
    discretized_logistic_log_likelihood,
    logistic_mixture_log_likelihood,
)

LOG_SCALE_START = -2.0
COMPONENTS = 5
"""Components of the mixture, for each channel of each pixel."""
CENTRES_APART = 1.5
"""Distance of the outer centres from the mean at the start, in logits: equal ones stay equal."""


class Observation(ABC):
    """A distribution over images of `channels` channels."""

    binary: ClassVar[bool] = False
    """Whether the images are binary; otherwise they have 256 levels."""

    def __init__(self, channels: int) -> None:
        self.channels = channels

    @property
    @abstractmethod
    def parameters(self) -> int:
        """P, the number of parameters a pixel."""

    @abstractmethod
    def initial_parameters(self, mean: float) -> Tensor:
        """The parameters (P,) of an empty canvas, for data with this mean."""

    @abstractmethod
    def log_likelihood(self, parameters: Tensor, x: Tensor) -> Tensor:
        """log p(x | parameters) in nats: (..., P, H, W) and (..., C, H, W) -> (...)."""

    @abstractmethod
    def mean(self, parameters: Tensor) -> Tensor:
        """The mean of x, (..., C, H, W) in [0, 1]."""

    def pictures(self, parameters: Tensor) -> Tensor:
        """`mean` of (B, ..., P, H, W), picture by picture.

        So that a picture's bits do not depend on its place: see `oneshot_cli.drawing.batches`.
        """
        if torch.compiler.is_compiling():  # for export, where a batch has no length yet
            return self.mean(parameters)
        return torch.cat([self.mean(each) for each in parameters.split(1)])


class Bernoulli(Observation):
    """Binary images: a logit of ink for each pixel."""

    binary = True

    @property
    def parameters(self) -> int:
        return self.channels

    def initial_parameters(self, mean: float) -> Tensor:
        return torch.full((self.channels,), math.log(mean / (1 - mean)))

    def log_likelihood(self, parameters: Tensor, x: Tensor) -> Tensor:
        return bernoulli_log_likelihood(parameters, x)

    def mean(self, parameters: Tensor) -> Tensor:
        return torch.sigmoid(parameters)


class DiscretizedLogistic(Observation):
    """Images of 256 levels: a logistic density over each bin (Salimans et al. 2017).

    A pixel has 2 C parameters: C logits of the centres, then C log-scales.
    """

    @property
    def parameters(self) -> int:
        return 2 * self.channels

    def initial_parameters(self, mean: float) -> Tensor:
        centre = torch.full((self.channels,), math.log(mean / (1 - mean)))
        return torch.cat([centre, torch.full((self.channels,), LOG_SCALE_START)])

    def log_likelihood(self, parameters: Tensor, x: Tensor) -> Tensor:
        log_scale = parameters.narrow(-3, self.channels, self.channels)
        return discretized_logistic_log_likelihood(self.mean(parameters), log_scale, x)

    def mean(self, parameters: Tensor) -> Tensor:
        return torch.sigmoid(parameters.narrow(-3, 0, self.channels))


class LogisticMixture(Observation):
    """A mixture of COMPONENTS logistics a channel (PixelCNN++ with independent channels).

    A pixel's parameters are the logits of the weights, the logits of the centres and the
    log-scales, a third each, ordered by component and then by channel.
    """

    @property
    def parameters(self) -> int:
        return 3 * COMPONENTS * self.channels

    def initial_parameters(self, mean: float) -> Tensor:
        weight = torch.zeros(COMPONENTS)
        apart = torch.linspace(-CENTRES_APART, CENTRES_APART, COMPONENTS)
        centre = math.log(mean / (1 - mean)) + apart
        scale = torch.full((COMPONENTS,), LOG_SCALE_START)
        return torch.cat([weight, centre, scale]).repeat_interleave(self.channels)

    def log_likelihood(self, parameters: Tensor, x: Tensor) -> Tensor:
        weight, centre, log_scale = self._split(parameters)
        return logistic_mixture_log_likelihood(weight, torch.sigmoid(centre), log_scale, x)

    def mean(self, parameters: Tensor) -> Tensor:
        weight, centre, _ = self._split(parameters)
        return (weight.softmax(-4) * torch.sigmoid(centre)).sum(-4)

    def _split(self, parameters: Tensor) -> tuple[Tensor, ...]:
        """Logits of the weights and of the centres, and log-scales, each (..., M, C, H, W)."""
        return parameters.unflatten(-3, (3, COMPONENTS, self.channels)).unbind(-5)
