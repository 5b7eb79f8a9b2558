"""NADE (Larochelle & Murray 2011): an autoregressive model of pixels.

    h_i = sigmoid(c + sum over j < i of W_j x_j)
    p(x_i = 1 | x_1 .. x_{i-1}) = sigmoid(b_i + V_i h_i)

It has no latents, so its likelihood is exact. Every bound equals it, for any number of particles.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from oneshot_cli.model.attention import at_size, whole_image
from oneshot_cli.model.config import NADEConfig
from oneshot_cli.model.context import Context
from oneshot_cli.model.engine.autoregression import conditional_logits
from oneshot_cli.model.interface import Bound, Engine, GenerativeModel, Trace
from oneshot_cli.model.likelihood import bernoulli_log_likelihood


class NADE(GenerativeModel):
    """Pixels row by row, from the left. A step of a trace is a row."""

    config: NADEConfig
    config_type = NADEConfig

    def __init__(self, config: NADEConfig) -> None:
        super().__init__(config)
        self.engine: Engine = "auto"
        self.pixels = config.size**2
        self.read = nn.Parameter(torch.randn(self.pixels, config.hidden) * self.pixels**-0.5)
        self.write = nn.Parameter(torch.randn(self.pixels, config.hidden) * config.hidden**-0.5)
        self.start = nn.Parameter(torch.zeros(config.hidden))
        self.bias = nn.Parameter(
            torch.full((self.pixels,), math.log(config.ink / (1 - config.ink)))
        )

    def use_engine(self, engine: Engine) -> None:
        """The engine computes the logits and their gradient, see `engine.autoregression`."""
        self.engine = engine

    @property
    def noise_shape(self) -> tuple[int]:
        """One number a pixel, compared with the probability of ink."""
        return (self.pixels,)

    @property
    def latents(self) -> tuple[int, ...]:
        return (0,) * self.config.steps

    def logits(self, x: Tensor) -> Tensor:
        """The logit of each pixel given those before it, (B, D), for pictures (B, D).

        All pixels are computed at once. Autograd keeps the hidden units of all of them, (B, D,
        hidden); the engine those of a few at a time.
        """
        if self.engine != "plain" and not torch.compiler.is_compiling():
            return conditional_logits(x, self.read, self.write, self.start, self.bias)
        terms = x[..., None] * self.read
        h = torch.sigmoid(self.start + terms.cumsum(-2) - terms)
        return self.bias + (h * self.write).sum(-1)

    def pictures(self, noise: Tensor) -> Tensor:
        """Pictures (B, D), a pixel at a time: ink where Phi(noise) < p, which has probability p."""
        state = self.start.expand(len(noise), -1)
        drawn = []
        for i, chance in enumerate(torch.special.ndtr(noise).unbind(-1)):
            logit = self.bias[i] + torch.sigmoid(state) @ self.write[i]
            drawn.append((chance < torch.sigmoid(logit)).to(noise.dtype))
            state = state + drawn[-1][:, None] * self.read[i]
        return torch.stack(drawn, -1)

    def bound(
        self, x: Tensor, context: Context, noise: Tensor, gradient_limit: float | None = None
    ) -> Bound:
        shape = noise.shape[:2]
        zero = noise.new_zeros(*shape, self.config.steps)
        exact = bernoulli_log_likelihood(self.logits(x.flatten(1)).view_as(x).float(), x)
        return Bound(
            log_likelihood=exact[:, None].expand(shape),
            kl=zero,
            log_ratio=zero,
            posterior_mean=noise.new_zeros(*shape, 0),
        )

    def sample(
        self, context: Context, noise: Tensor, *, temperature: float = 1.0, size: int | None = None
    ) -> Tensor:
        """Binary pictures, not their means. At temperature 0 each pixel has its likelier value."""
        return self._resized(self.pictures(temperature * noise), size)

    def trace(
        self,
        context: Context,
        noise: Tensor,
        *,
        temperature: float = 1.0,
        size: int | None = None,
        target: Tensor | None = None,
    ) -> Trace:
        """Row by row, with the rows below blank. With a target the pictures are its rows."""
        steps = self.config.steps
        x = self.pictures(temperature * noise) if target is None else target.flatten(1)
        row = torch.arange(self.pixels, device=x.device) // self.config.size
        pictures = torch.stack([self._resized(x * (row <= t), size) for t in range(steps)], 1)
        window = whole_image(noise, len(noise), steps)
        return Trace(pictures, window, window, None if target is None else window)

    def _resized(self, x: Tensor, size: int | None) -> Tensor:
        side = self.config.size
        return at_size(x.view(-1, 1, side, side), size or side)
