"""What long work reports while it runs: notes, failures and progress.

The reporter here is silent. The command line passes a `cli.screen.Screen`, which shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oneshot_cli.data.fetch import Progress


class Reporter:
    """Receives what a workflow has to say while it works; this one shows nothing."""

    quiet: bool = True
    """Whether notes are dropped, so that nobody needs to prepare one."""

    def note(self, text: str) -> None:
        """A line beside the result."""

    def error(self, text: str) -> None:
        """A failure that does not stop the work."""

    def detail(self, text: str) -> None:
        """A line for those who want to know more."""

    @contextmanager
    def progress(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show progress while the block runs. Yields a function that adds finished steps."""
        yield lambda steps: None

    @contextmanager
    def loading(self) -> Iterator[Progress | None]:
        """Show the download and decoding of a data set while the block runs.

        Yields what `oneshot_cli.data.load` takes as `progress`.
        """
        yield None


SILENT = Reporter()
