"""Which direction of one-shot classification is better: `python checkpoints/directions.py FILE`.

FILE is a checkpoint that was trained with a validation part. The runs are like Lake's, but of the
validation characters of all alphabets: no evaluation alphabet takes part in the choice.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from oneshot_cli import checkpoint
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.evaluation.classification import classify, model_scores, seeded_runs


def one_alphabet(drawings: Drawings) -> Drawings:
    """The drawings as if all their characters were of one alphabet: validation has few of each."""
    return replace(
        drawings, alphabet=torch.zeros_like(drawings.alphabet), alphabets=("validation",)
    )


def main() -> None:
    """Print the errors of each rule as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--particles", type=int, default=5)
    options = parser.parse_args()
    model, header = checkpoint.load(options.checkpoint)
    drawings = DataSpec.from_dict(header.data).load("validation", model.config.input_size)
    runs = seeded_runs(one_alphabet(drawings), runs=options.runs)
    found = model_scores(model, runs, particles=options.particles, both_directions=True)
    rules = {
        name: classify(scores, runs.label).error.as_dict() for name, scores in found.rules().items()
    }
    print(json.dumps({"characters": len(drawings.characters), "runs": options.runs, **rules}))


if __name__ == "__main__":
    main()
