"""What CUDA graphs bring: `python -m benchmarks.cuda_graphs`, which needs a CUDA device.

Forward and backward pass of the flagship's model, in bfloat16, with one context image: operation by
operation, and replayed as a CUDA graph, alternately in one process. Then the largest difference of
the gradients of both, relative to the largest gradient.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import torch
from rich.table import Table
from torch import Tensor

from benchmarks.__main__ import wide_console
from benchmarks.additions import DRAWN, READ, TARGET_ENCODER, model
from benchmarks.timing import alternate, ratio
from benchmarks.training import INK
from oneshot_cli.devices import resolve_device
from oneshot_cli.model import Context, SequentialGenerator
from oneshot_cli.model.objective import objective
from oneshot_cli.training.cuda_graphs import Replayed

BATCHES = 64, 256


def computation(generator: SequentialGenerator) -> Callable[..., tuple[Tensor, ...]]:
    """Forward and backward pass, as `Trainer` computes them."""

    def compute(target: Tensor, images: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        with torch.autocast(target.device.type, torch.bfloat16):
            loss = objective(generator.bound(target, Context.of(images), noise, 1.0))
        loss.backward()
        return (loss.detach(),)

    return compute


def inputs(
    generator: SequentialGenerator, batch: int, size: int, device: torch.device
) -> list[Tensor]:
    """Random targets, context images and noise."""
    drawings = (torch.rand(2, batch, 1, size, size, device=device) < INK).float()
    return [
        drawings[0],
        drawings[1][:, None],
        torch.randn(batch, 1, *generator.noise_shape, device=device),
    ]


def calls(
    generator: SequentialGenerator, given: list[Tensor]
) -> tuple[dict[str, Callable[[], None]], dict[str, Tensor]]:
    """Functions that compute gradients in both ways, and the gradients that they found last."""
    parameters = list(generator.parameters())
    compute = computation(generator)
    ways: dict[str, Callable[..., tuple[Tensor, ...]]] = {
        "one by one": compute,
        "graph": Replayed(compute, parameters),
    }
    found: dict[str, Tensor] = {}

    def call(name: str) -> Callable[[], None]:
        def run() -> None:
            generator.zero_grad(set_to_none=True)
            ways[name](*given)
            found[name] = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])

        return run

    return {name: call(name) for name in ways}, found


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=7, help="timed calls of each")
    options = parser.parse_args()
    device = resolve_device("cuda")
    table = Table("pixels", "batch", "one by one, ms", "graph, ms", "times faster", "difference")
    for size in (READ, DRAWN):
        for batch in BATCHES:
            generator = model({"prior": "learned", "output": "residual", **TARGET_ENCODER})
            generator.to(device)
            runs, found = calls(generator, inputs(generator, batch, size, device))
            seconds = alternate(runs, options.turns, device)
            eager, graph = found["one by one"], found["graph"]
            table.add_row(
                str(size),
                str(batch),
                *(f"{1000 * statistics.median(each):.1f}" for each in seconds.values()),
                f"{ratio(seconds['one by one'], seconds['graph']):.1f}",
                f"{((eager - graph).abs().max() / eager.abs().max()).item():.0e}",
            )
    wide_console().print(table)


if __name__ == "__main__":
    main()
