"""Posteriors that are fitted to each image, beginning with the posterior network's.

Semi-amortized inference (Kim et al. 2018): gradient ascent of an image's ELBO fits a distribution
of its noise (`Proposals`). The ELBO and the IWAE bounds remain bounds of the same model, with a
better q. What the ELBO gains is at most what the posterior network loses against the best
distribution of this family (Cremer et al. 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from oneshot_cli.data.drawings import Drawings
from oneshot_cli.distributed import ALONE, World
from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation.bounds import contexts_for, noise_streams, standard_noise
from oneshot_cli.evaluation.proposals import Proposals
from oneshot_cli.model import Context, GenerativeModel

PARTICLES = 4
"""Samples of each image in a step of the ascent."""
TOGETHER = 32
"""Images that are fitted in one batch, whatever the batch of the bounds. The last batch is filled
up: an ascent makes much of how floats are rounded, which depends on the shape of the batch."""
LEARNING_RATE, MOMENTUM = 0.02, 0.9
"""Of the ascent; the rate is constant for half of the steps, then falls to 0."""
COST_OF_A_STEP = 3 * PARTICLES
"""The particles of a bound that take about as long as a step of the ascent, for progress."""
GRADIENT_LIMIT = 20.0
"""On the norm of an image's gradient."""
TRIALS = 4
"""Times PARTICLES samples, on which a proposal has to be better than the posterior network."""
NOISE_STREAM = 7_000_003
"""Tells the noise of the ascent from that of the bounds, which has to be independent of it."""


def check_refinable(model: GenerativeModel) -> None:
    """Raise OneshotError for a model without latents, whose likelihood is exact."""
    if not sum(model.latents):
        raise OneshotError(f"a {model.config.kind} model has no latents: nothing can be refined")


@torch.inference_mode(mode=False)
@torch.enable_grad()
def refine(
    model: GenerativeModel,
    drawings: Drawings,
    *,
    steps: int,
    index: Tensor | None = None,
    context_images: int = 1,
    seed: int = 0,
    advance: Callable[[int], None] | None = None,
    world: World = ALONE,
) -> Proposals:
    """The proposals of `drawings`, of all or of those in `index` (N,), after `steps` of ascent.

    The other arguments are those of `evaluate`, whose bounds have these contexts and other noise.
    Each image is fitted for itself, TOGETHER of them in a batch. An image whose fit did not raise
    the ELBO, on noise of its own, keeps the network's posterior. Raises OneshotError for a model
    without latents.
    """
    check_refinable(model)
    index = torch.arange(len(drawings)) if index is None else index
    device = next(model.parameters()).device
    found = []
    for part in world.share(index.split(TOGETHER)):
        filled = torch.cat([part, part[:1].expand(TOGETHER - len(part))])
        context = contexts_for(drawings, filled, context_images, seed).to(device)
        generators = noise_streams(filled, seed, NOISE_STREAM)
        fitted = _fitted(model, drawings.pictures(filled).to(device), context, generators, steps)
        found.append(tuple(each[: len(part)].cpu() for each in (fitted.shift, fitted.log_scale)))
        if advance is not None:
            advance(len(part))
    shifts, log_scales = zip(*world.gathered(found), strict=True)
    return Proposals(torch.cat(shifts), torch.cat(log_scales))


def _fitted(
    model: GenerativeModel,
    x: Tensor,
    context: Context,
    generators: list[torch.Generator],
    steps: int,
) -> Proposals:
    """The proposals of a batch, by gradient ascent of the sum of its ELBOs.

    The density of r is that of constants in the gradient, whose variance is then small where the
    proposals are good (Roeder et al. 2017).
    """
    fitted = [x.new_zeros(len(x), *model.noise_shape, requires_grad=True) for _ in range(2)]
    proposals, network = Proposals(*fitted), Proposals(*map(torch.zeros_like, fitted))
    optimizer = torch.optim.SGD(fitted, lr=LEARNING_RATE, momentum=MOMENTUM)

    def weights(of: Proposals, density: Proposals) -> Tensor:
        """The log importance weights (B, PARTICLES) of samples of a proposal."""
        noise = of.noise(standard_noise(model, generators, PARTICLES).to(x.device))
        return density.corrected(model.bound(x, context, noise), noise, model.latents).log_weight

    for step in range(steps):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * min(1, 2 * (1 - step / steps))
        loss = -weights(proposals, proposals.detached()).mean(1).sum()
        gradients = torch.autograd.grad(loss, fitted)
        for each, gradient in zip(fitted, limited(gradients), strict=True):
            each.grad = gradient
        optimizer.step()
    with torch.no_grad():
        elbos = [
            torch.cat([weights(each, each) for _ in range(TRIALS)], 1).mean(1)
            for each in (proposals, network)
        ]
    return proposals.detached().where(elbos[0] > elbos[1], network)


def limited(gradients: Sequence[Tensor]) -> list[Tensor]:
    """Gradients (B, ...), together of a norm of at most GRADIENT_LIMIT for each of B images.

    An image whose gradient is not finite has none.
    """
    flat = torch.cat([each.flatten(1) for each in gradients], 1)
    norm = flat.norm(dim=1, keepdim=True)
    factor = torch.where(norm.isfinite(), (GRADIENT_LIMIT / norm).clamp(max=1), 0.0)
    flat = (flat.nan_to_num(0.0, 0.0, 0.0) * factor).split(
        [each[0].numel() for each in gradients], 1
    )
    return [part.reshape(each.shape) for part, each in zip(flat, gradients, strict=True)]
