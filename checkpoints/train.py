"""Trains a checkpoint that ships, or a row of the tables: `python checkpoints/train.py NAME`.

An interrupted training is resumed; `--max-time 9m` trains in chunks.

A recipe is a sequence of experiments (files in checkpoints/recipes). Each starts from the weights
of the one before. The files have every setting, so that they do not depend on the presets. Whether
a run is in bfloat16 depends on the machine; checkpoints/README.md says which
of the shipped runs were.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import time
from pathlib import Path

from oneshot_cli.cli.train_options import seconds
from oneshot_cli.experiment import Experiment
from oneshot_cli.training.folder import RunFolder

RUNS = Path("runs")
EXPERIMENTS = Path(__file__).parent / "recipes"

RECIPES = {
    "omniglot": [
        "omniglot-28",
        "omniglot-52",
        "omniglot-long",
        "omniglot-additions",
        "omniglot-more",
        "omniglot-encoders",
        "omniglot-target",
        "omniglot-high",
        "omniglot-higher",
        "omniglot-tenth",
        "omniglot-gpu",
        "omniglot",
    ],
    "mnist": ["mnist-start", "mnist-long", "mnist"],
    "omniglot-weak": ["omniglot-weak"],
    "omniglot-30-20": ["omniglot-30-20-start", "omniglot-30-20-target", "omniglot-30-20"],
    "omniglot-40-10": ["omniglot-40-10"],
    "omniglot-45-5": ["omniglot-45-5"],
    "omniglot-45-5-26": [
        "omniglot-45-5-26-start",
        "omniglot-45-5-26-long",
        "omniglot-45-5-26",
    ],
    "st-add-30": ["st-add-30-start", "st-add-30"],
    "st-cgru-30": ["st-cgru-30-start", "st-cgru-30"],
    "st-add-80": ["st-add-30-start", "st-add-80-start", "st-add-80"],
    "st-cgru-80": ["st-cgru-30-start", "st-cgru-30", "st-cgru-80"],
    "fc-cgru-80": ["fc-cgru-80"],
    "draw-64-gauss": [
        "draw-64-gauss-start",
        "draw-64-gauss-more",
        "draw-64-gauss-long",
        "draw-64-gauss",
    ],
    "draw-64-noattn": ["draw-64-noattn"],
    "iwae-2l-50": ["iwae-2l-50-start", "iwae-2l-50-more", "iwae-2l-50"],
    "vae-nf": ["vae-nf"],
    "nade": ["nade-start", "nade-more", "nade"],
}
"""The experiments of each recipe. Runs are in `runs`, in folders named after the experiments."""
TABLES = (
    "st-add-30",
    "st-cgru-30",
    "st-add-80",
    "st-cgru-80",
    "fc-cgru-80",
    "draw-64-gauss",
    "draw-64-noattn",
    "iwae-2l-50",
    "vae-nf",
    "nade",
)
"""The recipes of the rows of the two MNIST tables, in the order in which `tables` trains them."""


def finished(folder: RunFolder) -> bool:
    """Whether a run has done all its iterations."""
    if not folder.last.exists():
        return False
    wanted = folder.experiment().training.iterations
    return any(row["step"] >= wanted for row in folder.rows())


def main() -> None:
    """Train the remaining runs of a recipe, or of all rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=(*RECIPES, "tables"), help="tables: all rows of MNIST's")
    parser.add_argument(
        "--max-time", default="1000h", help="stop after this time; the same command resumes"
    )
    parser.add_argument(
        "--list", action="store_true", help="say how far each run came, and train nothing"
    )
    options, further = parser.parse_known_args()
    recipes = TABLES if options.name == "tables" else (options.name,)
    if options.list:
        for name in dict.fromkeys(each for recipe in recipes for each in RECIPES[recipe]):
            print(progress(name))
        return
    end = time.monotonic() + seconds(options.max_time)
    for recipe in recipes:
        if not train(recipe, end, further):
            return


def train(recipe: str, end: float, further: list[str]) -> bool:
    """Train the remaining runs of a recipe until the time `end`. Returns whether it is finished."""
    before: RunFolder | None = None
    for name in RECIPES[recipe]:
        folder = RunFolder(RUNS / name)
        left = math.ceil(end - time.monotonic())
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
            return False
        before = folder
    print(f"finished: {before.last}" if before else "nothing to do")
    return True


def progress(name: str) -> str:
    """One line: an experiment, its iterations, and how many its run has done."""
    wanted = Experiment.read(EXPERIMENTS / f"{name}.json").training.iterations
    folder = RunFolder(RUNS / name)
    rows = folder.rows() if folder.state.exists() else []
    done = max((int(row["step"]) for row in rows), default=0)
    return f"{name:16} {done:>7,} of {wanted:,} iterations"


if __name__ == "__main__":
    main()
