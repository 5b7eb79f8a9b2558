"""The cost of dividing a batch: `torchrun --standalone --nproc-per-node N -m benchmarks.scaling`.

Times an iteration of the whole batch by one process and by all together, alternately, and the parts
of the difference. If each process has its own cores or GPU, all together should be N times as fast.
If they share one core, compare the processor seconds of all processes instead of the seconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from rich.table import Table

from benchmarks.__main__ import describe_machine, wide_console
from benchmarks.timing import ratio, synchronize
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.episodes import Episodes
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.distributed import ALONE, World, join_world
from oneshot_cli.experiment import Experiment
from oneshot_cli.model import SequentialConfig
from oneshot_cli.training.config import TrainConfig
from oneshot_cli.training.folder import RunFolder
from oneshot_cli.training.loop import Trainer

CHARACTERS, EACH, INK = 200, 20, 0.09


def main() -> None:
    """Measure in all processes. The first one prints."""
    options = _options()
    torch.set_num_threads(options.threads)
    with join_world(options.device) as world:
        config = TrainConfig(batch=options.batch, bf16=options.bf16)
        seconds, work = measured(_runs(world, options.size, config), options.turns, world)
        if world.is_main:
            _print(seconds, work, world, config, options.size)


Times = dict[str, list[float]]


def measured(
    runs: dict[str, Callable[[], object]], turns: int, world: World
) -> tuple[Times, Times]:
    """Call all `runs` in turn, once to warm up and then `turns` times.

    Returns the seconds until the last process has finished, and the processor seconds of all.
    """
    seconds: Times = {name: [] for name in runs}
    work: Times = {name: [] for name in runs}
    for turn in range(turns + 1):
        for name, run in runs.items():
            world.all_gather(None)
            began, busy = time.perf_counter(), time.process_time()
            run()
            synchronize(world.device)
            busy = time.process_time() - busy
            all_busy = sum(world.all_gather(busy))
            if turn:
                seconds[name].append(time.perf_counter() - began)
                work[name].append(all_busy)
    return seconds, work


def _runs(world: World, size: int, config: TrainConfig) -> dict[str, Callable[[], object]]:
    """The functions to time, by name."""
    single = World(device=world.device)
    alone = trainer(size, config, single)
    share = len(range(config.batch)[world.part(config.batch)])
    part = trainer(size, replace(config, batch=share), single)
    together = trainer(size, config, world)
    gradients = torch.zeros(sum(p.numel() for p in alone.model.parameters()), device=world.device)
    alone._iterate()
    finite = torch.zeros((), device=world.device)

    def update() -> None:
        torch.nn.utils.clip_grad_norm_(alone.model.parameters(), config.clip)
        alone._step(finite)
        alone.average.update(alone.model, 0)

    def by_main(work: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            if world.is_main:
                work()

        return run

    return {
        "one": by_main(alone._iterate),
        "together": together._iterate,
        "part": by_main(part._iterate),
        "update": by_main(update),
        "all-reduce": lambda: dist.all_reduce(gradients),
        "agreement": lambda: world.maximum(0),
    }


def trainer(size: int, config: TrainConfig, world: World = ALONE) -> Trainer:
    """A run of the default model on random drawings. It writes nothing unless asked to."""
    count = CHARACTERS * EACH
    images = torch.rand(count, size, size, generator=torch.Generator().manual_seed(0)) < INK
    drawings = Drawings(
        images=images.to(torch.uint8),
        character=torch.arange(CHARACTERS).repeat_interleave(EACH),
        alphabet=torch.zeros(CHARACTERS, dtype=torch.long),
        characters=tuple(map(str, range(CHARACTERS))),
        alphabets=("random",),
    )
    episodes = Episodes(drawings, config.tasks, seed=config.seed, device=world.device)
    folder = RunFolder(Path(tempfile.gettempdir()) / "scaling")
    experiment = Experiment(SequentialConfig(size=size), config, DataSpec("random", size=size))
    return Trainer(folder, experiment, episodes, drawings, world=world)


def _print(seconds: Times, work: Times, world: World, config: TrainConfig, size: int) -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    machine = {**describe_machine(world.device), "cores_allowed": cores, "processes": world.size}
    console = wide_console()
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()))
    what = f"{size} pixels, batch {config.batch}, {'bf16' if config.bf16 else 'fp32'}"
    table = Table(
        f"{what}; relative to the first row in brackets", "seconds", "processor seconds of all"
    )
    named = {
        "one": "an iteration by one process",
        "together": f"the same by {world.size} together",
        "part": f"one process's part of the batch, 1/{world.size}",
        "update": "clipping, optimizer and average, in every process",
        "all-reduce": "averaging the gradients over the processes",
        "agreement": "agreeing whether to continue",
    }
    for name, label in named.items():
        cells = [
            f"{statistics.median(taken[name]):.4f} ({1 / ratio(taken['one'], taken[name]):.3f})"
            for taken in (seconds, work)
        ]
        table.add_row(label, *cells)
    console.print(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=28, help="pixels")
    parser.add_argument("--batch", type=int, default=64, help="size of the whole batch")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--turns", type=int, default=7, help="timed calls of each")
    parser.add_argument("--threads", type=int, default=1, help="threads of each process")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return parser.parse_args()


if __name__ == "__main__":
    main()
