"""Figures and tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def nats(figure: dict[str, float], scale: int = 1) -> str:
    """A figure and its standard error, divided by `scale`."""
    digits = 2 if scale == 1 else 4
    return f"{figure['nats'] / scale:.{digits}f} ± {figure['standard_error'] / scale:.{digits}f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a first row, and `rows`."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
