"""The speed of NADE's engine: `python -m benchmarks.nade`.

Gradients of 100 images by the engine and by autograd, alternately in one process.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch

from benchmarks.timing import alternate, ratio
from oneshot_cli.devices import resolve_device
from oneshot_cli.model import Context
from oneshot_cli.model.config import NADEConfig
from oneshot_cli.model.interface import Engine
from oneshot_cli.model.nade import NADE
from oneshot_cli.model.objective import objective

BATCH = 100


def gradient_step(config: NADEConfig, engine: Engine, device: torch.device) -> Callable[[], None]:
    """A function that computes the gradients of all weights for a batch of random images."""
    torch.manual_seed(0)
    model = NADE(config).to(device)
    model.use_engine(engine)
    x = (torch.rand(BATCH, 1, config.size, config.size) < config.ink).float().to(device)
    context = Context.empty(BATCH, config.size).to(device)
    noise = torch.zeros(BATCH, 1, *model.noise_shape, device=device)

    def run() -> None:
        model.zero_grad(set_to_none=True)
        objective(model.bound(x, context, noise)).backward()

    return run


def times(config: NADEConfig, turns: int, device: torch.device) -> dict[str, list[float]]:
    """The seconds of each call, by engine: "plain" and "written"."""
    engines: tuple[Engine, ...] = ("plain", "written")
    runs: dict[str, Callable[[], object]] = {
        engine: gradient_step(config, engine, device) for engine in engines
    }
    return alternate(runs, turns, device)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5, help="timed calls of each")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = times(NADEConfig(ink=0.131), options.turns, resolve_device(options.device))
    for engine, seconds in found.items():
        print(f"{engine:8} {min(seconds):.3f} s at best for {BATCH} images")
    print(f"{ratio(found['plain'], found['written']):.1f} times faster (median of the turns)")


if __name__ == "__main__":
    main()
