"""Chooses the default closeness and spread of a checkpoint: `python checkpoints/sampling.py FILE`.

For each closeness, the spread is chosen so that variations of the `weak-validation` test characters
are as diverse as people's drawings. Choices whose overlap with the exemplar exceeds people's by
more than MAX_EXCESS_OVERLAP are dropped. The choice with the best recognizability is written to the
checkpoint's header, under `sampling`. Models of the `weak` split were trained on most of these
characters, as the flagship's card says. The test characters of `weak` are not used.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

import oneshot_cli
from oneshot_cli import checkpoint, data
from oneshot_cli.drawing.oneshot import Oneshot
from oneshot_cli.evaluation.oneshot_scores import Critics, people, references, score
from oneshot_cli.evaluation.spread_curve import crossing

CLOSENESSES = (0.5, 0.7, 0.8, 0.9)
SPREADS = (0.6, 0.75, 0.9)
VARIATIONS = 10
MAX_EXCESS_OVERLAP = 0.12
"""A larger overlap after the best shift, above people's, counts as copying."""


@dataclass(frozen=True)
class Choice:
    """A closeness, the spread at which it has people's diversity, and the scores there."""

    closeness: float
    spread: float
    recognizability: float
    overlap: float


def choices(model: Oneshot, data_dir: Path | None = None) -> tuple[list[Choice], dict[str, float]]:
    """The choice for each closeness at people's diversity, and people's own scores."""
    critics = Critics.load(model.device)
    load: dict[str, Any] = {"data_dir": data_dir, "split": "weak-validation", "part": "test"}
    drawings = data.load("omniglot", size=28, **load)
    exemplars = people(drawings)[0]
    read = people(data.load("omniglot", size=model.size, **load))[0]
    theirs = references(drawings, critics)["people"]
    found = []
    for closeness in CLOSENESSES:
        scores = [
            score(exemplars, _drawn(model, read, spread, closeness), critics) for spread in SPREADS
        ]
        diversity = torch.tensor([s.diversity.value for s in scores])
        figures = [
            crossing(SPREADS, diversity, torch.tensor(values), theirs.diversity.value)
            for values in (
                [s.recognizability.value for s in scores],
                [s.overlap.value for s in scores],
            )
        ]
        (spread, recognized), (_, overlap) = figures
        found.append(Choice(closeness, spread, recognized, overlap))
        print(found[-1], file=sys.stderr, flush=True)
    return found, {
        "recognizability": theirs.recognizability.value,
        "diversity": theirs.diversity.value,
        "overlap": theirs.overlap.value,
    }


def best(found: list[Choice], overlap: float) -> Choice:
    """The choice with the best recognizability among those that are not copies.

    `overlap` is people's. Raises ValueError if no choice remains.
    """
    kept = [c for c in found if c.overlap <= overlap + MAX_EXCESS_OVERLAP]  # false for nan
    if not kept:
        raise ValueError("at no closeness are variations as diverse as people's drawings")
    return max(kept, key=lambda c: c.recognizability)


def sampling(model: Oneshot, data_dir: Path | None = None) -> tuple[dict[str, float], Any]:
    """The header's `sampling`, and the choices that it was taken from."""
    found, theirs = choices(model, data_dir)
    chosen = best(found, theirs["overlap"])
    settings = {"spread": round(chosen.spread, 2), "closeness": chosen.closeness}
    return settings, {"people": theirs, "choices": [asdict(c) for c in found]}


def _drawn(model: Oneshot, read: torch.Tensor, spread: float, closeness: float) -> torch.Tensor:
    sets = [exemplar[None] for exemplar in read]
    return model.vary_batch(sets, VARIATIONS, spread=spread, closeness=closeness, size=model.size)


def main() -> None:
    """Choose and write the header."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--dry-run", action="store_true", help="do not change the checkpoint")
    options = parser.parse_args()
    settings, why = sampling(oneshot_cli.load(options.checkpoint), options.data_dir)
    print(json.dumps({"sampling": settings, **why}, indent=2))
    if not options.dry_run:
        model, header = checkpoint.load(options.checkpoint)
        with safe_open(options.checkpoint, "pt") as file:
            dtype = file.get_tensor(next(iter(file.keys()))).dtype  # the header alone changes
        header = replace(header, sampling=settings)
        checkpoint.save(options.checkpoint, model, header, dtype=dtype)


if __name__ == "__main__":
    main()
