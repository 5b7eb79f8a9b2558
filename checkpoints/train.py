"""Trains a checkpoint that ships: `python checkpoints/train.py NAME`.

From nothing, or from where it stopped; `--max-time 9m` trains in chunks.

A recipe is one or more runs of `oneshot train`, each beginning with the weights of the one before.
Learning rates, latents, limits of gradients and that nothing is kept for validation are said
outright, so that a recipe stays what made the checkpoint, whatever becomes of the presets. Whether
a run is in bfloat16 is the machine's choice; what ships was.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from oneshot_cli.cli.train import seconds
from oneshot_cli.training.folder import RunFolder

RUNS = Path("runs")


@dataclass(frozen=True)
class Phase:
    """One run: its folder in `runs`, and its options."""

    folder: str
    options: str


OMNIGLOT = "--dataset omniglot --augment 1 --validation 0"
LOOSE = "--clip 1000 --set step_clip=2000"
TIGHT = "--clip 200 --set step_clip=100"
"""Limits of gradients: those of the flagship, and what was there before, see docs/recipe.md."""
PLAIN = "--prior standard --output-network linear"
"""The model of the paper's equations, without what the flagship was given in its fourth run."""
BEFORE = f"{TIGHT} {PLAIN} --latent 16 --summary 256 --learning-rate 1.5e-3"


def split(name: str, iterations: int) -> Phase:
    """The recipe before the flagship's, on another split."""
    options = f"{OMNIGLOT} {BEFORE} --split {name} --iterations {iterations}"
    return Phase(f"omniglot-{name.removeprefix('strong-')}", options)


def both_sizes(folder: str, iterations: int) -> Phase:
    """The flagship goes on, with batches of 28 x 28 and of 52 x 52 in turn."""
    return Phase(
        folder,
        f"{OMNIGLOT} {LOOSE} --split weak --size 28,52 --kl-warmup 0 --learning-rate 1.2e-3 "
        f"--set decay=0.8 --iterations {iterations}",
    )


RECIPES: dict[str, list[Phase]] = {
    "omniglot": [
        Phase(
            "omniglot-28",
            f"{OMNIGLOT} {LOOSE} {PLAIN} --split weak --latent 16 --summary 0 "
            "--learning-rate 1.5e-3 --set decay=0 --iterations 26000",
        ),
        both_sizes("omniglot-52", 26_000),
        both_sizes("omniglot-long", 55_000),
        Phase(
            "omniglot",
            f"{OMNIGLOT} {LOOSE} --split weak --size 28,52 --kl-warmup 0 --prior learned "
            "--output-network residual --learning-rate 8e-4 --set decay=0.9 --iterations 12000",
        ),
    ],
    "mnist": [
        Phase(
            "mnist",
            f"{TIGHT} {PLAIN} --dataset mnist --validation 0 --binarization dynamic --task 1 "
            "--steps 16 --latent 10 --summary 256 --hidden 256 --set posterior_units=384 "
            "--kl-warmup 1000 --learning-rate 1.5e-3 --iterations 16000",
        ),
    ],
    "omniglot-weak": [split("weak", 4_000)],
    "omniglot-30-20": [split("strong-30-20", 4_000)],
    "omniglot-40-10": [split("strong-40-10", 4_000)],
    "omniglot-45-5": [split("strong-45-5", 12_000)],
    "omniglot-45-5-26": [
        split("strong-45-5", 12_000),
        Phase(
            "omniglot-45-5-26",
            f"{OMNIGLOT} {TIGHT} --split strong-45-5 --size 26 --resample max --kl-warmup 0 "
            "--learning-rate 1.2e-3 --set decay=0.5 --iterations 4500",
        ),
    ],
}


def finished(folder: RunFolder) -> bool:
    """Whether a run has made all its iterations."""
    if not folder.last.exists():
        return False
    wanted = folder.read_config()["training"]["iterations"]
    return any(row["step"] >= wanted for row in folder.rows())


def main() -> None:
    """Train what is left of a recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--max-time", default="1000h", help="stop after so long, to be resumed")
    options, further = parser.parse_known_args()
    end = time.monotonic() + seconds(options.max_time)
    before: RunFolder | None = None
    for phase in RECIPES[options.name]:
        folder = RunFolder(RUNS / phase.folder)
        left = int(end - time.monotonic())
        if not finished(folder) and left > 0:
            words = ["--resume"] if folder.state.exists() else phase.options.split()
            if before is not None and "--resume" not in words:
                words += ["--from", str(before.last)]
            command = ["train", "--output", str(folder.path), "--max-time", f"{left}s"]
            subprocess.run(
                [sys.executable, "-m", "oneshot_cli", *command, *words, *further], check=True
            )
        if not finished(folder):
            print(f"to be gone on with: {phase.folder}")
            return
        before = folder
    print(f"finished: {before.last}" if before else "nothing to do")


if __name__ == "__main__":
    main()
