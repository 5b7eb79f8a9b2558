"""The interface of all models: a bound for a batch, samples, and the steps of a sample.

Training, evaluation and drawing use nothing else.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from oneshot_cli.errors import OneshotError
from oneshot_cli.model.config import Config
from oneshot_cli.model.context import Context

Engine = Literal["auto", "written", "plain"]
"""How gradients are computed, see `GenerativeModel.use_engine`."""


@dataclass(frozen=True)
class Bound:
    """The terms of the variational bound, in nats, for B examples and K particles.

    `log_likelihood` (B, K) is log p(x | z); `kl` (B, K, T) the KL of each step in closed form;
    `log_ratio` (B, K, T) is log q(z_t | ...) - log p(z_t) at the sample, whose mean is the KL.
    `posterior_mean` (B, K, L) are the means of all latents given those before them, step after
    step, in units of a learned prior: (mean - its mean) / its standard deviation. (Of a posterior
    whose mean is unknown it is the sample itself, which has the same mean.)
    """

    log_likelihood: Tensor
    kl: Tensor
    log_ratio: Tensor
    posterior_mean: Tensor

    @property
    def elbo(self) -> Tensor:
        """log p(x | z) - KL, (B, K): its mean is the evidence lower bound."""
        return self.log_likelihood - self.kl.sum(-1)

    @property
    def log_weight(self) -> Tensor:
        """log p(x, z) / q(z | x), (B, K): the log importance weights (Burda et al. 2015)."""
        return self.log_likelihood - self.log_ratio.sum(-1)


@dataclass(frozen=True)
class Trace:
    """A drawing, step by step.

    `pictures` (B, T, C, H, W) in [0, 1] are the mean of the observation after every step: of a
    binary image the probability of ink. `write_windows`, `read_windows` and `target_windows`
    (B, T, 2, 3) are where each step wrote, and where it read the context and the target, if there
    is one. A model without windows has whole-image windows.
    """

    pictures: Tensor
    write_windows: Tensor
    read_windows: Tensor
    target_windows: Tensor | None

    @property
    def probabilities(self) -> Tensor:
        """The last picture, (B, C, H, W)."""
        return self.pictures[:, -1]


class GenerativeModel(nn.Module, ABC):
    """`bound` trains and measures a model, `sample` draws, `trace` draws and shows every step.

    Noise is always an argument, so that results are functions of their arguments: standard normal
    numbers of shape `noise_shape` for each drawing. An unconditional model ignores its context.
    """

    config: Config
    config_type: ClassVar[type[Config]]
    """The class of its configuration, whose `kind` is the model's name in the registry."""
    compiled_methods: ClassVar[tuple[str, ...]] = ("bound",)
    """The methods that `--compile` compiles."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    @property
    @abstractmethod
    def noise_shape(self) -> tuple[int, ...]:
        """The shape of the noise of one drawing."""

    @property
    def latents(self) -> tuple[int, ...]:
        """The number of latents of each of the T steps."""
        steps = self.config.steps
        return (math.prod(self.noise_shape) // steps,) * steps

    def recompute(self, steps: int) -> None:
        """Save only every `steps`-th state for the backward pass, and compute the others again.

        The gradients stay the same. Raises OneshotError if the model does not support it.
        """
        raise OneshotError(f"{self.config.kind} models cannot recompute; leave recompute out")

    def use_engine(self, engine: Engine) -> None:
        """Choose how gradients are computed: by `oneshot_cli.model.engine` or by autograd.

        "auto" is the engine wherever it can, "written" the engine or an error, "plain" autograd
        alone. Raises OneshotError where "written" is asked of a model that the engine cannot train.
        """
        if engine == "written":
            raise OneshotError(
                f"the engine has no written-out gradient of {self.config.kind} models"
            )

    @abstractmethod
    def bound(
        self, x: Tensor, context: Context, noise: Tensor, gradient_limit: float | None = None
    ) -> Bound:
        """The terms of the bound for images (B, C, S, S) in [0, 1] and noise (B, K, ...).

        `gradient_limit` bounds the norm of the gradient of each recurrent state.
        """

    @abstractmethod
    def sample(
        self, context: Context, noise: Tensor, *, temperature: float = 1.0, size: int | None = None
    ) -> Tensor:
        """Drawings from noise (B, ...): the mean of x, (B, C, size, size) in [0, 1].

        `temperature` scales the noise around the prior's mean: 1 samples the model, less gives
        more typical drawings.
        """

    @abstractmethod
    def trace(
        self,
        context: Context,
        noise: Tensor,
        *,
        temperature: float = 1.0,
        size: int | None = None,
        target: Tensor | None = None,
    ) -> Trace:
        """`sample` with all steps. With a target (B, C, S, S) the posterior redraws it."""
