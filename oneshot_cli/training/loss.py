"""The loss of a batch as a module, so that DistributedDataParallel can wrap all of it."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from oneshot_cli.distributed import ALONE, World
from oneshot_cli.model import Context, GenerativeModel
from oneshot_cli.model.interface import Bound
from oneshot_cli.model.objective import Objective, objective


class Loss(nn.Module):
    """A model with its bound and the training objective."""

    def __init__(
        self,
        model: GenerativeModel,
        which: Objective,
        free_bits: float = 0.0,
        world: World = ALONE,
    ) -> None:
        super().__init__()
        self.model, self.which, self.free_bits, self.world = model, which, free_bits, world

    def forward(
        self, x: Tensor, context: Context, noise: Tensor, gradient_limit: float, kl_weight: Tensor
    ) -> tuple[Tensor, Bound]:
        """The mean loss in nats, and the terms of the bound.

        `x` is this process's part of the batch; the arguments are those of `GenerativeModel.bound`.
        """
        bound = self.model.bound(x, context, noise, gradient_limit=gradient_limit)
        batch_mean = partial(self.world.mean_over_examples, count=len(x))
        return objective(bound, kl_weight, self.which, self.free_bits, batch_mean), bound
