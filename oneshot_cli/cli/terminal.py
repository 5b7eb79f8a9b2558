"""The one place that prints: names of files and texts of headers are foreign, and may be hostile.

What would control a terminal becomes `_`, what an encoding lacks an escape, and rich's markup is
not interpreted. Nothing here imports rich at module level, so that `oneshot --help` is fast.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from oneshot_cli.paths import printable

if TYPE_CHECKING:
    from rich.console import Console


def clean(text: str) -> str:
    """Lines without what controls a terminal."""
    return "\n".join(map(printable, text.split("\n")))


def say(text: str, *, err: bool = False) -> None:
    """Print lines to stdout, or to stderr."""
    typer.echo(_encodable(clean(text), err), err=err)


def say_json(text: str) -> None:
    """Print a JSON document to stdout. Surrogates, of names that are not UTF-8, are escaped."""
    typer.echo(_encodable(text, err=False))


def console(*, err: bool = False) -> Console:
    """A rich console that cleans texts. No colour where it is no terminal, or NO_COLOR is set."""
    from rich.console import Console
    from rich.text import Text

    class Plain(Console):
        """All texts of tables and titles pass through `render_str`."""

        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(_encodable(clean(text), err), **options)

    return Plain(stderr=err, markup=False, emoji=False, highlight=False)


def _encodable(text: str, err: bool) -> str:
    """`text` with escapes for what the stream cannot encode."""
    encoding = (sys.stderr if err else sys.stdout).encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
