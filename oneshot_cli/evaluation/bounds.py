"""Bounds on log p(x | x') over a data set, in nats per image, independent of the batch size."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.episodes import Episodes, TaskMix
from oneshot_cli.distributed import ALONE, World
from oneshot_cli.evaluation.activity import Activity
from oneshot_cli.evaluation.proposals import Proposals
from oneshot_cli.model import Context, GenerativeModel


@dataclass(frozen=True)
class BoundReport:
    """Bounds for each of N drawings, in nats, from K = `particles` samples of the posterior.

    `elbo` (N,) is `log_likelihood` (N,) minus the sum of `kl_per_step` (N, T) over the steps; all
    are means over the particles. `iwae` (N,) is the bound L_K of Burda et al. (2015). `activity`
    has the moments that tell which latents are active.
    """

    elbo: Tensor
    iwae: Tensor
    log_likelihood: Tensor
    kl_per_step: Tensor
    activity: Activity
    particles: int

    def mean(self, which: str = "elbo") -> tuple[float, float]:
        """Mean and standard error over the drawings of `elbo`, `iwae`, `log_likelihood` or `kl`."""
        values = self.kl_per_step.sum(-1) if which == "kl" else getattr(self, which)
        error = values.std().item() / math.sqrt(len(values)) if len(values) > 1 else math.nan
        return values.mean().item(), error


def contexts_for(drawings: Drawings, index: Tensor, images: int, seed: int) -> Context:
    """The evaluation contexts of the drawings `index` (N,): `images` others of the same character.

    A context depends only on the seed and its drawing's index.
    """
    if not images:
        return Context.empty(len(index), drawings.size)
    episodes = Episodes(drawings, TaskMix(), seed=seed)
    chosen, masks = [], []
    for i in index.tolist():
        generator = torch.Generator().manual_seed(seed * 1_000_003 + i)
        context, mask = episodes.character_context(torch.tensor([i]), images, generator)
        chosen.append(context)
        masks.append(mask)
    mask = torch.cat(masks)
    shown = drawings.pictures(torch.cat(chosen))
    return Context(shown, mask, torch.zeros(len(index), dtype=torch.bool))


def noise_streams(index: Tensor, seed: int, stream: int = 9_000_011) -> list[torch.Generator]:
    """The generators of the noise of the drawings `index` (N,), which depend on nothing else."""
    return [torch.Generator().manual_seed((seed + 1) * stream + i) for i in index.tolist()]


def standard_noise(
    model: GenerativeModel, generators: list[torch.Generator], particles: int
) -> Tensor:
    """The next `particles` of each stream, standard normal (N, K, ...)."""
    shape = model.noise_shape
    return torch.stack(
        [
            torch.stack([torch.randn(shape, generator=each) for _ in range(particles)])
            for each in generators
        ]
    )


@torch.inference_mode()
def evaluate(
    model: GenerativeModel,
    drawings: Drawings,
    *,
    index: Tensor | None = None,
    proposals: Proposals | None = None,
    context_images: int = 1,
    particles: int = 1,
    seed: int = 0,
    batch: int = 250,
    advance: Callable[[int], None] | None = None,
    world: World = ALONE,
) -> BoundReport:
    """The bounds of `drawings`, of all or of those in `index` (N,), with `proposals` if given.

    Each is conditioned on `context_images` others of its character. Particles are drawn in chunks
    and their importance weights accumulated by log-sum-exp, so memory does not grow with their
    number; `batch` limits images times particles. The context and noise of drawing i depend only on
    `seed` and i. The processes of a `world` divide the batches between them, and each returns the
    whole report, bit for bit that of one process. `advance` is called with the number of images
    done since its last call.
    """
    index = torch.arange(len(drawings)) if index is None else index
    device = next(model.parameters()).device
    found = []
    for rows in world.share(torch.arange(len(index)).split(max(1, batch // min(particles, batch)))):
        part = index[rows]
        context = contexts_for(drawings, part, context_images, seed).to(device)
        x = drawings.pictures(part).to(device)
        theirs = None if proposals is None else proposals[rows].to(device)
        generators = noise_streams(part, seed)
        found.append(_bounds(model, x, context, generators, theirs, particles, batch))
        if advance is not None:
            advance(len(part))
    bounds, activities = zip(*world.gathered(found), strict=True)
    elbo, iwae, likelihood, kl = (torch.cat(column) for column in zip(*bounds, strict=True))
    activity = reduce(operator.add, activities)
    return BoundReport(elbo, iwae, likelihood, kl, activity, particles)


def _bounds(
    model: GenerativeModel,
    x: Tensor,
    context: Context,
    generators: list[torch.Generator],
    proposals: Proposals | None,
    particles: int,
    batch: int,
) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], Activity]:
    """ELBO, L_K, log-likelihood and KL per step of a batch, summed over chunks of particles."""
    total = x.new_full((len(x),), -math.inf)
    likelihood, kl = x.new_zeros(len(x)), x.new_zeros(len(x), model.config.steps)
    means, squares = (x.new_zeros(len(x), sum(model.latents)) for _ in range(2))
    chunk = max(1, batch // len(x))
    for start in range(0, particles, chunk):
        count = min(chunk, particles - start)
        noise = standard_noise(model, generators, count).to(x.device)
        if proposals is not None:
            noise = proposals.noise(noise)
        bound = model.bound(x, context, noise)
        if proposals is not None:
            bound = proposals.corrected(bound, noise, model.latents)
        total = torch.logaddexp(total, torch.logsumexp(bound.log_weight, 1))
        likelihood += bound.log_likelihood.sum(1)
        kl += bound.kl.sum(1)
        means += bound.posterior_mean.sum(1)
        squares += bound.posterior_mean.square().sum(1)
    likelihood, kl = likelihood / particles, kl / particles
    row = likelihood - kl.sum(-1), total - math.log(particles), likelihood, kl
    elbo, iwae, likelihood, kl = (column.cpu() for column in row)
    return (elbo, iwae, likelihood, kl), Activity.of(means, squares, particles)
