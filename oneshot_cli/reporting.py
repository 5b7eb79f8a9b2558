"""How workflows report notes, failures and progress while they run.

The reporter here is silent. The command line passes a `cli.screen.Screen`, which shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oneshot_cli.data.fetch import Progress


class Reporter:
    """Receives the reports of a workflow. This base class ignores them."""

    quiet: bool = True
    """Whether notes are ignored, so that costly ones need not be computed."""

    def note(self, text: str) -> None:
        """Additional information for the user."""

    def error(self, text: str) -> None:
        """A failure that does not stop the work."""

    def detail(self, text: str) -> None:
        """Details that `--verbose` shows."""

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
