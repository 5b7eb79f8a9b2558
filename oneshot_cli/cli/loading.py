"""The bar on stderr while a data set is downloaded or decoded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oneshot_cli.cli.options import Screen
    from oneshot_cli.data.fetch import Progress


@contextmanager
def loading(screen: Screen) -> Iterator[Progress | None]:
    """Yield what `oneshot_cli.data.load` takes as `progress`: a bar for each thing it tells of.

    None without a terminal or with `--quiet`: nothing is shown.
    """
    if screen.quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what)
            bars.update(tasks[what], completed=done, total=total or None)

        yield show
