"""Distributions of the noise of each image, other than the standard normal one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from oneshot_cli.model.interface import Bound


@dataclass(frozen=True)
class Proposals:
    """The noise of each of N images is drawn from r = N(shift, exp(log_scale)^2), both (N, ...).

    All latents of a model are a function of its noise, z = g(noise; x, x'), which is invertible. If
    the noise is standard normal, z has the density q(z) of the model's posterior. If it is drawn
    from r, the importance weight of z is

        log p(x, z) - log q_r(z) = log p(x, z) - log q(z) - (log r(noise) - log N(noise; 0, I)).
    """

    shift: Tensor
    log_scale: Tensor

    def __getitem__(self, index: Tensor) -> Proposals:
        """Those of some images."""
        return Proposals(self.shift[index], self.log_scale[index])

    def to(self, device: torch.device) -> Proposals:
        """The same on `device`."""
        return Proposals(self.shift.to(device), self.log_scale.to(device))

    def detached(self) -> Proposals:
        """The same as constants of a gradient."""
        return Proposals(self.shift.detach(), self.log_scale.detach())

    def where(self, chosen: Tensor, other: Proposals) -> Proposals:
        """These for the images of `chosen` (N,), a mask, and those of `other` for the rest."""
        mask = chosen.view(-1, *[1] * (self.shift.dim() - 1))
        return Proposals(
            torch.where(mask, self.shift, other.shift),
            torch.where(mask, self.log_scale, other.log_scale),
        )

    def noise(self, standard: Tensor) -> Tensor:
        """Samples (N, K, ...) of r, of standard normal noise (N, K, ...)."""
        return self.shift[:, None] + self.log_scale[:, None].exp() * standard

    def log_ratio(self, noise: Tensor, latents: tuple[int, ...]) -> Tensor:
        """log r(noise) - log N(noise; 0, I), (N, K, T), summed over the `latents` of each step."""
        shift, log_scale = self.shift[:, None], self.log_scale[:, None]
        standard = (noise - shift) * (-log_scale).exp()
        each = (noise.square() - standard.square()) / 2 - log_scale
        steps = each.flatten(2).split(latents, -1)
        return torch.stack([step.sum(-1) for step in steps], -1)

    def corrected(self, bound: Bound, noise: Tensor, latents: tuple[int, ...]) -> Bound:
        """`bound`, which is of `noise`, with the density of that noise.

        The KL of a step is then log q_r - log p at the sample, and no longer in closed form.
        """
        log_ratio = bound.log_ratio + self.log_ratio(noise, latents)
        return replace(bound, kl=log_ratio, log_ratio=log_ratio)
