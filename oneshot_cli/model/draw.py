"""DRAW (Gregor et al. 2015): a recurrent autoencoder that draws on a canvas.

x^_t = x - mean(c_{t-1})                              error image
r_t = read(x, x^_t, h^dec_{t-1})
h^enc_t = LSTM(h^enc_{t-1}, [r_t, h^dec_{t-1}])
z_t ~ q(z_t | h^enc_t) = N(mean(h^enc_t), std(h^enc_t)),   prior N(0, I)
h^dec_t = LSTM(h^dec_{t-1}, z_t)
c_t = c_{t-1} + write(h^dec_t)
x ~ p(x | c_T)
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from oneshot_cli.model.attention import Reader, Writer, whole_image
from oneshot_cli.model.config import DRAWConfig
from oneshot_cli.model.context import Context
from oneshot_cli.model.engine.gathering import Gathering
from oneshot_cli.model.engine.gradients import limit_gradient
from oneshot_cli.model.engine.linear import Linear
from oneshot_cli.model.gaussian import (
    gaussian_analytical_kl,
    gaussian_log_density,
    mean_and_log_std,
    standard_normal_log_density,
)
from oneshot_cli.model.interface import Bound, Engine, GenerativeModel, Trace
from oneshot_cli.model.lstm import LSTM
from oneshot_cli.model.registry import OBSERVATIONS


@dataclass(frozen=True)
class Redrawing:
    """A target redrawn by the posterior.

    The decoder's states (B, T, hidden), the last canvas (B, P, S, S), the reading windows (B, T,
    ...), `kl` and `log_ratio` (B, T), and the posterior's means (B, T, latent).
    """

    h: Tensor
    canvas: Tensor
    windows: Tensor
    kl: Tensor
    log_ratio: Tensor
    posterior_mean: Tensor


class DRAW(GenerativeModel):
    """Unconditional. The encoder reads the canvas, so every step depends on the previous canvas."""

    config: DRAWConfig
    config_type = DRAWConfig

    def __init__(self, config: DRAWConfig) -> None:
        super().__init__(config)
        self.engine: Engine = "auto"
        self.observation = OBSERVATIONS[config.observation](config.channels)
        hidden, latent = config.hidden, config.latent
        self.reader = Reader(
            hidden,
            config.glimpse,
            config.read_scale,
            channels=2 * config.channels,
            size=config.size,
            attention=config.attention,
        )
        self.encoder = LSTM(self.reader.width + hidden, hidden)
        self.posterior = Linear(hidden, 2 * latent)
        self.decoder = LSTM(latent, hidden)
        self.writer = Writer(
            hidden,
            config.patch,
            self.observation.parameters,
            config.write_scale,
            size=config.size,
            attention=config.attention,
        )
        self.start = nn.Parameter(torch.zeros(4, hidden))
        self.empty = nn.Parameter(self.observation.initial_parameters(config.ink))
        nn.init.normal_(self.posterior.weight, std=0.01)
        nn.init.zeros_(self.posterior.bias)

    def use_engine(self, engine: Engine) -> None:
        """The engine's part is the gradients of weights, see `engine.gathering`."""
        self.engine = engine

    @property
    def noise_shape(self) -> tuple[int, int]:
        """(T, latent)."""
        return (self.config.steps, self.config.latent)

    def redraw(self, x: Tensor, noise: Tensor, gradient_limit: float | None = None) -> Redrawing:
        """Images (B, C, S, S) redrawn by the posterior, with noise (B, T, latent)."""
        canvas = self.empty[:, None, None].expand(len(x), -1, *x.shape[-2:])
        h_enc, cell_enc, h, cell = self.start[:, None].expand(4, len(x), self.config.hidden)
        states, windows, kls, ratios, means = [], [], [], [], []
        with nullcontext() if self.engine == "plain" else Gathering(self):
            for epsilon in noise.unbind(1):
                error = x - self.observation.mean(canvas)
                window = self.reader.attention(h)
                glimpse = self.reader(torch.cat([x, error], 1), window)
                h_enc, cell_enc = self.encoder.step(h_enc, cell_enc, glimpse, h)
                mean, log_std = mean_and_log_std(self.posterior(h_enc))
                z = mean + log_std.exp() * epsilon
                h, cell = self.decoder.step(h, cell, z)
                if gradient_limit is not None and h.requires_grad:
                    h = limit_gradient(h, gradient_limit)
                write = self.writer(self.writer.patches(h), self.writer.attention(h), x.shape[-1])
                canvas = canvas + write
                kls.append(gaussian_analytical_kl(mean, log_std))
                ratio = gaussian_log_density(z, mean, log_std) - standard_normal_log_density(z)
                ratios.append(ratio)
                states.append(h)
                windows.append(window)
                means.append(mean.detach())
        return Redrawing(
            h=torch.stack(states, 1),
            canvas=canvas,
            windows=torch.stack(windows, 1),
            kl=torch.stack(kls, 1),
            log_ratio=torch.stack(ratios, 1),
            posterior_mean=torch.stack(means, 1),
        )

    def generate(self, z: Tensor) -> Tensor:
        """The decoder's states (B, T, hidden) for latents (B, T, latent)."""
        h, cell = self.start[2:, None].expand(2, len(z), self.config.hidden)
        states = []
        for latent in z.unbind(1):
            h, cell = self.decoder.step(h, cell, latent)
            states.append(h)
        return torch.stack(states, 1)

    def canvases(self, h: Tensor, size: int) -> Tensor:
        """c_1 .. c_T, (B, T, P, size, size), for states (B, T, hidden)."""
        flat = h.flatten(0, 1)
        writes = self.writer(self.writer.patches(flat), self.writer.attention(flat), size)
        return self.empty[:, None, None] + writes.float().unflatten(0, h.shape[:2]).cumsum(1)

    def bound(
        self, x: Tensor, context: Context, noise: Tensor, gradient_limit: float | None = None
    ) -> Bound:
        shape = noise.shape[:2]
        many = x.repeat_interleave(shape[1], 0)
        drawn = self.redraw(many, noise.flatten(0, 1), gradient_limit)
        return Bound(
            log_likelihood=self.observation.log_likelihood(drawn.canvas.float(), many).view(shape),
            kl=drawn.kl.unflatten(0, shape),
            log_ratio=drawn.log_ratio.unflatten(0, shape),
            posterior_mean=drawn.posterior_mean.view(*shape, -1),
        )

    def sample(
        self, context: Context, noise: Tensor, *, temperature: float = 1.0, size: int | None = None
    ) -> Tensor:
        h = self.generate(temperature * noise)
        return self.observation.pictures(self.canvases(h, size or self.config.size)[:, -1])

    def trace(
        self,
        context: Context,
        noise: Tensor,
        *,
        temperature: float = 1.0,
        size: int | None = None,
        target: Tensor | None = None,
    ) -> Trace:
        noise = temperature * noise
        drawn = None if target is None else self.redraw(target, noise)
        h = self.generate(noise) if drawn is None else drawn.h
        return Trace(
            pictures=self.observation.pictures(self.canvases(h, size or self.config.size)),
            write_windows=self.writer.attention.frame(self.writer.attention(h)),
            read_windows=whole_image(h, *h.shape[:2]),
            target_windows=None if drawn is None else self.reader.attention.frame(drawn.windows),
        )
