"""Short runs of equal cost that change one setting each: `python checkpoints/compare.py`.

Each variant is trained on `weak-validation` at 28 x 28, so that no setting is chosen by the test
drawings of reported results. All runs have the whole schedule. The baseline has as many iterations
as fit in `--minutes` on `--threads`. A variant whose iterations cost more has fewer in proportion.
The result is the table of docs/recipe.md.

`--jobs` runs are trained at a time, on one thread each. Finished runs are not trained again. The
cost of an iteration is processor time of one thread, measured in alternation with the baseline, so
that other processes matter little.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from oneshot_cli import checkpoint, data
from oneshot_cli.evaluation.nll import fitting, measure
from oneshot_cli.files import atomic_write_bytes
from oneshot_cli.training.config import TrainConfig
from oneshot_cli.training.folder import RunFolder

BASE = (
    "--dataset omniglot --split weak-validation --validation 0 --augment 1 --learning-rate 3e-3 "
    "--clip 1000 --set step_clip=2000 --threads 1 --quiet"
)
MODEL = "--latent 16 --image-encoder 0"
KL_WARMUP = 0.25
"""Share of a run. The flagship's run is longer, and its warm-up is a tenth of it."""

SAME_COST = {
    "baseline": "",
    "baseline, another seed": "--seed 1",
    "learning rate 7e-4": "--learning-rate 7e-4",
    "learning rate 1.5e-3": "--learning-rate 1.5e-3",
    "learning rate 6e-3": "--learning-rate 6e-3",
    "no decay of the learning rate": "--set decay=0",
    "no augmentation": "--augment 0",
    "a quarter turned by 90, 180, 270": "--turn 0.25",
    "no KL warm-up": "--kl-warmup 0",
    "free bits, 0.5 nats a step, no KL warm-up": "--set free_bits=0.5 --kl-warmup 0",
    "one exemplar only (task 2)": "--task 2",
    "tight limits of gradients, 100 and 200": "--clip 200 --set step_clip=100",
    "loose limit of the whole gradient alone": "--set step_clip=100",
    "windows of six free numbers": "--attention free-transformer",
    "writing windows half as wide at first": "--set write_scale=0.3",
    "weights averaged over 100 iterations": "--set average=0.99",
    "4 latents a step": "--latent 4",
    "8 latents a step": "--latent 8",
    "32 latents a step": "--latent 32",
}
"""Options of variants whose iterations cost the same as the baseline's."""

GROWING = "20 x 20 pixels for the first third"
SMALL = "--size 20"
FIRST = 1 / 3
"""Share of the time at the smaller size. A second run starts from the weights."""

OTHER_COST = {
    "image encoder": "--image-encoder 256",
    "12 steps": "--steps 12",
    "32 steps": "--steps 32",
    "256 units": "--hidden 256",
    "gated canvas": "--canvas gated",
    "standard prior": "--prior standard",
    "linear output": "--output-network linear",
    "standard prior, linear output": "--prior standard --output-network linear",
    "batch 32": "--batch 32",
    "batch 128": "--batch 128",
    "glimpses and patches of 8 x 8": "--glimpse 8 --patch 8",
    "paper: 4 latents, free windows": "--latent 4 --attention free-transformer",
    GROWING: SMALL,
}
"""Options of variants whose iterations have another cost."""

DRAWINGS = 600
"""Number of test drawings that a variant is evaluated on."""
TRIALS = 3
"""How often the cost of an iteration and that of the baseline's are measured."""


@dataclass(frozen=True)
class Cost:
    """Seconds of wall-clock time and of processor time."""

    clock: float
    processor: float


def train(folder: Path, options: str) -> Cost:
    """Start or resume a run. Returns its cost."""
    words = [sys.executable, "-m", "oneshot_cli", "train", "--output", str(folder)]
    words += ["--resume"] if RunFolder(folder).state.exists() else shlex.split(options)
    started = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)
    return Cost(time.perf_counter() - started, usage.ru_utime)


def cost(options: str) -> Cost:
    """The cost of an iteration, from the difference between a longer and a shorter run."""
    with tempfile.TemporaryDirectory() as folder:
        few, more = (
            train(Path(folder) / str(n), f"{options} --iterations {n} --eval-drawings 1")
            for n in (10, 50)
        )
    return Cost((more.clock - few.clock) / 40, (more.processor - few.processor) / 40)


def relative_cost(options: str, base: str) -> float:
    """The cost of an iteration relative to the baseline's: a ratio of medians of trials."""
    costs = [(cost(options).processor, cost(base).processor) for _ in range(TRIALS)]
    mine, theirs = (statistics.median(each) for each in zip(*costs, strict=True))
    return mine / theirs


