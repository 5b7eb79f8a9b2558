"""Short runs at equal time that change one thing at a time: `python checkpoints/compare.py`.

Each variant is trained on `weak-validation`, 28 x 28, so that no choice is made by the drawings
that figures are of. It has the whole schedule, for as many iterations as the baseline makes in so
many minutes of processor time, or fewer by as much as its iterations cost more; then the table of
docs/recipe.md is printed. What has been trained is not trained again. Costs are processor time of
one thread, in turns with the baseline, so that other work beside the runs does no harm.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from oneshot_cli.training.folder import RunFolder

BASE = (
    "--dataset omniglot --split weak-validation --augment 1 --latent 16 --summary 0 "
    "--learning-rate 3e-3 --clip 1000 --set step_clip=2000 --threads 1 --quiet"
)
KL_WARMUP = 0.25
"""Share of a run; of the flagship's, which is long, it is a tenth."""

ALIKE = {
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
"""What costs the same for each iteration."""

OTHERS = {
    "summaries": "--summary 256",
    "12 steps": "--steps 12",
    "32 steps": "--steps 32",
    "256 units": "--hidden 256",
    "gated canvas": "--canvas gated",
    "batch 32": "--batch 32",
    "batch 128": "--batch 128",
    "glimpses and patches of 8 x 8": "--glimpse 8 --patch 8",
    "paper: 4 latents, free windows": "--latent 4 --attention free-transformer",
}
TRIALS = 3
"""How often an iteration's cost is measured, beside the baseline's."""


def train(folder: Path, options: list[str]) -> float:
    """Make a run; the processor seconds that it took."""
    command = [sys.executable, "-m", "oneshot_cli", "train", "--output", str(folder), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def cost(options: list[str]) -> float:
    """Processor seconds of an iteration: those that a longer run takes more than a shorter."""
    with tempfile.TemporaryDirectory() as folder:
        few, more = (
            train(Path(folder) / str(n), [*options, *f"--iterations {n} --eval-drawings 1".split()])
            for n in (10, 50)
        )
    return (more - few) / 40


def relative_cost(options: list[str], base: list[str]) -> float:
    """The cost of an iteration, of one of the baseline's: medians of some trials in turns."""
    costs = [(cost(options), cost(base)) for _ in range(TRIALS)]
    mine, theirs = (statistics.median(each) for each in zip(*costs, strict=True))
    return mine / theirs


def iterations(folder: RunFolder) -> int | None:
    """The length of a run that has been made."""
    if not folder.last.exists():
        return None
    length: int = folder.read_config()["training"]["iterations"]
    return length if folder.rows()[-1]["step"] == length else None


def row(name: str, folder: RunFolder, base: float | None) -> tuple[str, float]:
    """A line of the table, and the bound in it."""
    found = [row for row in folder.rows() if "held_out_bound" in row][-1]
    nats = -found["held_out_bound"]
    change = "" if base is None else f"{nats - base:+.1f}"
    cells = name, f"{found['step']:,}", f"{nats:.1f}", f"{found['held_out_kl']:.1f}", change
    return f"| {' | '.join(cells)} |", nats


def main() -> None:
    """Train and print."""
    variants = ALIKE | OTHERS
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(variants)}; without any, all")
    parser.add_argument("--minutes", type=float, default=15, help="of processor time, each")
    parser.add_argument("--output", type=Path, default=Path("runs/compare"))
    options, further = parser.parse_known_args()
    base = shlex.split(BASE) + further
    length: int | None = None
    reference: float | None = None
    print("| what | iterations | nats | KL | against the baseline |\n|---|---|---|---|---|")
    for name in ["baseline", *(n for n in options.names or variants if n != "baseline")]:
        folder = RunFolder(options.output / "".join(c if c.isalnum() else "-" for c in name))
        if iterations(folder) is None:
            words = [*base, *shlex.split(variants[name])]
            if length is None:
                count = round(60 * options.minutes / cost(base))
            else:
                count = round(length / (1 if name in ALIKE else relative_cost(words, base)))
            schedule = f"--iterations {count} --eval-every {count} --sample-every {count}"
            warmup = f"--kl-warmup {round(KL_WARMUP * count)}"
            train(folder.path, [*schedule.split(), *warmup.split(), *words])
        length = length or iterations(folder)
        line, nats = row(name, folder, reference)
        reference = nats if reference is None else reference
        print(line, flush=True)


if __name__ == "__main__":
    main()
