"""The report of `oneshot score`: one HTML page that holds everything it shows."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from oneshot_cli import __version__
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.evaluation.generalization import Generalization, RunsResult, extremes
from oneshot_cli.evaluation.memorization import Memorization
from oneshot_cli.evaluation.oneshot_scores import FIGURES, Estimate, Scores
from oneshot_cli.evaluation.penmanship import MEASURES, Penmanship
from oneshot_cli.evaluation.plots import nearest_distances, png, scatter
from oneshot_cli.evaluation.published import tables
from oneshot_cli.imaging.grid import Group, sheet
from oneshot_cli.imaging.rendering import inked

FIGURE_NAMES = ("recognizability", "diversity", "overlap", "overlap in place")
"""The columns of every table of scores."""

SHOWN = 10
"""Variations of a character that a grid shows."""

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 62em; margin: 2em auto;
       padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2.2em; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { padding: .25em .9em .25em 0; text-align: left; border-bottom: 1px solid #e4e4e4; }
td.n { font-variant-numeric: tabular-nums; } img { max-width: 100%; }
details { margin: 1em 0; } .note { color: #666; }
"""


def page(
    checkpoint: str,
    content: dict[str, Any],
    scores: Generalization,
    runs: RunsResult | None,
    recall: tuple[Memorization, Drawings] | None,
) -> str:
    """The page as HTML: figures, plots, the best and the worst characters, every character."""
    parts = [
        f"<h1>One-shot generalization of {escape(checkpoint)}</h1>",
        f"<p>{escape(headline(scores))}</p>",
        _score_table(scores),
        _image(png(scatter(scores.references, scores.curve)), "recognizability and diversity"),
        *_grids(scores),
        *_penmanship(scores.penmanship),
        *(_classification(runs) if runs else ()),
        *(_memorization(scores, *recall) if recall else ()),
        _characters(content["per_character"]),
        METHOD.format(n=scores.variations.shape[1], ways=scores.default.ways, seed=content["seed"]),
        f"<p class='note'>oneshot {__version__}</p>",
    ]
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>oneshot score</title><style>{STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


METHOD = """<h2>How this was measured</h2>
<p>{n} variations of one exemplar of each held-out character (Omniglot, <i>weak</i> split:
character01 to 03 of every alphabet), seed {seed}. <b>Recognizability</b>: the share that a
prototypical network (Snell et al. 2017), trained on the other characters, gives to the right
exemplar among {ways} drawn at random; the exact mean over all such episodes. <b>Diversity</b>: the
mean over features of their standard deviation over the variations, in the features of a SimCLR
encoder (Chen et al. 2020) of the same data, where 1 is the deviation over all training drawings.
<b>Overlap</b>: ink in common with the exemplar, intersection over union at 28 x 28, after the shift
that makes it greatest, and in place; copies with a little noise give themselves away by it.
Brackets are 95&nbsp;% bootstrap intervals over characters. After Boutin et al. (2022).</p>"""


def headline(scores: Generalization) -> str:
    """The result in a sentence or two."""
    curve, people = scores.curve, scores.references["people"]
    human = (
        f"people: {people.recognizability.value:.3f} and {people.overlap.value:.3f} "
        f"at {people.diversity.value:.2f}"
    )
    if not curve.reached:
        found = [s.diversity.value for s in curve.scores]
        return (
            f"At no temperature are the variations as diverse as people's (their diversity is "
            f"{min(found):.2f} to {max(found):.2f}; {human})."
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


def figure_cells(found: Scores) -> tuple[str, ...]:
    """The cells of a table's row, under FIGURE_NAMES."""
    return tuple(interval(getattr(found, name)) for name in FIGURES)


def score_rows(scores: Generalization) -> list[tuple[str, Scores]]:
    """What the table of scores lists: references, every temperature, the checkpoint's own."""
    rows = list(scores.references.items())
    rows += [
        (f"spread {spread:g}", found)
        for spread, found in zip(scores.curve.spreads, scores.curve.scores, strict=True)
    ]
    return [*rows, (f"spread {scores.spread:g}, default", scores.default)]


def nearest_sheet(variations: Tensor, recall: Memorization, training: Drawings) -> Image.Image:
    """The closest pairs: each sample over its nearest training drawing, closest first."""
    samples = variations.flatten(0, 1)[recall.pairs[:, 0]]
    drawings = training.images[recall.pairs[:, 1]][:, None].float()
    names = [training.characters[c] for c in training.character[recall.pairs[:, 1]].tolist()]
    short = [f"{name.partition('/')[0][:10]} {name[-2:]}" for name in names]
    distances = [f"{d:.2f}" for d in recall.samples.pixel[recall.pairs[:, 0]].tolist()]
    return sheet(
        [
            Group("samples (pixel distance below)", list(_greys(samples)), labels=distances),
            Group("nearest training drawings", list(_greys(drawings)), labels=short),
        ]
    )


def _greys(pictures: Tensor) -> Any:
    return inked(pictures, pictures.shape[-1])


def _image(data: bytes, alternative: str) -> str:
    encoded = base64.b64encode(data).decode()
    return f"<img alt='{escape(alternative)}' src='data:image/png;base64,{encoded}'>"


def _picture(picture: Image.Image, alternative: str) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return _image(buffer.getvalue(), alternative)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["<table><tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    lines += [
        "<tr>" + "".join(f"<td class='n'>{escape(c)}</td>" for c in row) + "</tr>" for row in rows
    ]
    return "\n".join([*lines, "</table>"])


def _score_table(scores: Generalization) -> str:
    rows = [(name, *figure_cells(found)) for name, found in score_rows(scores)]
    return _table(("", *FIGURE_NAMES), rows)


def _grids(scores: Generalization) -> list[str]:
    """The exemplar and some variations of the characters at both ends."""
    found = scores.default.per_character["recognizability"]
    parts = []
    for title, rows in zip(("Best", "Worst"), extremes(scores.default), strict=True):
        groups = [
            Group(
                f"{scores.characters[c]}: {found[c].item():.2f}",
                list(_greys(scores.variations[c, :SHOWN])),
                _greys(scores.exemplars[c][None])[0],
            )
            for c in rows
        ]
        parts += [
            f"<h2>{title} recognized (spread {scores.spread:g})</h2>",
            _picture(sheet(groups), f"{title} recognized characters"),
        ]
    return parts


def _classification(runs: RunsResult) -> list[str]:
    table = tables()["classification"]
    rows = [
        (
            f"this model, p(test | training), {runs.particles} particles",
            interval(runs.model.error),
            "",
        ),
        ("prototypical network of this toolkit", interval(runs.protonet.error), ""),
        *((row.name, f"{row.value:.3f}", row.source) for row in table.rows),
    ]
    return [
        f"<h2>{escape(table.title)}</h2>",
        f"<p>On {escape(runs.source)}. {escape(seen_note(runs))}</p>",
        _table(("", "error", "source"), rows),
    ]


def seen_note(runs: RunsResult) -> str:
    """What keeps the measured errors from being compared with the published ones."""
    return (
        f"Trained on characters of these runs, which the published systems were not: {runs.seen}."
    )


def stroke_rows(found: Penmanship) -> list[tuple[str, ...]]:
    """Each measure, of the model's strokes and of people's."""
    both = (found.drawings, found.people)
    return [(name, *(interval(getattr(each, name), 2) for each in both)) for name in MEASURES]


def blobs_note(found: Penmanship) -> str:
    """How many drawings are blots, and how much of them is fog."""
    return (
        f"{found.blobs:.1%} of the drawings are somewhere thicker than 99 % of people's; "
        f"{found.fog:.2f} pixels are unsure for each that is inked."
    )


def _penmanship(found: Penmanship) -> list[str]:
    title = f"{found.size} x {found.size} pixels"
    return [
        "<h2>Strokes</h2>",
        _table((title, "drawings", "people"), stroke_rows(found)),
        f"<p>{escape(blobs_note(found))} Parts hang together; ends are those of centre lines; "
        "width is ink by length of the centre lines, thickest the widest place, in pixels.</p>",
    ]


def _memorization(scores: Generalization, recall: Memorization, training: Drawings) -> list[str]:
    median = torch.median
    rows = [
        (
            name,
            f"{median(near.pixel).item():.3f}",
            f"{median(near.critic).item():.3f}",
        )
        for name, near in (("samples", recall.samples), ("held-out drawings", recall.held_out))
    ]
    return [
        "<h2>Memorization</h2>",
        f"<p>{escape(recall_note(recall))}</p>",
        _table(("median distance to the nearest training drawing", "pixels", "critic"), rows),
        _image(png(nearest_distances(recall)), "distances to the nearest training drawing"),
        "<h2>The closest pairs</h2>",
        _picture(nearest_sheet(scores.variations, recall, training), "closest pairs"),
    ]


def recall_note(recall: Memorization) -> str:
    """The shares of samples that are suspiciously close to a training drawing."""
    return (
        f"{recall.closer_pixel:.1%} of the samples are closer to a training drawing than 99 % of "
        f"people's new drawings are, by pixels; {recall.closer_critic:.1%} by the critic."
    )


def _characters(rows: list[dict[str, Any]]) -> str:
    cells = [
        (
            row["character"],
            *("-" if row[k] is None else f"{row[k]:.3f}" for k in FIGURES),
        )
        for row in rows
    ]
    table = _table(("character", *FIGURE_NAMES), cells)
    return f"<h2>Every character</h2><details><summary>{len(rows)} rows</summary>{table}</details>"
