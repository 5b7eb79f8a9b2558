"""What is said before a training run whose data may surprise."""

from __future__ import annotations

import torch

from oneshot_cli.checkpoint import Header
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.episodes import TaskMix
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.reporting import Reporter


def warn_of_seen_drawings(before: Header, data: DataSpec, reporter: Reporter) -> None:
    """Warn if the weights of `--from` were trained on drawings that are held out now."""
    own = f"{data.dataset} {data.split}"
    others = [
        seen for seen in before.seen if seen.partition(" ")[0] == data.dataset and seen != own
    ]
    if others:
        reporter.note(
            f"warning: the weights of --from were trained on {', '.join(others)}, which may have "
            f"drawings that {data.split} holds out: its figures may be too good"
        )
    same = (before.data.get("dataset"), before.data.get("split")) == (data.dataset, data.split)
    if same and (data.validation or 0.0) > (before.data.get("validation") or 0.0):
        reporter.note(
            "warning: the weights of --from were trained on these validation drawings (if they are "
            "of the same files), so their bound will be too good\n"
            "--validation 0 trains on all and keeps the last weights"
        )


def warn_of_single_drawings(drawings: Drawings, tasks: TaskMix, reporter: Reporter) -> None:
    """Warn of characters that have no second drawing to be an exemplar, if the tasks need one."""
    counts = torch.bincount(drawings.character, minlength=len(drawings.characters))
    single = int((counts == 1).sum())
    if not single or tasks.empty == 1 or tasks.alphabet == 1:
        return
    if single < len(counts):
        reporter.note(f"characters with one drawing, which are learned without exemplar: {single}")
        return
    reporter.note(
        "warning: no character has a second drawing, so the model does not learn to vary one\n"
        "put the drawings of each character into a folder of its own"
    )
