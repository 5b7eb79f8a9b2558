"""Whether the memory of a long run stays constant: `python -m benchmarks.leak`.

Trains a small model on glyphs as `oneshot train` does, with evaluations and saves, and prints the
memory of the process after every 200 iterations. After 2,000 iterations it should be within 2 % of
that after 200.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch

from oneshot_cli.data import load
from oneshot_cli.data.episodes import Episodes, TaskMix
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.experiment import Experiment
from oneshot_cli.model import SequentialConfig
from oneshot_cli.training.config import TrainConfig
from oneshot_cli.training.folder import RunFolder
from oneshot_cli.training.loop import Hooks, Intervals, Trainer

EVERY, ITERATIONS = 200, 2_000
SMALL = SequentialConfig(
    steps=4,
    hidden=48,
    context_units=32,
    posterior_units=48,
    image_encoder_units=24,
    image_encoder_channels=8,
)
"""Large enough to notice a leaked batch, small enough for two thousand iterations."""


def main() -> None:
    """Train, print the memory every 200 iterations, and compare the first with the last."""
    torch.set_num_threads(1)
    drawings = load("glyphs", size=SMALL.size)
    held: list[float] = []

    def note(row: dict[str, Any]) -> None:
        if "bound" in row:
            held.append(resident_megabytes())
            print(f"{row['step']:6,} iterations: {held[-1]:7.1f} MB")

    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            RunFolder(Path(folder)),
            Experiment(
                SMALL,
                TrainConfig(iterations=ITERATIONS, batch=16, evaluation_drawings=64),
                DataSpec("glyphs", size=SMALL.size),
            ),
            Episodes(drawings, TaskMix(), seed=0),
            drawings,
            intervals=Intervals(log=EVERY, evaluate=EVERY // 2, save=EVERY // 2),
            hooks=Hooks(metrics=note),
        ).fit()
    print(f"{100 * (held[-1] / held[0] - 1):+.1f} % from the first to the last")


def resident_megabytes() -> float:
    """The resident memory of the process in MB. Linux only."""
    status = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1]) / 2**10


if __name__ == "__main__":
    main()
