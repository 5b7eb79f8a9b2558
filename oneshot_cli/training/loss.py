"""The loss of a batch as a module, so that whatever wraps a module's `forward` wraps all of it."""

from __future__ import annotations

from torch import Tensor, nn

from oneshot_cli.model import Context, GenerativeModel
from oneshot_cli.model.interface import Bound
from oneshot_cli.model.objective import Objective, objective


class Loss(nn.Module):
    """A model's bound and the objective made of it."""

    def __init__(self, model: GenerativeModel, which: Objective, free_bits: float = 0.0) -> None:
        super().__init__()
        self.model, self.which, self.free_bits = model, which, free_bits

    def forward(
        self, x: Tensor, context: Context, noise: Tensor, gradient_limit: float, kl_weight: float
    ) -> tuple[Tensor, Bound]:
        """The mean loss and its terms, for what `GenerativeModel.bound` takes."""
        bound = self.model.bound(x, context, noise, gradient_limit=gradient_limit)
        return objective(bound, kl_weight, self.which, self.free_bits), bound
