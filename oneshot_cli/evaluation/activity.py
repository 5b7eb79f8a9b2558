"""Active latents: those that tell images apart (Burda et al. 2015, section 5)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

THRESHOLD = 0.01
"""A latent is active where the variance of its posterior mean over images exceeds this."""


@dataclass(frozen=True)
class Activity:
    """Moments of the posterior means of L latents over images, from which their activity follows.

    The activity of a latent is Var_x(E[z | x]). E[z | x] is estimated by the mean over particles of
    E[z | x, the latents before z]; the error of that estimate would add to the variance, so the
    share that is expected of it is subtracted, as in an analysis of variance: the estimate is
    unbiased for two particles already. Of several disjoint sets of images the sum is that of all.
    """

    images: int
    particles: int
    total: Tensor
    """Sums over images of the estimates, (L,) in float64."""
    square: Tensor
    """The same of their squares."""
    error: Tensor
    """The same of the variances that they have because particles are few."""

    @classmethod
    def of(cls, total: Tensor, square: Tensor, particles: int) -> Activity:
        """From each image's sums over particles of the means and of their squares, (B, L)."""
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
            raise ValueError("activities of different numbers of particles do not add up")
        return Activity(
            images=self.images + other.images,
            particles=self.particles,
            total=self.total + other.total,
            square=self.square + other.square,
            error=self.error + other.error,
        )

    @property
    def variance(self) -> Tensor | None:
        """The activity of each latent (L,); None where one image or one particle tells nothing."""
        if self.images < 2 or self.particles < 2:
            return None
        mean = self.total / self.images
        observed = (self.square - self.images * mean.square()) / (self.images - 1)
        return observed - self.error / self.images

    def active(self, latents: tuple[int, ...]) -> tuple[int, ...] | None:
        """How many latents of each step are active, where the steps have so many `latents`."""
        if self.variance is None:
            return None
        return tuple(int(step.sum()) for step in (self.variance > THRESHOLD).split(list(latents)))
