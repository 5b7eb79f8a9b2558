"""Short runs at equal time that change one thing at a time: `python checkpoints/compare.py`.

Each variant trains for so many minutes on `weak`, 28 x 28, at a constant learning rate (a schedule
would need to know its length in iterations); then the table of docs/recipe.md is printed. Runs that
are there already are not made again. Run nothing else on the same cores: time is what is equal.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

from oneshot_cli.training.folder import RunFolder

BASE = "--dataset omniglot --split weak --augment 1 --bf16 --kl-warmup 500 --set decay=0"

VARIANTS = {
    "baseline": "",
    "4 latents a step": "--latent 4",
    "12 steps": "--steps 12",
    "32 steps": "--steps 32",
    "no summaries": "--summary 0",
    "gated canvas": "--canvas gated",
    "paper: 4 latents, no summaries": "--latent 4 --summary 0",
    "256 units": "--hidden 256",
    "batch 32": "--batch 32",
    "batch 128": "--batch 128",
    "learning rate 7e-4": "--learning-rate 7e-4",
    "learning rate 3e-3": "--learning-rate 3e-3",
    "no KL warm-up": "--kl-warmup 0",
    "no augmentation": "--augment 0",
    "a quarter turned by 90, 180, 270": "--turn 0.25",
    "one exemplar only (task 2)": "--task 2",
    "windows of 8 x 8": "--glimpse 8 --patch 8",
    "average 0.99": "--set average=0.99",
}


def train(folder: Path, options: str, minutes: float, further: list[str]) -> None:
    """Make the run, unless it has been made."""
    if RunFolder(folder).last.exists():
        return
    limit = ["--max-time", f"{round(60 * minutes)}s", "--output", str(folder)]
    words = [*shlex.split(f"{BASE} {options}"), *limit, "--quiet", *further]
    command = [sys.executable, "-m", "oneshot_cli", "train", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def row(name: str, folder: Path, base: float | None) -> tuple[str, float]:
    """A line of the table, and the bound in it."""
    last = [row for row in RunFolder(folder).rows() if "held_out_bound" in row][-1]
    nats = -last["held_out_bound"]
    change = "" if base is None else f"{nats - base:+.1f}"
    cells = name, f"{last['step']:,}", f"{nats:.1f}", f"{last['held_out_kl']:.1f}", change
    return f"| {' | '.join(cells)} |", nats


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(VARIANTS)}; without any, all")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--output", type=Path, default=Path("runs/compare"))
    options, further = parser.parse_known_args()
    names = options.names or list(VARIANTS)
    print("| what | iterations | nats | KL | against the baseline |\n|---|---|---|---|---|")
    base: float | None = None
    for name in names:
        folder = options.output / "".join(c if c.isalnum() else "-" for c in name)
        train(folder, VARIANTS[name], options.minutes, further)
        line, nats = row(name, folder, base)
        base = nats if base is None else base
        print(line, flush=True)


if __name__ == "__main__":
    main()
