"""Measures a row of the MNIST tables: `python checkpoints/measure_row.py NAME`, after its training.

Writes three files: checkpoints/tables/NAME.safetensors, the run's last weights in float16;
docs/results/NAME.json, which is what `oneshot eval-nll` finds on test and training images; and
docs/results/curves/NAME.json, the learning curve. `make tables` reads the last two. `mnist` ships
as checkpoints/mnist.safetensors, with the figures of checkpoints/publish.py if that published the
run.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from train import RECIPES, RUNS, TABLES

from oneshot_cli import checkpoint
from oneshot_cli.training.folder import RunFolder
from oneshot_cli.workflows.nll import nll

HERE = Path(__file__).parent
RESULTS = HERE.parent / "docs" / "results"
TRAINING_IMAGES = 10_000
SHIPPED = "mnist"
"""Our own row, whose checkpoint ships."""
POINTS = 200
"""The most points of a learning curve."""


def curve(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    """The training bound in nats, averaged over blocks of rows of metrics.jsonl.

    Each point has the mean iteration and learning rate of its block, and the seconds at its end.
    Rows from before the weight of the KL was 1 are left out.
    """
    rows = [row for row in rows if "bound" in row and row.get("kl_weight", 1.0) == 1.0]
    size = max(1, -(-len(rows) // POINTS))
    blocks = [rows[i : i + size] for i in range(0, len(rows), size)]
    return [
        {
            "iteration": round(_mean(block, "step")),
            "nats": round(-_mean(block, "bound"), 3),
            "learning_rate": _mean(block, "learning_rate"),
            "seconds": round(block[-1]["seconds"]),
        }
        for block in blocks
    ]


def _mean(rows: list[dict[str, Any]], name: str) -> float:
    return float(sum(row[name] for row in rows)) / len(rows)


def main() -> None:
    """Convert, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=(*TABLES, SHIPPED))
    parser.add_argument("--machine", default="", help="kind of machine that it was trained on")
    parser.add_argument("--particles", type=int, default=1000, help="of the IWAE bound")
    parser.add_argument("--limit", type=int, default=1000, help="images of the IWAE bound")
    options = parser.parse_args()
    folder = RunFolder(RUNS / RECIPES[options.name][-1])
    model, header = checkpoint.load(folder.last)
    path = HERE / ("" if options.name == SHIPPED else "tables") / f"{options.name}.safetensors"
    path.parent.mkdir(exist_ok=True)
    header = replace(header, training={**header.training, "machine": options.machine})
    if path.exists() and (published := checkpoint.read_header(path)).training == header.training:
        header = replace(header, figures=published.figures)
    checkpoint.save(path, model, header, dtype=torch.float16)
    exact = header.model == "nade"
    particles = (1,) if exact else (1, options.particles)
    limit = None if exact else options.limit
    document = nll([path], particles=particles, limit=limit).document()
    document["results"] += nll(
        [path], parts=("train",), particles=(1,), limit=TRAINING_IMAGES
    ).document()["results"]
    (RESULTS / f"{options.name}.json").write_text(json.dumps(document, indent=2) + "\n")
    (RESULTS / "curves").mkdir(exist_ok=True)
    (RESULTS / "curves" / f"{options.name}.json").write_text(
        json.dumps(curve(folder.rows()), indent=0) + "\n"
    )
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
