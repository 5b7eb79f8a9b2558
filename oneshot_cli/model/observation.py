"""p(x | canvas): what the last canvas says about an image.

An observation model turns P numbers a pixel (B, P, H, W) into a distribution over images
(B, C, H, W) with values in [0, 1]. Adding one is a class, and a line in OBSERVATIONS.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from oneshot_cli.model.config import Config
from oneshot_cli.model.likelihood import (
    bernoulli_log_likelihood,
    discretized_logistic_log_likelihood,
    logistic_mixture_log_likelihood,
)

LOG_SCALE_START = -2.0
COMPONENTS = 5
"""Logistics of a mixture, for each channel of each pixel."""
CENTRES_APART = 1.5
"""How far, in logits, the outer centres begin from the mean: alike they would stay alike."""


class Observation(ABC):
    """What the canvas's numbers mean, for images of `channels` channels."""

    def __init__(self, channels: int) -> None:
        self.channels = channels

    @property
    @abstractmethod
    def parameters(self) -> int:
        """P, how many numbers a pixel has."""

    @abstractmethod
    def start(self, mean: float) -> Tensor:
        """The numbers (P,) of an empty canvas, for data with this mean."""

    @abstractmethod
    def log_likelihood(self, parameters: Tensor, x: Tensor) -> Tensor:
        """log p(x | parameters) in nats: (..., P, H, W) and (..., C, H, W) -> (...)."""

    @abstractmethod
    def mean(self, parameters: Tensor) -> Tensor:
        """The picture that the parameters describe, (..., C, H, W) in [0, 1]."""


class Bernoulli(Observation):
    """Binary images: a logit of ink for each pixel."""

    @property
    def parameters(self) -> int:
        return self.channels

    def start(self, mean: float) -> Tensor:
        return torch.full((self.channels,), math.log(mean / (1 - mean)))

    def log_likelihood(self, parameters: Tensor, x: Tensor) -> Tensor:
        return bernoulli_log_likelihood(parameters, x)

    def mean(self, parameters: Tensor) -> Tensor:
        return torch.sigmoid(parameters)


class DiscretizedLogistic(Observation):
    """Images of 256 levels: a logistic density over each bin (Salimans et al. 2017).

    Of a pixel's 2 C numbers the first C are the logits of the centres, the others log-scales.
    """

    @property
    def parameters(self) -> int:
        return 2 * self.channels

    def start(self, mean: float) -> Tensor:
        centre = torch.full((self.channels,), math.log(mean / (1 - mean)))
        return torch.cat([centre, torch.full((self.channels,), LOG_SCALE_START)])

    def log_likelihood(self, parameters: Tensor, x: Tensor) -> Tensor:
        log_scale = parameters.narrow(-3, self.channels, self.channels)
        return discretized_logistic_log_likelihood(self.mean(parameters), log_scale, x)

    def mean(self, parameters: Tensor) -> Tensor:
        return torch.sigmoid(parameters.narrow(-3, 0, self.channels))


class LogisticMixture(Observation):
    """The same with COMPONENTS logistics a channel (PixelCNN++ without ties between channels).

    Of a pixel's numbers the first third are the logits of their weights, then come the logits of
    the centres, then log-scales; each component after component, channel after channel.
    """

    @property
    def parameters(self) -> int:
        return 3 * COMPONENTS * self.channels

    def start(self, mean: float) -> Tensor:
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


OBSERVATIONS: dict[str, type[Observation]] = {
    "bernoulli": Bernoulli,
    "logistic": DiscretizedLogistic,
    "logistic-mixture": LogisticMixture,
}


def observation(config: Config) -> Observation:
    """The observation model that `config` names."""
    return OBSERVATIONS[config.observation](config.channels)
