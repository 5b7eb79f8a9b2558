"""q(z_t | z_<t, x, x'): the posterior of a step's latents, given the target x."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneshot_cli.model.attention import Reader
from oneshot_cli.model.config import SequentialConfig
from oneshot_cli.model.engine.linear import Linear
from oneshot_cli.model.gaussian import mean_and_log_std
from oneshot_cli.model.image_encoder import ImageEncoder, downsampled


@dataclass(frozen=True)
class EncodedTarget:
    """What of x does not depend on h: images (B, C, S, S), and their encodings (B, units)."""

    images: Tensor
    features: Tensor

    def repeat(self, times: int) -> EncodedTarget:
        """Each example `times` times, one after the other."""
        if times == 1:
            return self
        return EncodedTarget(
            self.images.repeat_interleave(times, 0), self.features.repeat_interleave(times, 0)
        )


class Posterior(nn.Module):
    """A diagonal Gaussian from a glimpse of x, an encoding of x, h_{t-1} and v_t.

    The structured posterior of Rezende et al. 2016, eq. 12: through h it depends on all the latents
    before. It shares h with the generator.
    """

    def __init__(self, config: SequentialConfig) -> None:
        super().__init__()
        units = config.posterior_units
        self.size = config.input_size
        self.image_encoder = ImageEncoder(config) if config.image_encoder_units else None
        self.reader = Reader(
            config.hidden,
            config.glimpse,
            config.read_scale,
            channels=config.channels,
            size=config.input_size,
            attention=config.attention,
        )
        self.embed_image = Linear(config.image_encoder_units, units) if self.image_encoder else None
        self.embed_step = Linear(self.reader.width + config.hidden + config.context_width, units)
        self.output = Linear(units, 2 * config.latent)
        nn.init.normal_(self.output.weight, std=0.01)
        nn.init.zeros_(self.output.bias)

    def encode(self, x: Tensor) -> EncodedTarget:
        """The target, with what is the same at every step."""
        x = downsampled(x, self.size)
        if self.image_encoder is None or self.embed_image is None:
            return EncodedTarget(x, x.new_zeros(x.shape[0], 1))
        return EncodedTarget(x, self.embed_image(self.image_encoder(x)))

    def forward(
        self, h: Tensor, v: Tensor, glimpse: Tensor, encoded: EncodedTarget
    ) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of z_t, each (B, latent), for a glimpse of `reader`."""
        step = self.embed_step(torch.cat([glimpse, h, v.to(h.dtype)], -1))
        return mean_and_log_std(self.output(F.silu(step + encoded.features)))
