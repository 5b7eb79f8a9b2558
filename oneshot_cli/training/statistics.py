"""Statistics of iterations, accumulated on the device.

Reading them waits for the device, so it is done only now and then.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class RunningMeans:
    """Means over the iterations since the last call of `clear`.

    Iterations with a number that is not finite are left out: their step was skipped.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.count, self.started = 0, time.monotonic()
        self.names: list[str] = []
        self._sums: Tensor | None = None

    def add(self, values: dict[str, Tensor]) -> None:
        """Add the values of an iteration. Their names have to be the same each time."""
        self.count += 1
        self.names = list(values)
        numbers = torch.stack([*values.values(), torch.ones_like(next(iter(values.values())))])
        numbers = torch.where(numbers.isfinite().all(), numbers, 0.0)  # the last counts them
        self._sums = numbers if self._sums is None else self._sums + numbers

    def means(self) -> list[float]:
        """The means, in the order of `names`: NaN if there was no finite iteration."""
        return [] if self._sums is None else (self._sums[:-1] / self._sums[-1]).tolist()

    @property
    def seconds(self) -> float:
        """The time since the last call of `clear`, without what was `uncounted`."""
        return max(time.monotonic() - self.started, 1e-9)

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """The time of the block does not count."""
        before = time.monotonic()
        yield
        self.started += time.monotonic() - before


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
