"""Exponential moving average of the weights. It is what is evaluated, sampled and saved."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

Model = TypeVar("Model", bound=nn.Module)


class WeightAverage(Generic[Model]):
    """The average a of a model's weights w: after step n, a <- d a + (1 - d) w.

    The decay d = min(decay, (1 + n) / (10 + n)) is small early in training, so that the average
    forgets the initial weights. `model` holds the average.

    `torch.optim.swa_utils.AveragedModel` has no such warm-up, and counts updates in a buffer that
    states of older runs lack. Here n is the run's step, so a resumed run continues bit for bit.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.decay = decay
        self.model: Model = copy.deepcopy(model)
        self.model.requires_grad_(False).eval()

    def update(self, model: Model, step: int) -> None:
        """Update the average with the weights of `model` after iteration `step`, counted from 0."""
        average = get_ema_multi_avg_fn(min(self.decay, (1 + step) / (10 + step)))
        average(list(self.model.parameters()), list(model.parameters()), step)
