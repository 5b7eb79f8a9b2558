"""What is counted on the device from iteration to iteration, and read now and then.

Reading waits for the device, which until then has work in store.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor


class RunningMeans:
    """Means over the iterations since the last line of metrics."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.count, self.started = 0, time.monotonic()
        self.names: list[str] = []
        self.sums: Tensor | None = None

    def add(self, values: dict[str, Tensor]) -> None:
        """Take up an iteration's numbers, the same ones each time."""
        self.count += 1
        self.names = list(values)
        numbers = torch.stack(list(values.values()))
        self.sums = numbers if self.sums is None else self.sums + numbers

    def means(self) -> list[float]:
        """In the order of `names`."""
        return [] if self.sums is None else (self.sums / self.count).tolist()

    @property
    def seconds(self) -> float:
        return max(time.monotonic() - self.started, 1e-9)


class NonfiniteGradients:
    """Counts iterations whose gradient was not finite: since the last reading, and in a row."""

    def __init__(self, device: torch.device) -> None:
        self.fresh = torch.zeros((), device=device)
        self.in_a_row = torch.zeros((), device=device)

    def add(self, nonfinite: Tensor) -> None:
        """Take up an iteration: `nonfinite` is 1 where its gradient was not finite, otherwise 0."""
        self.fresh += nonfinite
        self.in_a_row.add_(nonfinite).mul_(nonfinite)

    def read(self) -> tuple[int, int]:
        """How many there were since the last reading, and how many in a row there are now."""
        fresh, in_a_row = torch.stack([self.fresh, self.in_a_row]).tolist()
        self.fresh.zero_()
        return int(fresh), int(in_a_row)
