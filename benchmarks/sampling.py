"""Drawing: pictures a second, in batches, at several sizes.

The engine beside the reference, which draw from the prior alone; and near the exemplar, which takes
a deformed exemplar and the posterior besides.
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
WORK = 1000 * 28 * 28
"""Pixels of a call beyond which the reference is left out, unless all is asked for."""


@dataclass(frozen=True)
class Row:
    """`count` pictures of `size` x `size` in one call: pictures a second (medians).

    `engine` and `reference` draw from the prior alone, `near` as `vary` does by default, which
    takes `times_longer` than the engine.
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
    """Variations of one exemplar by a model of the flagship's size, noise and all."""
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
        if full or count * size**2 <= WORK:
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
