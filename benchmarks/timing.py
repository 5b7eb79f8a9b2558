"""Wall-clock times of alternate calls, so that other processes affect all calls equally."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch


def alternate(
    runs: Mapping[str, Callable[[], object]], times: int, device: torch.device
) -> dict[str, list[float]]:
    """Call all `runs` in turn, `times` times. Returns the seconds of each call.

    In a turn each is called twice, and the second call is timed. So the caches have its own data,
    not those of another run.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(times):
        for name, run in runs.items():
            run()
            synchronize(device)
            started = time.perf_counter()
            run()
            synchronize(device)
            seconds[name].append(time.perf_counter() - started)
    return seconds


def ratio(slow: list[float], fast: list[float]) -> float:
    """How many times as fast: the median of the ratios of each turn."""
    return statistics.median(s / f for s, f in zip(slow, fast, strict=True))


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished its queue."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
