"""Seconds by the clock, taken in turns, so that whatever else the machine does hits all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch


def alternate(
    runs: Mapping[str, Callable[[], object]], times: int, device: torch.device
) -> dict[str, list[float]]:
    """Call all of `runs` in turn `times` times: seconds of each call.

    A turn is two calls, of which the second is timed: work that is repeated finds its memory, and
    its weights, where it left them, not where another run did.
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
    """How many times faster: the median over the turns, each of which saw the same machine."""
    return statistics.median(s / f for s, f in zip(slow, fast, strict=True))


def synchronize(device: torch.device) -> None:
    """Wait for what was given to the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
