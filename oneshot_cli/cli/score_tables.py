"""The tables that `oneshot score` prints."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from oneshot_cli.cli.options import Screen
from oneshot_cli.evaluation.generalization import Generalization, RunsResult
from oneshot_cli.evaluation.memorization import Memorization
from oneshot_cli.evaluation.oneshot_scores import Scores
from oneshot_cli.evaluation.penmanship import Penmanship
from oneshot_cli.evaluation.published import tables
from oneshot_cli.evaluation.report import (
    blobs_note,
    headline,
    interval,
    recall_note,
    score_rows,
    seen_note,
    stroke_rows,
)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column)
    return table


def generalization(
    screen: Screen, scores: Generalization, runs: RunsResult | None, recall: Memorization | None
) -> None:
    """Everything that was measured of a checkpoint."""
    if screen.json_only:
        return
    title = f"{len(scores.characters)} characters, {scores.variations.shape[1]} variations each"
    _scores(screen, title, score_rows(scores))
    screen.console.print(headline(scores), style="bold")
    screen.console.print(_penmanship(scores.penmanship))
    screen.console.print(blobs_note(scores.penmanship))
    if runs is not None:
        screen.console.print(_classification(runs))
        screen.console.print(seen_note(runs), style="dim")
    if recall is not None:
        screen.console.print(recall_note(recall))


def _scores(screen: Screen, title: str, rows: Iterable[tuple[str, Scores]]) -> None:
    """Each row's figures; 80 columns hold them without the interval of the last."""
    table = _table(title, "", "recognizability", "diversity", "overlap", "in place")
    for name, found in rows:
        table.add_row(
            name,
            interval(found.recognizability),
            interval(found.diversity, 2),
            interval(found.overlap, 2),
            interval(found.overlap_in_place, 2).partition(" ")[0],
        )
    screen.console.print(table)


def _penmanship(found: Penmanship) -> Table:
    table = _table(f"\nStrokes, at {found.size} x {found.size}", "", "drawings", "people")
    for row in stroke_rows(found):
        table.add_row(*row)
    return table


def _classification(runs: RunsResult) -> Table:
    published = tables()["classification"]
    table = _table(f"\n{published.title}: {runs.source}", "", "error", "source")
    table.add_row("this model", interval(runs.model.error), f"{runs.particles} particles")
    table.add_row("prototypical network, ours", interval(runs.protonet.error), "")
    for row in published.rows:
        table.add_row(row.name, f"{row.value:.3f}", row.authors)
    return table


def pictures(
    screen: Screen, name: str, scores: Scores | None, known: dict[str, Scores], characters: int
) -> None:
    """The scores of a folder of pictures beside the reference points."""
    if screen.json_only:
        return
    rows = [*known.items(), *([(name, scores)] if scores else [])]
    _scores(screen, f"{characters} characters", rows)
