"""The progress of a training run: a live line on a terminal, else plain lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich import progress
from rich.text import Text

from oneshot_cli.cli.screen import Screen, counted
from oneshot_cli.cli.terminal import console, say
from oneshot_cli.training.evaluations import VALIDATION, evaluated, in_words, nats
from oneshot_cli.workflows.train import TrainResult


class Display:
    """Shows each new row of metrics.jsonl."""

    def __init__(self, bar: progress.Progress | None, task: progress.TaskID, quiet: bool) -> None:
        self._bar, self._task, self._quiet = bar, task, quiet
        self._latest: dict[str, Any] = {}

    def __call__(self, row: dict[str, Any]) -> None:
        """Show a row."""
        self._latest.update(row)
        if self._bar is not None:
            self._bar.update(self._task, completed=row["step"], numbers=_numbers(self._latest))
            if evaluated(row):
                self._bar.console.print(_evaluation(row))
        elif not self._quiet:
            line = _evaluation(row) if evaluated(row) else _numbers(row)
            say(f"{row['step']:>7} {line}", err=True)


def _numbers(row: dict[str, Any]) -> str:
    """The line of training: nats per image, and the speed."""
    if "bound" not in row:
        return ""
    return (
        f"bound {-row['bound']:.2f} = rec. {-row['reconstruction']:.2f} "
        f"+ KL {row['kl']:.2f} nats, {row['images_per_second']:.0f}/s"
    )


def _evaluation(row: dict[str, Any]) -> str:
    name = evaluated(row) or VALIDATION
    return (
        f"{in_words(name)}: {nats(row, name)} nats "
        f"(KL {row[f'{name}_kl']:.2f}) after {counted(row['step'], 'iteration')}"
    )


class TimeLeft(progress.ProgressColumn):
    """The time until the run ends: when its iterations are done, or `max_seconds` are over."""

    def __init__(self, max_seconds: float | None) -> None:
        super().__init__()
        self._limit = max_seconds

    def render(self, task: progress.Task) -> Text:
        """The time left as h:mm:ss or mm:ss."""
        known = [] if task.time_remaining is None else [task.time_remaining]
        if self._limit is not None:
            known.append(max(0.0, self._limit - (task.elapsed or 0.0)))
        if not known:
            return Text("-:--", "progress.remaining")
        minutes, seconds = divmod(round(min(known)), 60)
        hours, minutes = divmod(minutes, 60)
        text = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"
        return Text(text, "progress.remaining")


@contextmanager
def display(
    iterations: int, step: int, *, quiet: bool, max_seconds: float | None = None
) -> Iterator[Display]:
    """A display for the block: on a terminal a bar with the remaining time, else lines.

    The run ends after `max_seconds` if that is given.
    """
    if quiet or not sys.stderr.isatty():
        yield Display(None, progress.TaskID(0), quiet)
        return
    columns = (
        progress.TextColumn("{task.completed}/{task.total}"),
        progress.BarColumn(bar_width=8),
        progress.TextColumn("{task.fields[numbers]}"),
        TimeLeft(max_seconds),
    )  # at most 79 columns, to fit a usual terminal
    with progress.Progress(*columns, console=console(err=True)) as bar:
        task = bar.add_task("", total=iterations, completed=step, numbers="")
        yield Display(bar, task, quiet)


def print_result(screen: Screen, result: TrainResult) -> None:
    """How the run ended, and where its checkpoint is."""
    ending = {"done": "finished", "time": "out of time", "signal": "stopped"}[result.ended]
    line = f"{ending} after {counted(result.iterations, 'iteration')}, {result.seconds:.0f} s"
    if figures := result.figures:
        name = result.evaluated_on
        line += (
            f": {nats(figures, name)} nats on "
            f"{counted(figures['drawings'], f'{in_words(name)} drawing')}"
        )
    screen.result(line)
    screen.result(f"checkpoint: {result.folder.last}")
    if result.ended != "done":
        screen.note(f"go on with: oneshot train --resume -o {result.folder.path}")
    screen.document(result.document())
