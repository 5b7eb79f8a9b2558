"""Published figures, with their sources, to print beside measured ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Published:
    """One published figure on test images: `value` in the table's `unit`.

    `bound` is true for an upper bound. `error` is the uncertainty, `train` the figure on training
    images, `context` the number of context images, `preset` the preset here that compares with it.
    """

    name: str
    value: float
    source: str
    bound: bool = False
    error: float | None = None
    train: float | None = None
    context: int | None = None
    preset: str | None = None

    @property
    def authors(self) -> str:
        """The authors and the year of the source."""
        return self.source.partition(",")[0]


@dataclass(frozen=True)
class Table:
    """A published table: its title, unit, protocol (data and method) and rows."""

    title: str
    unit: str
    protocol: str
    rows: tuple[Published, ...]


@cache
def tables() -> dict[str, Table]:
    """All published tables, by their keys in `published.json`."""
    text = resources.files("oneshot_cli.evaluation").joinpath("published.json").read_text("utf-8")
    content = json.loads(text)
    sources = content["sources"]
    return {
        key: Table(
            title=table["title"],
            unit=table["unit"],
            protocol=table["protocol"],
            rows=tuple(
                Published(**{**row, "source": sources[row["source"]]}) for row in table["rows"]
            ),
        )
        for key, table in content["tables"].items()
    }
