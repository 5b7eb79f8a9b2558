"""q(z_t | z_<t, x, x'): what the inference model sees of the image to be explained."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneshot_cli.model.attention import Reader
from oneshot_cli.model.config import ModelConfig
from oneshot_cli.model.engine.linear import Linear
from oneshot_cli.model.gaussian import mean_and_log_std
from oneshot_cli.model.summary import Summary, shrunk


@dataclass(frozen=True)
class EncodedTarget:
    """What of x does not depend on h: the images (B, C, S, S) and their embedded summary."""

    images: Tensor
    features: Tensor

    def repeat(self, times: int) -> EncodedTarget:
        """Each example `times` times over, in place."""
        if times == 1:
            return self
        return EncodedTarget(
            self.images.repeat_interleave(times, 0), self.features.repeat_interleave(times, 0)
        )


class Posterior(nn.Module):
    """A diagonal Gaussian from a glimpse of x, a summary of x, h_{t-1} and v_t.

    The structured posterior of Rezende et al. 2016, eq. 12: through h it depends on all the latents
    before. It shares h with the generator.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        units = config.posterior_units
        self.size = config.reading
        self.summary = Summary(config) if config.summary_units else None
        self.reader = Reader(
            config.hidden,
            config.glimpse,
            config.read_scale,
            channels=config.channels,
            size=config.reading,
            attention=config.attention,
        )
        self.embed_summary = Linear(config.summary_units, units) if self.summary else None
        self.embed_step = Linear(self.reader.width + config.hidden + config.context_width, units)
        self.output = Linear(units, 2 * config.latent)
        nn.init.normal_(self.output.weight, std=0.01)
        nn.init.zeros_(self.output.bias)

    def encode(self, x: Tensor) -> EncodedTarget:
        """Everything that is the same at every step."""
        x = shrunk(x, self.size)
        if self.summary is None or self.embed_summary is None:
            return EncodedTarget(x, x.new_zeros(len(x), 1))
        return EncodedTarget(x, self.embed_summary(self.summary(x)))

    def forward(
        self, h: Tensor, v: Tensor, glimpse: Tensor, encoded: EncodedTarget
    ) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of z_t, each (B, latent), of what `reader` took."""
        step = self.embed_step(torch.cat([glimpse, h, v.to(h.dtype)], -1))
        return mean_and_log_std(self.output(F.silu(step + encoded.features)))
