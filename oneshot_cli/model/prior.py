"""p(z_t | h_{t-1}): the prior of a step's latents.

The standard normal is the prior of Rezende et al. 2016. A learned one depends on all latents before
it through the hidden state, as in Chung et al. 2015 (a recurrent latent variable model, eq. 5).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from oneshot_cli.model.config import SequentialConfig
from oneshot_cli.model.engine.linear import Linear
from oneshot_cli.model.gaussian import mean_and_log_std


class Prior(nn.Module, ABC):
    """A diagonal Gaussian for the latents of the next step, given the state before it."""

    def __init__(self, config: SequentialConfig) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of z_t, each (..., latent), for h_{t-1} (..., hidden)."""


class StandardPrior(Prior):
    """N(0, I), for every state."""

    def __init__(self, config: SequentialConfig) -> None:
        super().__init__(config)
        self.latent = config.latent

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        zero = torch.zeros((), device=h.device).expand(*h.shape[:-1], self.latent)
        return zero, zero


class LearnedPrior(Prior):
    """One linear layer from h_{t-1} to mean and log standard deviation; it starts as N(0, I)."""

    def __init__(self, config: SequentialConfig) -> None:
        super().__init__(config)
        self.linear = Linear(config.hidden, 2 * config.latent)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        return mean_and_log_std(self.linear(h))
