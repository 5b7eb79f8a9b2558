"""Active latents: those whose posterior mean varies between images (Burda et al. 2015, sec. 5)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

THRESHOLD = 0.01
"""A latent is active where the variance of its posterior mean over images exceeds this."""


@dataclass(frozen=True)
class Activity:
    """Moments of the posterior means of L latents over images, from which their activity follows.

    The activity of a latent is Var_x(E[z | x]). E[z | x] is estimated by the mean over particles of
    E[z | x, the latents before z]. The sampling error of that estimate adds to the variance; its
    expectation is subtracted, as in an analysis of variance, so the estimate is unbiased for two
    particles or more. Adding the moments of disjoint sets of images gives those of their union.
    """

    images: int
    particles: int
    total: Tensor
    """Sums over images of the estimates of E[z | x], (L,) in float64."""
    square: Tensor
    """Sums over images of their squares, (L,) in float64."""
    error: Tensor
    """Sums over images of the estimates' sampling variances, (L,) in float64."""

    @classmethod
    def of(cls, total: Tensor, square: Tensor, particles: int) -> Activity:
        """From sums over the particles of the posterior means and of their squares, (B, L) each."""
        total, square = total.cpu().double(), square.cpu().double()
        mean = total / particles
        spread = (square - particles * mean.square()).clamp(min=0) / max(particles - 1, 1)
        return cls(
            images=len(mean),
            particles=particles,
            total=mean.sum(0),
            square=mean.square().sum(0),
            error=spread.sum(0) / particles,
        )

    def __add__(self, other: Activity) -> Activity:
        if self.particles != other.particles:
            raise ValueError("activities with different numbers of particles cannot be added")
        return Activity(
            images=self.images + other.images,
            particles=self.particles,
            total=self.total + other.total,
            square=self.square + other.square,
            error=self.error + other.error,
        )

    @property
    def variance(self) -> Tensor | None:
        """The activity of each latent (L,); None for fewer than two images or particles."""
        if self.images < 2 or self.particles < 2:
            return None
        mean = self.total / self.images
        observed = (self.square - self.images * mean.square()) / (self.images - 1)
        return observed - self.error / self.images

    def active(self, latents: tuple[int, ...]) -> tuple[int, ...] | None:
        """The number of active latents of each step, None as in `variance`.

        `latents` (T,) is the number of latents of each step.
        """
        if self.variance is None:
            return None
        return tuple(int(step.sum()) for step in (self.variance > THRESHOLD).split(list(latents)))
