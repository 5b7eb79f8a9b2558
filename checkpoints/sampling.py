"""Chooses how `vary` draws by default with a checkpoint: `python checkpoints/sampling.py FILE`.

For each closeness the spread at which variations of the `weak-validation` test characters are as
diverse as people's drawings of them; of those, where the overlap with the exemplar is no more than
MOST_OVERLAP above people's, the one that is recognized best. Both go into the checkpoint's header,
under `sampling`. A model of the `weak` split has seen most of these characters in training (the
card says so of the flagship); those of its test it has not seen, and they take no part.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

import oneshot_cli
from oneshot_cli import checkpoint, data
from oneshot_cli.drawing.oneshot import Oneshot
from oneshot_cli.evaluation.oneshot_scores import Critics, people, references, score
from oneshot_cli.evaluation.spread_curve import crossing

CLOSENESSES = (0.5, 0.7, 0.8, 0.9)
SPREADS = (0.6, 0.75, 0.9)
VARIATIONS = 10
MOST_OVERLAP = 0.12
"""Overlap after the best shift, above that of people's drawings, beyond which it is copying."""

AT_ONCE = 10


@dataclass(frozen=True)
class Choice:
    """One closeness, the spread at people's diversity, and the figures there."""

    closeness: float
    spread: float
    recognizability: float
    overlap: float


def choices(model: Oneshot, data_dir: Path | None = None) -> tuple[list[Choice], dict[str, float]]:
    """What each closeness gives at people's diversity, and people's own figures."""
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
    """The one of them that is recognized best, of those that are no copies; `overlap` is people's.

    Raises ValueError if there is none: no closeness is as diverse as people at any spread.
    """
    kept = [c for c in found if c.overlap <= overlap + MOST_OVERLAP]  # not true of nan
    if not kept:
        raise ValueError("at no closeness are variations as diverse as people's drawings")
    return max(kept, key=lambda c: c.recognizability)


def sampling(model: Oneshot, data_dir: Path | None = None) -> tuple[dict[str, float], Any]:
    """The header's `sampling`, and all that it was chosen from."""
    found, theirs = choices(model, data_dir)
    chosen = best(found, theirs["overlap"])
    settings = {"spread": round(chosen.spread, 2), "closeness": chosen.closeness}
    return settings, {"people": theirs, "choices": [asdict(c) for c in found]}


def _drawn(model: Oneshot, read: torch.Tensor, spread: float, closeness: float) -> torch.Tensor:
    return torch.cat(
        [
            model.vary_batch(
                [exemplar[None] for exemplar in rows],
                VARIATIONS,
                spread=spread,
                closeness=closeness,
                size=model.size,
            )
            for rows in read.split(AT_ONCE)
        ]
    )


def main() -> None:
    """Choose, and write the header."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--dry-run", action="store_true", help="leave the checkpoint as it is")
    options = parser.parse_args()
    settings, why = sampling(oneshot_cli.load(options.checkpoint), options.data_dir)
    print(json.dumps({"sampling": settings, **why}, indent=2))
    if not options.dry_run:
        model, header = checkpoint.load(options.checkpoint)
        header = replace(header, sampling=settings)
        checkpoint.save(options.checkpoint, model, header, dtype=torch.float16)


if __name__ == "__main__":
    main()
