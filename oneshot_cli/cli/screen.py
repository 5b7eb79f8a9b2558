"""`Screen`: the output of commands on the terminal.

Nothing here imports torch, numpy or rich at module level, so that `oneshot --help` is fast.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneshot_cli.cli.terminal import clean, console, say, say_json
from oneshot_cli.reporting import Reporter

if TYPE_CHECKING:
    from rich.console import Console

    from oneshot_cli.data.fetch import Progress


@dataclass(frozen=True)
class Screen(Reporter):
    """Prints results to stdout, notes and progress to stderr.

    With `json_only`, stdout gets one JSON document and nothing else.
    """

    json_only: bool = False
    quiet: bool = False
    verbose: bool = False

    def result(self, text: str) -> None:
        """Print a line of the result."""
        if not self.json_only:
            say(text)

    def note(self, text: str) -> None:
        """Print additional information, unless `quiet`."""
        if not self.quiet:
            say(text, err=True)

    def error(self, text: str) -> None:
        """Print a failure that does not stop the work."""
        say(f"error: {text}", err=True)

    def detail(self, text: str) -> None:
        """Print a detail, if `verbose`."""
        if self.verbose:
            say(text, err=True)

    def document(self, content: Mapping[str, Any]) -> None:
        """Print the JSON document, if `json_only`. Paths become strings."""
        if self.json_only:
            text = json.dumps(content, indent=2, default=str, ensure_ascii=False)
            say_json(text)

    @cached_property
    def console(self) -> Console:
        """The console on stdout, for tables."""
        return console()

    @contextmanager
    def progress(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show a progress bar on stderr while the block runs. Yields a function to advance it.

        Without a terminal, or if `quiet`, nothing is shown.
        """
        if self.quiet or not sys.stderr.isatty():
            yield lambda steps: None
            return
        from rich import progress

        columns = (
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(),
        )
        with progress.Progress(*columns, console=console(err=True), transient=True) as bar:
            task = bar.add_task(clean(label), total=total)
            yield lambda steps: bar.advance(task, steps)

    @contextmanager
    def loading(self) -> Iterator[Progress | None]:
        """Show a bar for each file that is downloaded or decoded while the block runs."""
        if self.quiet or not sys.stderr.isatty():
            yield None
            return
        from rich.progress import (
            BarColumn,
            Progress,
            TaskID,
            TaskProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console(err=True), transient=True) as bars:
            tasks: dict[str, TaskID] = {}

            def show(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bars.add_task(clean(what))
                bars.update(tasks[what], completed=done, total=total or None)

            yield show


@contextmanager
def loading_program(quiet: bool) -> Iterator[None]:
    """Say on stderr that the program is loading while the block imports large libraries.

    Without a terminal, if `quiet`, and in all but the first process of torchrun, nothing is shown.
    """
    if quiet or not sys.stderr.isatty() or os.environ.get("RANK", "0") != "0":
        yield
        return

    with console(err=True).status("loading"):
        yield


def counted(number: int, word: str) -> str:
    """A number and what is counted: "1 exemplar", "1,234 exemplars"."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def span(files: Sequence[Path]) -> str:
    """The first and the last of `files`, in one line."""
    return f"{files[0]} ... {files[-1].name}" if len(files) > 1 else str(files[0])
