"""The variational autoencoder (Kingma & Welling 2014), with one or more stochastic layers.

    z_L ~ N(0, I),  z_l ~ N(mean_l(z_{l+1}), std_l(z_{l+1})),  x ~ p(x | f(z_1))
    q(z_1 .. z_L | x) = q(z_1 | x) q(z_2 | z_1) .. q(z_L | z_{L-1})

each function a network with `depth` hidden layers. With two layers and K particles in the objective
it is the model of Burda et al. 2015 (IWAE, section 5). Each posterior may have planar flows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from oneshot_cli.model.attention import at_size, whole_image
from oneshot_cli.model.config import VAEConfig
from oneshot_cli.model.context import Context
from oneshot_cli.model.engine.linear import Linear
from oneshot_cli.model.flow import planar, planar_parameters
from oneshot_cli.model.gaussian import (
    gaussian_analytical_kl,
    gaussian_log_density,
    mean_and_log_std,
    standard_normal_log_density,
)
from oneshot_cli.model.interface import Bound, GenerativeModel, Trace
from oneshot_cli.model.registry import OBSERVATIONS

ACTIVATIONS: dict[str, type[nn.Module]] = {"silu": nn.SiLU, "tanh": nn.Tanh}


def perceptron(
    inputs: int, hidden: int, depth: int, outputs: int, activation: str
) -> nn.Sequential:
    """`depth` hidden layers of `hidden` units, the activation after each."""
    widths = [inputs] + [hidden] * depth
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [Linear(before, after), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers, Linear(widths[-1], outputs))


@dataclass(frozen=True)
class Inference:
    """z_1 .. z_L from q (each (B, K, D)), their means, their KL and log-ratios (each (B, K))."""

    latents: list[Tensor]
    means: list[Tensor]
    kl: list[Tensor]
    log_ratio: list[Tensor]


class VAE(GenerativeModel):
    """Layers are numbered from the image up, so `latent[0]` is z_1. The steps of a trace are
    numbered from the top down, as they are generated."""

    config: VAEConfig
    config_type = VAEConfig

    def __init__(self, config: VAEConfig) -> None:
        super().__init__(config)
        self.observation = OBSERVATIONS[config.observation](config.channels)
        pixels, numbers = config.size**2, self.observation.parameters
        latent, hidden = config.latent, config.hidden
        network = partial(perceptron, depth=config.depth, activation=config.activation)
        self.encoders = nn.ModuleList(
            network(below, hidden[i], outputs=2 * latent[i] + self._flow_width(latent[i]))
            for i, below in enumerate([config.channels * pixels, *latent[:-1]])
        )
        self.priors = nn.ModuleList(
            network(above, hidden[i + 1], outputs=2 * latent[i])
            for i, above in enumerate(latent[1:])
        )
        self.decoder = network(latent[0], hidden[0], outputs=numbers * pixels)
        start = self.observation.initial_parameters(config.ink)
        with torch.no_grad():
            self.decoder[-1].get_parameter("bias").copy_(start.repeat_interleave(pixels))

    @property
    def noise_shape(self) -> tuple[int]:
        """One number for each latent of each layer, from z_L down."""
        return (sum(self.config.latent),)

    @property
    def latents(self) -> tuple[int, ...]:
        return self.config.latent[::-1]

    def infer(self, x: Tensor, noise: Tensor) -> Inference:
        """All layers of the posterior for x (B, C, S, S) and noise (B, K, D).

        The posterior of z_{l+1} depends on the sample of z_l, so only the top layer's KL has a
        closed form, and with flows none has. The others are estimated by one sample. So is the mean
        of a posterior with flows.
        """
        latents: list[Tensor] = []
        means: list[Tensor] = []
        log_q: list[Tensor] = []
        below = x.flatten(1)[:, None]
        for encoder, epsilon in zip(self.encoders, self._layers(noise), strict=True):
            gaussian, flow = encoder(below).split_with_sizes(
                [2 * epsilon.shape[-1], self._flow_width(epsilon.shape[-1])], -1
            )
            mean, log_std = mean_and_log_std(gaussian)
            below = mean + log_std.exp() * epsilon
            density = gaussian_log_density(below, mean, log_std)
            if self.config.flow:
                below, log_det = planar(below, flow.float().unflatten(-1, (self.config.flow, -1)))
                density = density - log_det
            latents.append(below)
            means.append(below if self.config.flow else mean.expand_as(below))
            log_q.append(density)
        ratios = []
        for prior, (z, above), q in zip(self.priors, pairwise(latents), log_q[:-1], strict=True):
            ratios.append(q - gaussian_log_density(z, *mean_and_log_std(prior(above))))
        ratios.append(log_q[-1] - standard_normal_log_density(latents[-1]))
        if self.config.flow:
            return Inference(latents, means, ratios, ratios)
        top = gaussian_analytical_kl(mean, log_std).expand_as(ratios[-1])
        return Inference(latents, means, [*ratios[:-1], top], ratios)

    def generate(self, noise: Tensor) -> Tensor:
        """z_1 (..., latent[0]) from the prior."""
        *lower, z = self._layers(noise)
        for prior, epsilon in zip(reversed(self.priors), reversed(lower), strict=True):
            mean, log_std = mean_and_log_std(prior(z))
            z = mean + log_std.exp() * epsilon
        return z

    def decode(self, z: Tensor) -> Tensor:
        """The observation's parameters (..., P, S, S) for z_1 (..., latent[0])."""
        size = self.config.size
        return self.decoder(z).float().unflatten(-1, (self.observation.parameters, size, size))

    def bound(
        self, x: Tensor, context: Context, noise: Tensor, gradient_limit: float | None = None
    ) -> Bound:
        found = self.infer(x, noise)
        parameters = self.decode(found.latents[0])
        return Bound(
            log_likelihood=self.observation.log_likelihood(parameters, x[:, None]),
            kl=torch.stack(found.kl[::-1], -1),
            log_ratio=torch.stack(found.log_ratio[::-1], -1),
            posterior_mean=torch.cat(found.means[::-1], -1).detach(),
        )

    def sample(
        self, context: Context, noise: Tensor, *, temperature: float = 1.0, size: int | None = None
    ) -> Tensor:
        return self._picture(self.generate(temperature * noise), size)

    def trace(
        self,
        context: Context,
        noise: Tensor,
        *,
        temperature: float = 1.0,
        size: int | None = None,
        target: Tensor | None = None,
    ) -> Trace:
        """One step a layer, from the top. Layers below the current one have their prior's mean."""
        noise, steps = temperature * noise, self.config.steps
        if target is not None:
            z = self.infer(target, noise[:, None]).latents[0][:, 0]
            pictures = self._picture(z, size)[:, None].expand(-1, steps, -1, -1, -1)
        else:
            drawn = [sum(self.config.latent[-t:]) for t in range(1, steps + 1)]
            position = torch.arange(noise.shape[-1], device=noise.device)
            frames = [self._picture(self.generate(noise * (position < n)), size) for n in drawn]
            pictures = torch.stack(frames, 1)
        window = whole_image(noise, len(noise), steps)
        return Trace(pictures, window, window, None if target is None else window)

    def _flow_width(self, latents: int) -> int:
        return self.config.flow * planar_parameters(latents)

    def _layers(self, noise: Tensor) -> list[Tensor]:
        """The noise of z_1 .. z_L."""
        return list(noise.split(self.config.latent[::-1], -1))[::-1]

    def _picture(self, z: Tensor, size: int | None) -> Tensor:
        return self.observation.pictures(at_size(self.decode(z), size or self.config.size))
