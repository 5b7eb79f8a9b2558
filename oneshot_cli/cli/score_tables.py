"""The tables that `oneshot score` prints."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from oneshot_cli.cli.screen import Screen
from oneshot_cli.evaluation.generalization import RunsResult
from oneshot_cli.evaluation.oneshot_scores import Scores
from oneshot_cli.evaluation.penmanship import Penmanship
from oneshot_cli.evaluation.published import tables
from oneshot_cli.evaluation.report import (
    blobs_note,
    classification_rows,
    headline,
    interval,
    not_measured_note,
    recall_note,
    score_rows,
    stroke_rows,
)
from oneshot_cli.workflows.score import PicturesResult, ScoreResult


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column)
    return table


def checkpoint(screen: Screen, result: ScoreResult) -> None:
    """Print all results of a checkpoint."""
    if screen.json_only:
        return
    scores = result.scores
    title = f"{len(scores.characters)} characters, {scores.variations.shape[1]} variations each"
    _scores(screen, title, score_rows(scores))
    screen.console.print(headline(scores), style="bold")
    screen.console.print(_penmanship(scores.penmanship))
    screen.console.print(blobs_note(scores.penmanship))
    if result.runs is not None:
        if result.runs.source:
            screen.console.print(_classification(result.runs))
        if result.runs.not_measured:
            screen.console.print(not_measured_note(result.runs))
    if result.recall is not None:
        screen.console.print(recall_note(result.recall))


def _scores(screen: Screen, title: str, rows: Iterable[tuple[str, Scores]]) -> None:
    """Print the scores of each row. The last has no interval, to fit in 80 columns."""
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
    title = f"\n{tables()['classification'].title}: {runs.source}"
    table = _table(title, "", "error", "source")
    for row in classification_rows(runs):
        table.add_row(*row)
    return table


def pictures(screen: Screen, name: str, result: PicturesResult) -> None:
    """Print the scores of a folder of pictures, and those of the reference points."""
    if screen.json_only:
        return
    rows = [*result.references.items(), *([(name, result.scores)] if result.scores else [])]
    _scores(screen, f"{result.characters} characters", rows)
