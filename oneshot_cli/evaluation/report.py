"""The report of `oneshot score`: one HTML page that contains its pictures.

The rows and sentences are those that the command prints, too.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import jinja2
import torch
from PIL import Image
from torch import Tensor

from oneshot_cli import __version__
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.evaluation.generalization import (
    RULES,
    Generalization,
    RunsResult,
    extremes,
)
from oneshot_cli.evaluation.memorization import CHANGED, Memorization
from oneshot_cli.evaluation.oneshot_scores import FIGURES, Estimate, Scores
from oneshot_cli.evaluation.penmanship import MEASURES, Penmanship
from oneshot_cli.evaluation.plots import nearest_distances, png, scatter
from oneshot_cli.evaluation.published import tables
from oneshot_cli.imaging.grid import Group, sheet
from oneshot_cli.imaging.rendering import Bytes, inked

FIGURE_NAMES = ("recognizability", "diversity", "overlap", "overlap in place")
"""The columns of every table of scores, in the order of FIGURES."""

SHOWN = 10
"""The number of variations that a sheet shows of each character."""


def page(
    checkpoint: str,
    content: dict[str, Any],
    scores: Generalization,
    runs: RunsResult | None,
    memorized: tuple[Memorization, Drawings] | None,
) -> str:
    """The page as HTML: figures, plots, the best and the worst characters, every character.

    `content` is the result as JSON (`generalization.document` and the seed). `memorized` holds the
    distances and the training drawings. Raises OneshotError without matplotlib.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("oneshot_cli.evaluation"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode()
    return environment.get_template("report.html.jinja").render(
        checkpoint=checkpoint,
        headline=headline(scores),
        figure_names=list(FIGURE_NAMES),
        score_rows=[(name, *figure_cells(row)) for name, row in score_rows(scores)],
        scatter=png(scatter(scores.references, scores.curve)),
        spread=f"{scores.spread:g}",
        sheets=_sheets(scores),
        size=scores.penmanship.size,
        stroke_rows=stroke_rows(scores.penmanship),
        blobs_note=blobs_note(scores.penmanship),
        classification=_classification(runs) if runs else None,
        memorization=_memorization(scores, *memorized) if memorized else None,
        character_rows=_character_rows(content["per_character"]),
        n=scores.variations.shape[1],
        ways=scores.default.ways,
        seed=content["seed"],
        version=__version__,
    )


def headline(scores: Generalization) -> str:
    """The result in a sentence or two."""
    curve, people = scores.curve, scores.references["people"]
    human = (
        f"people: {people.recognizability.value:.3f} and {people.overlap.value:.3f} "
        f"at {people.diversity.value:.2f}"
    )
    if not curve.reached:
        values = [s.diversity.value for s in curve.scores]
        return (
            f"At no temperature are the variations as diverse as people's (their diversity is "
            f"{min(values):.2f} to {max(values):.2f}; {human})."
        )
    return (
        f"Recognizability {interval(curve.headline)} and overlap {interval(curve.overlap)} at "
        f"people's diversity (closeness {scores.closeness:g}, spread {curve.spread:.2f}; {human})."
    )


def interval(estimate: Estimate, digits: int = 3) -> str:
    """0.912 [0.900, 0.923], or a dash where it is undefined."""
    if estimate.value != estimate.value:
        return "-"
    value, low, high = (f"{x:.{digits}f}" for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def figure_cells(scores: Scores) -> tuple[str, ...]:
    """The cells of a row of scores, one for each of FIGURE_NAMES."""
    return tuple(interval(getattr(scores, name)) for name in FIGURES)


def score_rows(scores: Generalization) -> list[tuple[str, Scores]]:
    """The rows of the table of scores: references, every temperature, the checkpoint's own."""
    rows = list(scores.references.items())
    rows += [
        (f"spread {spread:g}", row)
        for spread, row in zip(scores.curve.spreads, scores.curve.scores, strict=True)
    ]
    return [*rows, (f"spread {scores.spread:g}, default", scores.default)]


def classification_rows(runs: RunsResult) -> list[tuple[str, str, str]]:
    """The rows of one-shot classification: name, error, and source or number of particles."""
    particles = f"{runs.particles} particles"
    rows = [
        (f"this model, {RULES[rule]}", interval(found.error), particles)
        for rule, found in runs.rules.items()
    ]
    if runs.protonet is not None:
        rows.append(("prototypical network, ours", interval(runs.protonet.error), ""))
    published = tables()["classification"].rows
    return [*rows, *((row.name, f"{row.value:.3f}", row.authors) for row in published)]


def not_measured_note(runs: RunsResult) -> str:
    """Why the model or the critic has no error of classification."""
    return " ".join(
        f"One-shot classification is not measured for the {name}: {reason}."
        for name, reason in runs.not_measured.items()
    )


def stroke_rows(penmanship: Penmanship) -> list[tuple[str, ...]]:
    """A row for each measure of strokes: its name, the model's value, people's value."""
    both = (penmanship.drawings, penmanship.people)
    return [(name, *(interval(getattr(each, name), 2) for each in both)) for name in MEASURES]


def blobs_note(penmanship: Penmanship) -> str:
    """How many drawings have a blob, and how many pixels are neither ink nor paper."""
    return (
        f"{penmanship.blobs:.1%} of the drawings are somewhere thicker than 99 % of people's; "
        f"{penmanship.fog:.2f} pixels are unsure for each that is inked."
    )


def recall_note(memorized: Memorization) -> str:
    """The shares of samples that are suspiciously close to a training drawing, and the control."""
    verdict = (
        "At least twice as many as of people's, beyond chance: the model copies."
        if memorized.flagged
        else "That is no sign of copying."
    )
    return (
        f"{_percent(memorized.closer_pixel)} of the samples are closer to a training drawing than "
        f"99 % of people's new drawings are, by pixels; {_percent(memorized.closer_critic)} by the "
        f"critic. {verdict} Of copies of training drawings with {CHANGED:.2%} of the pixels "
        f"changed, {memorized.copies_pixel:.0%} and {memorized.copies_critic:.0%} are."
    )


def _percent(share: Estimate) -> str:
    """0.5 % [0.2, 0.9]"""
    return f"{100 * share.value:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def nearest_sheet(variations: Tensor, memorized: Memorization, training: Drawings) -> Image.Image:
    """The closest pairs: each sample above its nearest training drawing, closest first.

    `variations` (C, n, 1, S, S) are the samples that `memorized` compares with `training`.
    """
    sample, drawing = memorized.pairs.unbind(1)
    names = [training.characters[c] for c in training.character[drawing].tolist()]
    short = [f"{name.partition('/')[0][:10]} {name[-2:]}" for name in names]
    distances = [f"{d:.2f}" for d in memorized.samples.pixel[sample].tolist()]
    pictures = _levels(variations.flatten(0, 1)[sample])
    nearest = _levels(training.images[drawing][:, None].float())
    return sheet(
        [
            Group("samples (pixel distance below)", list(pictures), labels=distances),
            Group("nearest training drawings", list(nearest), labels=short),
        ]
    )


def _levels(pictures: Tensor) -> Bytes:
    """Pictures of ink (..., 1, S, S) in [0, 1] as grey levels (..., S, S)."""
    return inked(pictures, pictures.shape[-1])


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _sheets(scores: Generalization) -> list[tuple[str, bytes]]:
    """Exemplars and variations of the characters that are recognized best, and worst."""
    recognizability = scores.default.per_character["recognizability"]
    sheets = []
    for title, rows in zip(("Best", "Worst"), extremes(scores.default), strict=True):
        groups = [
            Group(
                f"{scores.characters[c]}: {recognizability[c].item():.2f}",
                list(_levels(scores.variations[c, :SHOWN])),
                _levels(scores.exemplars[c][None])[0],
            )
            for c in rows
        ]
        sheets.append((title, _png(sheet(groups))))
    return sheets


def _classification(runs: RunsResult) -> dict[str, Any]:
    """The variables of the section on one-shot classification."""
    return {
        "title": tables()["classification"].title,
        "source": runs.source,
        "note": not_measured_note(runs),
        "rows": classification_rows(runs),
    }


def _memorization(
    scores: Generalization, memorized: Memorization, training: Drawings
) -> dict[str, Any]:
    """The variables of the section on memorization."""
    rows = [
        (name, *(f"{torch.median(distance).item():.3f}" for distance in (near.pixel, near.critic)))
        for name, near in (
            ("samples", memorized.samples),
            ("held-out drawings", memorized.held_out),
        )
    ]
    return {
        "note": recall_note(memorized),
        "rows": rows,
        "distances": png(nearest_distances(memorized)),
        "pairs": _png(nearest_sheet(scores.variations, memorized, training)),
    }


def _character_rows(rows: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The cells of the table of all characters, with a dash for what is undefined."""
    return [
        (row["character"], *("-" if row[k] is None else f"{row[k]:.3f}" for k in FIGURES))
        for row in rows
    ]
