"""Statistics of iterations, accumulated on the device.

Reading them waits for the device, so it is done only now and then.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor


class RunningMeans:
    """Means over the iterations since the last call of `clear`."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.count, self.started = 0, time.monotonic()
        self.names: list[str] = []
        self.sums: Tensor | None = None

    def add(self, values: dict[str, Tensor]) -> None:
        """Add the values of an iteration. Their names have to be the same each time."""
        self.count += 1
        self.names = list(values)
        numbers = torch.stack(list(values.values()))
        self.sums = numbers if self.sums is None else self.sums + numbers

    def means(self) -> list[float]:
        """The means, in the order of `names`."""
        return [] if self.sums is None else (self.sums / self.count).tolist()

    @property
    def seconds(self) -> float:
        return max(time.monotonic() - self.started, 1e-9)


class NonfiniteGradients:
    """Counts iterations whose gradient was not finite."""

    def __init__(self, device: torch.device) -> None:
        self.new = torch.zeros((), device=device)
        self.in_a_row = torch.zeros((), device=device)

    def add(self, nonfinite: Tensor) -> None:
        """Add an iteration: `nonfinite` is 1 if its gradient was not finite, otherwise 0."""
        self.new += nonfinite
        self.in_a_row.add_(nonfinite).mul_(nonfinite)

    def read(self) -> tuple[int, int]:
        """The count since the last call of `read`, and the count in a row up to now."""
        new, in_a_row = torch.stack([self.new, self.in_a_row]).tolist()
        self.new.zero_()
        return int(new), int(in_a_row)