def schedule(iterations: int) -> str:
    """The options of a run that is evaluated once, at its end."""
    every = f"--eval-every {iterations} --sample-every {iterations}"
    return f"--iterations {iterations} {every}"


def make(name: str, folder: RunFolder, length: int, base: str) -> None:
    """Train a variant at the cost of `length` iterations of the baseline."""
    whole, changes = f"{base} {MODEL}", (SAME_COST | OTHER_COST)[name]
    count = length if name in SAME_COST else length / relative_cost(f"{whole} {changes}", whole)
    warmup = f"--kl-warmup {round(KL_WARMUP * length)}"
    if name != GROWING:
        words = f"{whole} {schedule(round(count))} --kl-warmup {round(KL_WARMUP * count)} {changes}"
        train(folder.path, words)
        return
    first = RunFolder(folder.path.with_name(f"{folder.path.name}-first"))
    small = f"{whole} {schedule(round(FIRST * count))} {warmup} {changes} --set decay=0"
    if iterations(first) is None:
        train(first.path, small)
    rest = f"{schedule(round((1 - FIRST) * length))} --set decay={TrainConfig.decay / (1 - FIRST)}"
    train(folder.path, f"{base} --from {first.last} --size 28 --kl-warmup 0 {rest}")


def iterations(folder: RunFolder) -> int | None:
    """The length of a finished run, or None if it is not finished."""
    if not folder.last.exists():
        return None
    length: int = folder.experiment().training.iterations
    return length if folder.rows()[-1]["step"] == length else None


def measured(folder: RunFolder) -> dict[str, float]:
    """The bound and the KL on the test part in nats, saved in the run's folder."""
    path = folder.path / "test.json"
    if not path.exists():
        model, header = checkpoint.load(folder.last)
        name, split = header.data["dataset"], header.data["split"]
        found = data.load(name, split=split, part="test", size=model.config.input_size)
        context = int(model.config.conditional)
        figures = measure(
            model,
            fitting(found, name, context, model.config),
            checkpoint=folder.last.name,
            part="test",
            context=context,
            particles=[1],
            limit=DRAWINGS,
        )
        values = {"elbo": figures.elbo.value, "kl": figures.kl.value}
        atomic_write_bytes(path, (json.dumps(values) + "\n").encode())
    measured: dict[str, float] = json.loads(path.read_text())
    return measured


def row(name: str, folder: RunFolder, base: float | None) -> tuple[str, float]:
    """A row of the table, and its bound in nats."""
    trained = folder.experiment().training
    steps, found = trained.iterations + trained.steps_before, measured(folder)
    nats = found["elbo"]
    change = "" if base is None else f"{nats - base:+.1f}"
    cells = name, f"{steps:,}", f"{nats:.1f}", f"{found['kl']:.1f}", change
    return f"| {' | '.join(cells)} |", nats


def train_all(names: list[str], options: argparse.Namespace, base: str) -> Iterator[RunFolder]:
    """Train variants, the first of which is the baseline. Yields their runs in order."""
    folders = [
        RunFolder(options.output / "".join(c if c.isalnum() else "-" for c in name))
        for name in names
    ]
    length = iterations(folders[0])
    if length is None:
        both = f"{base} {MODEL} --threads {options.threads}"
        length = round(60 * options.minutes / cost(both).clock)
    with ThreadPoolExecutor(options.jobs) as pool:
        runs = [
            pool.submit(make, name, folder, length, base) if iterations(folder) is None else None
            for name, folder in zip(names, folders, strict=True)
        ]
        for run, folder in zip(runs, folders, strict=True):
            if run is not None:
                run.result()
            yield folder


def main() -> None:
    """Train the variants and print the table."""
    variants = SAME_COST | OTHER_COST
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"variants: {', '.join(variants)} (default: all)")
    parser.add_argument("--minutes", type=float, default=15, help="minutes of the baseline")
    parser.add_argument("--threads", type=int, default=2, help="threads that the minutes refer to")
    parser.add_argument(
        "--jobs", type=int, default=2, help="number of runs at a time, on one thread each"
    )
    parser.add_argument("--output", type=Path, default=Path("runs/compare"))
    options, further = parser.parse_known_args()
    base = shlex.join([*shlex.split(BASE), *further])
    names = ["baseline", *(n for n in options.names or variants if n != "baseline")]
    reference: float | None = None
    print("| what | iterations | nats | KL | against the baseline |\n|---|---|---|---|---|")
    for name, folder in zip(names, train_all(names, options, base), strict=True):
        line, nats = row(name, folder, reference)
        reference = nats if reference is None else reference
        print(line, flush=True)


if __name__ == "__main__":
    main()
