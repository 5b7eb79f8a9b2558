"""The tables that `oneshot eval-nll` prints."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group
from rich.table import Table

from oneshot_cli.evaluation.nll import Figure, Nll, gaps, short_names
from oneshot_cli.evaluation.published import Published
from oneshot_cli.evaluation.published import Table as PublishedTable


def bounds_table(title: str, rows: Sequence[Nll]) -> Group:
    """The bounds of each row, and the gaps between test and training images if both were measured.

    The reconstruction and the KL add up to the ELBO.
    """
    particles = sorted({k for row in rows for k in row.iwae})
    images = " and ".join(dict.fromkeys(f"{row.images:,}" for row in rows))
    table = _plain()
    table.add_column("", overflow="fold")
    for column in ("ELBO", "recon.", "KL", *(f"IWAE {k}" for k in particles), "bits/px"):
        table.add_column(column, no_wrap=True)
    names = short_names(rows)
    for row in rows:
        table.add_row(
            _name(names, row),
            _number(row.elbo),
            f"{row.reconstruction.value:.2f}",
            f"{row.kl.value:.2f}",
            *(_number(row.iwae[k]) for k in particles),
            f"{row.bits_per_pixel:.4f}",
        )
    for gap in gaps(rows):
        table.add_row(
            f"{names[gap.checkpoint]} test - train, context {gap.context}",
            _number(gap.elbo),
            *("", ""),
            *(_number(gap.iwae[k]) for k in particles),
        )
    units = dict.fromkeys(row.unit for row in rows if row.unit != "image")
    errors = f"; standard errors clustered by {' and '.join(units)}" if units else ""
    return Group(f"-log p <= nats per image, on {images} images of {title}{errors}", table)


def latents_table(rows: Sequence[Nll]) -> Group:
    """The number of active latents, and the KL of each step."""
    table = _plain()
    table.add_column("", overflow="fold")
    table.add_column("active", no_wrap=True)
    table.add_column("KL")
    names = short_names(rows)
    for row in rows:
        active = "-" if row.active is None else str(sum(row.active))
        table.add_row(
            _name(names, row),
            f"{active} of {sum(row.latents)}",
            " ".join(f"{kl:.1f}" for kl in row.kl_per_step),
        )
    return Group("\nlatents, and the KL of each step in nats", table)


def published_table(published: PublishedTable, ours: Sequence[Nll]) -> Group:
    """Published results, then our tightest bounds in the same unit."""
    table = _plain()
    table.show_header = False
    for row in published.rows:
        context = "" if row.context is None else f", context {row.context}"
        table.add_row(row.name + context, published_figure(row), row.authors)
    names = short_names(ours)
    for mine in (row for row in ours if row.part == "test"):
        if published.unit == "nats per pixel":
            figure = f"<= {mine.best.value / mine.pixels:.4f}"
        else:
            figure = f"<= {_number(mine.best)}"
        table.add_row(_name(names, mine), figure, "measured here")
    return Group(f"\npublished, {published.unit}: {published.title} ({published.protocol})", table)


def published_figure(row: Published) -> str:
    """A published result with its error, and "<=" if it is a bound."""
    error = "" if row.error is None else f" ± {row.error:g}"
    return f"{'<= ' if row.bound else ''}{row.value:g}{error}"


def _plain() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)


def _name(names: dict[str, str], row: Nll) -> str:
    return f"{names[row.checkpoint]} {row.part}, context {row.context}"


def _number(figure: Figure) -> str:
    error = "" if math.isnan(figure.error) else f" ± {figure.error:.2f}"
    return f"{figure.value:.2f}{error}"
