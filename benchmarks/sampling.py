"""The speed of drawing in pictures a second, for several batches and sizes.

The engine is compared with the reference, both drawing from the prior, and with drawing near the
exemplar, which also needs a deformed exemplar and the posterior.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch

from benchmarks.reference import Reference
from benchmarks.timing import alternate, ratio
from oneshot_cli.checkpoint import Header
from oneshot_cli.drawing.oneshot import CLOSENESS, Oneshot
from oneshot_cli.model import Context, SequentialConfig, SequentialGenerator

SIZES = (28, 52, 112)
COUNTS = (1, 10, 1000)
MAX_REFERENCE_PIXELS = 1000 * 28 * 28
"""The reference is left out of larger calls, except with --full."""


@dataclass(frozen=True)
class Row:
    """Pictures a second (medians) for calls with `count` pictures of `size` x `size`.

    `engine` and `reference` draw from the prior. `near` draws with the default closeness, and takes
    `times_longer` times as long as the engine.
    """

    size: int
    count: int
    engine: float
    reference: float | None
    times_faster: float | None
    near: float
    times_longer: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(turns: int, device: torch.device, *, full: bool) -> Iterator[Row]:
    """Time variations of one exemplar by a model of the flagship's size, including the noise."""
    torch.manual_seed(0)
    config = SequentialConfig()
    engine = SequentialGenerator(config).requires_grad_(False).eval().to(device)
    reference = Reference(config).requires_grad_(False).eval().to(device)
    reference.adopt(engine)
    oneshot = Oneshot(engine, Header(config), Path("random"))
    exemplar = (torch.rand(1, 1, config.size, config.size) < config.ink).float()
    for size, count in product(SIZES, COUNTS):
        runs: dict[str, Callable[[], object]] = {
            "engine": _engine(oneshot, exemplar, count, size, closeness=0.0),
            "near": _engine(oneshot, exemplar, count, size, closeness=CLOSENESS),
        }
        if full or count * size**2 <= MAX_REFERENCE_PIXELS:
            runs["reference"] = _reference(reference, exemplar.to(device), count, size)
        seconds = alternate(runs, turns, device)
        rate = {name: count / statistics.median(taken) for name, taken in seconds.items()}
        other = seconds.get("reference")
        yield Row(
            size,
            count,
            engine=rate["engine"],
            reference=rate.get("reference"),
            times_faster=ratio(other, seconds["engine"]) if other else None,
            near=rate["near"],
            times_longer=ratio(seconds["near"], seconds["engine"]),
        )


def _engine(
    oneshot: Oneshot, exemplar: torch.Tensor, count: int, size: int, closeness: float
) -> Callable[[], object]:
    return lambda: oneshot.vary_batch([exemplar], count, size=size, closeness=closeness)


def _reference(
    reference: Reference, exemplar: torch.Tensor, count: int, size: int
) -> Callable[[], object]:
    config = reference.config
    context = Context.of(exemplar.expand(count, 1, 1, config.size, config.size))

    def run() -> None:
        noise = torch.randn(count, config.steps, config.latent, device=exemplar.device)
        with torch.inference_mode():
            reference.sample(context, noise, size=size)

    return run
