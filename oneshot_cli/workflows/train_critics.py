"""Training of the two networks that `score` measures with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from oneshot_cli import data
from oneshot_cli.evaluation.critics import critic_path, save_critic
from oneshot_cli.evaluation.critics.training import PROTONET, SIMCLR, train_critic
from oneshot_cli.evaluation.generalization import scores_dict
from oneshot_cli.evaluation.oneshot_scores import Critics, references
from oneshot_cli.files import require_folder
from oneshot_cli.reporting import SILENT, Reporter
from oneshot_cli.workflows.score import PicturesResult, weak_test_drawings


def train_critics(
    output: Path | None = None,
    *,
    seed: int = 0,
    data_dir: Path | None = None,
    reporter: Reporter = SILENT,
) -> PicturesResult:
    """Train both critics on the weak training characters and write their weights.

    They go to the folder `output`, or replace those of the package. `seed` determines the first
    weights and the batches. Returns the reference points'
    scores by the new critics. Raises OneshotError.
    """
    drawings = data.load("omniglot", data_dir=data_dir, split="weak", part="train", size=105)
    test = weak_test_drawings(data_dir, 28, None)
    written, paths = {}, []
    for name, settings in (("protonet", PROTONET), ("simclr", SIMCLR)):
        path = (
            critic_path(name) if output is None else require_folder(output) / f"{name}.safetensors"
        )
        started = time.monotonic()
        with reporter.progress(f"training {name}", settings.iterations) as advance:
            critic, record = train_critic(
                name, drawings, replace(settings, seed=seed), _steps(advance)
            )
        minutes = round((time.monotonic() - started) / 60, 1)
        record |= {"dataset": "omniglot", "split": "weak", "minutes": minutes}
        save_critic(path, name, critic, record)
        written[name] = critic
        paths.append(path)
    reference_scores = references(test, Critics(written["protonet"], written["simclr"]))
    content = {name: scores_dict(s) for name, s in reference_scores.items()}
    return PicturesResult(content, None, reference_scores, len(test.characters), paths)


def _steps(advance: Callable[[int], None]) -> Callable[[int, int, float], None]:
    return lambda done, total, loss: advance(1)
