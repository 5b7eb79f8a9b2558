"""Learning curves of metrics.jsonl as a picture or as TensorBoard events, two optional extras."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation.plots import png
from oneshot_cli.files import atomic_write_bytes
from oneshot_cli.training.evaluations import HELD_OUT, VALIDATION, evaluated, in_words
from oneshot_cli.training.folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, Any]

TRAINING, EVALUATED, FAINT = "#1f6fb4", "#c8442e", "#999999"
TENSORBOARD_NAMES = {
    "bound": "nats/bound",
    "reconstruction": "nats/reconstruction",
    "kl": "nats/kl",
    **{
        f"{name}_{what}": f"nats/{in_words(name)} {what}"
        for name in (VALIDATION, HELD_OUT)
        for what in ("bound", "kl")
    },
    "gradient": "training/gradient norm",
    "learning_rate": "training/learning rate",
    "kl_weight": "training/kl weight",
    "images_per_second": "training/images per second",
}
"""Metrics that TensorBoard shows, and their names there."""


def learning_curves(rows: list[Row]) -> Figure:
    """Plot the negative ELBO in nats, its two terms, and the KL of each step.

    The KL of each step is that of the last evaluation. The ELBO has the full KL, also while the
    loss weights it less.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), dpi=120, layout="constrained")
    total, parts, steps = figure.subplots(1, 3)
    trained = [row for row in rows if math.isfinite(row.get("bound", math.nan))]
    found = [row for row in rows if math.isfinite(row.get(f"{evaluated(row)}_bound", math.nan))]
    name = evaluated(found[-1]) if found else None
    at = [row["step"] for row in trained]
    total.plot(at, [-row["bound"] for row in trained], color=TRAINING, label="training")
    if name:
        total.errorbar(
            [row["step"] for row in found],
            [-row[f"{name}_bound"] for row in found],
            [1.96 * (row[f"{name}_error"] or 0.0) for row in found],
            color=EVALUATED,
            fmt=".-",
            label=in_words(name),
        )
    settled = [-row["bound"] for row in trained[len(trained) // 4 :]]
    settled += [-row[f"{name}_bound"] for row in found[len(found) // 4 :]]
    if settled:
        margin = 0.05 * (max(settled) - min(settled)) + 0.5
        total.set_ylim(min(settled) - margin, max(settled) + margin)
    parts.plot(at, [-row["reconstruction"] for row in trained], color=TRAINING)
    parts.plot(at, [row["kl"] for row in trained], color=EVALUATED)
    if at:
        parts.annotate("reconstruction", (at[-1], -trained[-1]["reconstruction"]), color=TRAINING)
        parts.annotate("KL", (at[-1], trained[-1]["kl"]), color=EVALUATED)
    kl = found[-1].get(f"{name}_kl_per_step", []) if found else []
    steps.bar(range(1, len(kl) + 1), kl, color=FAINT)
    steps.xaxis.get_major_locator().set_params(integer=True)
    for axes, title, label in (
        (total, "negative ELBO, nats per image", "iterations"),
        (parts, "training, nats per image", "iterations"),
        (steps, f"KL of each step, {in_words(name or VALIDATION)}, nats", "step"),
    ):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(label)
        axes.spines[["top", "right"]].set_visible(False)
    if trained or found:
        total.legend(frameon=False)
    return figure


def write_curves(folder: RunFolder) -> None:
    """Write the learning curves of a run to its curves.png, if matplotlib is installed."""
    if find_spec("matplotlib") is not None:
        atomic_write_bytes(folder.curves, png(learning_curves(folder.rows())))


def tensorboard_writer(folder: Path) -> Callable[[Row], None]:
    """A function that writes rows of metrics as TensorBoard events to `folder`.

    Raises OneshotError if TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise OneshotError(
            "--tensorboard needs TensorBoard; install it with: "
            "pip install 'oneshot-cli[tensorboard]'"
        ) from None
    writer = SummaryWriter(str(folder))

    def show(row: Row) -> None:
        for name, label in TENSORBOARD_NAMES.items():
            if name in row:
                writer.add_scalar(label, row[name], row["step"])
        writer.flush()

    return show
