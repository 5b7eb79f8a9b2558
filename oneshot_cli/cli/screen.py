"""How the commands report: results on stdout, notes and progress bars on stderr, JSON on demand.

Nothing here imports torch, numpy or rich at module level: `oneshot --help` has to be instant.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from oneshot_cli.reporting import Reporter

if TYPE_CHECKING:
    from rich.console import Console

    from oneshot_cli.data.fetch import Progress


@dataclass(frozen=True)
class Screen(Reporter):
    """How a command reports: results to stdout, progress and notes to stderr.

    With `json_only`, stdout carries exactly one document and nothing else.
    """

    json_only: bool = False
    quiet: bool = False
    verbose: bool = False

    def result(self, text: str) -> None:
        """A line that the person asked for."""
        if not self.json_only:
            typer.echo(text)

    def note(self, text: str) -> None:
        """A line beside the result; gone with `--quiet`."""
        if not self.quiet:
            typer.echo(text, err=True)

    def error(self, text: str) -> None:
        """A failure that does not stop the work."""
        typer.echo(f"error: {text}", err=True)

    def detail(self, text: str) -> None:
        """A line for `--verbose`."""
        if self.verbose:
            typer.echo(text, err=True)

    def document(self, content: Mapping[str, Any]) -> None:
        """The JSON document, if one was asked for; paths become strings."""
        if self.json_only:
            typer.echo(json.dumps(content, indent=2, default=str, ensure_ascii=False))

    @cached_property
    def console(self) -> Console:
        """A rich console on stdout, plain without a terminal or with NO_COLOR."""
        from rich.console import Console

        return Console(highlight=False)

    @contextmanager
    def progress(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """A bar on stderr while the block runs; yields what advances it.

        Without a terminal, or with `--quiet`, nothing is shown.
        """
        if self.quiet or not sys.stderr.isatty():
            yield lambda steps: None
            return
        from rich import progress
        from rich.console import Console

        columns = (
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(),
        )
        with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(label, total=total)
            yield lambda steps: bar.advance(task, steps)

    @contextmanager
    def loading(self) -> Iterator[Progress | None]:
        """A bar for each file that is downloaded or decoded while the block runs."""
        if self.quiet or not sys.stderr.isatty():
            yield None
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TaskID,
            TaskProgressColumn,
            TimeRemainingColumn,
        )

        columns = ("{task.description}", BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            tasks: dict[str, TaskID] = {}

            def show(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bars.add_task(what)
                bars.update(tasks[what], completed=done, total=total or None)

            yield show


def span(files: Sequence[Path]) -> str:
    """The first and the last of some files, in one line."""
    return f"{files[0]} ... {files[-1].name}" if len(files) > 1 else str(files[0])
