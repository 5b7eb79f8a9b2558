"""An exponential average of the weights: what is evaluated, sampled and kept."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


class WeightAverage(Generic[Model]):
    """a <- d a + (1 - d) w after every step, with d = min(decay, (1 + n) / (10 + n)) at step n.

    The early, smaller d lets the average forget where training began.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.decay = decay
        self.model: Model = copy.deepcopy(model)
        self.model.requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, model: Model, step: int) -> None:
        """Take up the weights of `model` after iteration `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1 - decay)
