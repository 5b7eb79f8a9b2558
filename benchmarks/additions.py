"""The cost of the flagship's parts that the paper lacks: `python -m benchmarks.additions`.

Training steps and drawing are timed for the flagship's model with all three, with each alone, with
an encoder of the context, too, and with none, alternately in one process.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from rich.table import Table

from benchmarks.__main__ import wide_console
from benchmarks.timing import alternate, ratio
from benchmarks.training import Case, training_step
from oneshot_cli.devices import resolve_device
from oneshot_cli.model import Context, SequentialConfig, SequentialGenerator

READ, DRAWN = 28, 52
"""The flagship reads at the first size. It is trained at both, and draws at both."""
PICTURES = 100
TARGET_ENCODER: dict[str, Any] = {"image_encoder_units": 256, "encode_context": False}
ADDITIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "learned prior": {"prior": "learned"},
    "residual output": {"output": "residual"},
    "image encoder": TARGET_ENCODER,
    "also of the context": {"image_encoder_units": 256},
    "all": {"prior": "learned", "output": "residual", **TARGET_ENCODER},
}


def model(fields: dict[str, Any]) -> SequentialGenerator:
    """The flagship's model with these additions, with random weights of seed 0."""
    torch.manual_seed(0)
    return SequentialGenerator(SequentialConfig(size=DRAWN, read_size=READ, **fields))


def drawing(fields: dict[str, Any], size: int, device: torch.device) -> Callable[[], None]:
    """A function that draws variations of one exemplar at `size` in one call."""
    generator = model(fields).requires_grad_(False).eval().to(device)
    exemplar = (torch.rand(1, 1, 1, DRAWN, DRAWN) < generator.config.ink).float()
    noise = torch.randn(PICTURES, *generator.noise_shape).to(device)

    def run() -> None:
        with torch.inference_mode():
            generator.sample(Context.of(exemplar).to(device), noise, size=size)

    return run


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=7, help="timed calls of each")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = resolve_device(options.device)
    table = Table("what", *ADDITIONS, title="Time relative to none (medians)")
    for size in (READ, DRAWN):
        case = Case(size=size)
        steps = {name: training_step(model(f), case, device) for name, f in ADDITIONS.items()}
        table.add_row(f"training step at {size}", *_ratios(steps, options.turns, device))
    for size in (READ, DRAWN, 4 * DRAWN):
        calls = {name: drawing(fields, size, device) for name, fields in ADDITIONS.items()}
        table.add_row(f"{PICTURES} drawings at {size}", *_ratios(calls, options.turns, device))
    wide_console().print(table)


def _ratios(runs: dict[str, Callable[[], None]], turns: int, device: torch.device) -> list[str]:
    """The time of each relative to "none"."""
    seconds = alternate(runs, turns, device)
    return [f"{ratio(taken, seconds['none']):.2f}" for taken in seconds.values()]


if __name__ == "__main__":
    main()
