"""Trains a checkpoint that ships: `python checkpoints/train.py NAME`.

An interrupted training is resumed; `--max-time 9m` trains in chunks.

A recipe is a sequence of experiments (files in checkpoints/recipes). Each starts from the weights
of the one before. The files have every setting, so that they do not depend on the presets. Whether
a run is in bfloat16 depends on the machine; the shipped checkpoints were trained in bfloat16.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from oneshot_cli.cli.train_options import seconds
from oneshot_cli.training.folder import RunFolder

RUNS = Path("runs")
EXPERIMENTS = Path(__file__).parent / "recipes"

RECIPES = {
    "omniglot": [
        "omniglot-28",
        "omniglot-52",
        "omniglot-long",
        "omniglot-additions",
        "omniglot",
    ],
    "mnist": ["mnist"],
    "omniglot-weak": ["omniglot-weak"],
    "omniglot-30-20": ["omniglot-30-20"],
    "omniglot-40-10": ["omniglot-40-10"],
    "omniglot-45-5": ["omniglot-45-5"],
    "omniglot-45-5-26": ["omniglot-45-5", "omniglot-45-5-26"],
}
"""The experiments of each recipe. Runs are in `runs`, in folders named after the experiments."""


def finished(folder: RunFolder) -> bool:
    """Whether a run has done all its iterations."""
    if not folder.last.exists():
        return False
    wanted = folder.experiment().training.iterations
    return any(row["step"] >= wanted for row in folder.rows())


def main() -> None:
    """Train the remaining runs of a recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument(
        "--max-time", default="1000h", help="stop after this time; the same command resumes"
    )
    options, further = parser.parse_known_args()
    end = time.monotonic() + seconds(options.max_time)
    before: RunFolder | None = None
    for name in RECIPES[options.name]:
        folder = RunFolder(RUNS / name)
        left = int(end - time.monotonic())
        if not finished(folder) and left > 0:
            if folder.state.exists():
                words = ["--resume"]
            else:
                words = ["--config", str(EXPERIMENTS / f"{name}.json")]
                words += ["--from", str(before.last)] if before else []
            command = ["train", "--output", str(folder.path), "--max-time", f"{left}s"]
            subprocess.run(
                [sys.executable, "-m", "oneshot_cli", *command, *words, *further], check=True
            )
        if not finished(folder):
            print(f"not finished: {name}; the same command resumes it")
            return
        before = folder
    print(f"finished: {before.last}" if before else "nothing to do")


if __name__ == "__main__":
    main()
