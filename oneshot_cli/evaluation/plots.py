"""Plots of measurements. They need matplotlib, from the extra "plot"."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation.memorization import Memorization
from oneshot_cli.evaluation.nll import Nll, row_name, short_names
from oneshot_cli.evaluation.oneshot_scores import Scores
from oneshot_cli.evaluation.published import Table
from oneshot_cli.evaluation.spread_curve import Curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MODEL, PEOPLE, FAINT = "#222222", "#1f6fb4", "#c8442e", "#999999"


def require_matplotlib() -> None:
    """Raise OneshotError if matplotlib is not installed. Call it before long work begins."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise OneshotError(
            "plots and reports need matplotlib; install it with: pip install 'oneshot-cli[plot]'"
        ) from None


def _axes(xlabel: str, ylabel: str) -> tuple[Figure, Any]:
    require_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 4.2), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def scatter(named: dict[str, Scores], curve: Curve | None = None) -> Figure:
    """Recognizability against diversity: labelled points, and the curve of a model.

    Bars are 95 % intervals. The dashed line is people's diversity, at which the headline is read.
    """
    figure, axes = _axes("diversity", "recognizability")
    for name, scores in named.items():
        colour = PEOPLE if name == "people" else MODEL if curve is None else FAINT
        colour = FAINT if name in ("copies", "other characters") else colour
        _point(axes, scores, colour)
        point = (scores.diversity.value, scores.recognizability.value)
        below = point[1] > 0.5  # the labels of the curve are above it
        offset = (6, -14 if below else 5)
        axes.annotate(name, point, offset, textcoords="offset points", color=colour)
    if curve is not None:
        xs = [s.diversity.value for s in curve.scores]
        ys = [s.recognizability.value for s in curve.scores]
        axes.plot(xs, ys, "-", color=MODEL, linewidth=1.5)
        for spread, scores in zip(curve.spreads, curve.scores, strict=True):
            _point(axes, scores, MODEL)
            point = (scores.diversity.value, scores.recognizability.value)
            axes.annotate(
                f"{spread:g}", point, (5, 5), textcoords="offset points", color=MODEL, fontsize=8
            )
    if "people" in named:
        axes.axvline(named["people"].diversity.value, color=PEOPLE, linewidth=0.8, linestyle="--")
    axes.set_ylim(0, 1.04)
    axes.set_xlim(-0.03, max(1.2, axes.get_xlim()[1]))
    return figure


def _point(axes: Any, scores: Scores, colour: str) -> None:
    x, y = scores.diversity, scores.recognizability
    axes.errorbar(
        [x.value],
        [y.value],
        xerr=[[x.value - x.low], [x.high - x.value]],
        yerr=[[y.value - y.low], [y.high - y.value]],
        fmt="o",
        markersize=4,
        color=colour,
        elinewidth=0.8,
    )


def nearest_distances(found: Memorization) -> Figure:
    """The cumulative distributions of distances to the nearest training drawing: of samples, and of
    people's drawings of held-out characters."""
    figure, axes = _axes("distance to the nearest training drawing (pixels, aligned)", "share")
    for near, colour, name in (
        (found.held_out, PEOPLE, "people's held-out drawings"),
        (found.samples, MODEL, "samples"),
    ):
        values = near.pixel.sort().values.tolist()
        shares = [(i + 1) / len(values) for i in range(len(values))]
        axes.step(values, shares, where="post", color=colour, label=name)
    axes.legend(frameon=False)
    axes.set_ylim(0, 1)
    return figure


def likelihood_plot(rows: Sequence[Nll], published: Sequence[Table]) -> Figure:
    """The bounds in nats, published ones first; the KL and the active latents of each step."""
    require_matplotlib()
    from matplotlib.figure import Figure

    theirs = [row for table in published if table.unit == "nats" for row in table.rows]
    names = short_names(rows)
    ours = [(row_name(names, row), row.best) for row in rows]
    height = max(4.2, 0.26 * (len(theirs) + len(ours)) + 1)
    figure = Figure(figsize=(10, height), dpi=150, layout="constrained")
    axes = figure.subplot_mosaic([["bounds", "kl"], ["bounds", "active"]], width_ratios=(3, 2))
    left, kl, active = axes["bounds"], axes["kl"], axes["active"]
    labels = [row.name for row in theirs] + [name for name, _ in ours]
    left.plot([row.value for row in theirs], range(len(theirs)), "o", color=FAINT)
    left.errorbar(
        [figure.value for _, figure in ours],
        range(len(theirs), len(labels)),
        xerr=[0 if figure.error != figure.error else figure.error for _, figure in ours],
        fmt="o",
        color=MODEL,
    )
    left.set_yticks(range(len(labels)), labels)
    left.invert_yaxis()
    left.set_xlabel("-log p in nats per image (lower is better)")
    for (name, _), row in zip(ours, rows, strict=True):
        steps = range(1, len(row.kl_per_step) + 1)
        kl.plot(steps, row.kl_per_step, "o-", markersize=3, label=name)
        if row.active is not None:
            active.plot(steps, row.active, "o-", markersize=3)
    kl.set_ylabel("KL in nats")
    kl.legend(frameon=False, fontsize=8 if len(ours) < 8 else 5)
    active.set_ylabel("active latents")
    active.set_xlabel("step")
    for one in axes.values():
        one.spines[["top", "right"]].set_visible(False)
    for one in (kl, active):
        one.locator_params(axis="x", integer=True)
        one.set_ylim(bottom=0)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
