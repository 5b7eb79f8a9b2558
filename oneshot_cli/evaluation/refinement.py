"""Posteriors that are fitted to each image, beginning with the posterior network's.

Semi-amortized inference (Kim et al. 2018): gradient ascent of an image's ELBO fits a distribution
of its noise (`Proposals`). The ELBO and the IWAE bounds remain bounds of the same model, with a
better q. What they gain is what the posterior network loses against the best distributions of this
family (Cremer et al. 2018).
"""

from __future__ import annotations

from collections.abc import Callable

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
LEARNING_RATE, MOMENTUM = 0.02, 0.9
"""Of the ascent; the rate is constant for half of the steps, then falls to 0."""
NOISE_STREAM = 7_000_003
"""Tells the noise of the ascent from that of the bounds, which has to be independent of it."""


def check_refinable(model: GenerativeModel) -> None:
    """Raise OneshotError for a model without latents, whose likelihood is exact."""
    if not sum(model.latents):
        raise OneshotError(f"a {model.config.kind} model has no latents: nothing can be refined")


@torch.enable_grad()
def refine(
    model: GenerativeModel,
    drawings: Drawings,
    *,
    steps: int,
    index: Tensor | None = None,
    context_images: int = 1,
    seed: int = 0,
    batch: int = 250,
    advance: Callable[[int], None] | None = None,
    world: World = ALONE,
) -> Proposals:
    """The proposals of `drawings`, of all or of those in `index` (N,), after `steps` of ascent.

    The other arguments are those of `evaluate`, whose bounds have these contexts and other noise.
    Each image is fitted for itself; `batch` limits images times PARTICLES. Raises OneshotError for
    a model without latents.
    """
    check_refinable(model)
    index = torch.arange(len(drawings)) if index is None else index
    device = next(model.parameters()).device
    found = []
    for part in world.share(index.split(max(1, batch // PARTICLES))):
        context = contexts_for(drawings, part, context_images, seed).to(device)
        generators = noise_streams(part, seed, NOISE_STREAM)
        fitted = _fitted(model, drawings.pictures(part).to(device), context, generators, steps)
        found.append((fitted.shift.cpu(), fitted.log_scale.cpu()))
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
    proposals = Proposals(*fitted)
    optimizer = torch.optim.SGD(fitted, lr=LEARNING_RATE, momentum=MOMENTUM)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * min(1, 2 * (1 - step / steps))
        noise = proposals.noise(standard_noise(model, generators, PARTICLES).to(x.device))
        bound = model.bound(x, context, noise)
        weights = proposals.detached().corrected(bound, noise, model.latents).log_weight
        gradients = torch.autograd.grad(-weights.mean(1).sum(), fitted)
        for each, gradient in zip(fitted, gradients, strict=True):
            each.grad = gradient
        optimizer.step()
    return proposals.detached()
