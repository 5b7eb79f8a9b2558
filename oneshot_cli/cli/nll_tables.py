"""The tables that `oneshot eval-nll` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.console import Group
from rich.table import Table

from oneshot_cli.evaluation.nll import (
    Nll,
    differences,
    gaps,
    refined_name,
    row_name,
    short_names,
)
from oneshot_cli.evaluation.per_image import Figure
from oneshot_cli.evaluation.published import Published
from oneshot_cli.evaluation.published import Table as PublishedTable


def bounds_table(title: str, rows: Sequence[Nll]) -> Group:
    """The bounds of each row, and estimates for all images where a part was measured; paired
    differences of checkpoints; the gaps between test and training images if both were measured.

    The reconstruction and the KL add up to the ELBO.
    """
    particles = sorted({k for row in rows for k in row.iwae})
    images = " and ".join(dict.fromkeys(f"{row.images:,}" for row in rows))
    table = _plain()
    table.add_column("", overflow="fold")
    for column in ("ELBO", "recon.", "KL", *(f"IWAE {k}" for k in particles), "bits/px"):
        table.add_column(column, no_wrap=True)

    def add(name: str, elbo: Figure, iwae: Mapping[int, Figure], *more: str) -> None:
        """A row; `more` are the reconstruction, the KL and the bits per pixel."""
        parts, bits = more[:2] or ("", ""), more[2:]
        table.add_row(name, _number(elbo), *parts, *(_number(iwae[k]) for k in particles), *bits)

    names = short_names(rows)
    for row in rows:
        parts = (f"{row.reconstruction.value:.2f}", f"{row.kl.value:.2f}")
        add(row_name(names, row), row.elbo, row.iwae, *parts, f"{row.bits_per_pixel:.4f}")
        if row.whole is not None:
            add(f"  all {row.whole.images:,} images", row.whole.elbo, row.whole.iwae)
    for each in differences(rows):
        what = f"{each.part}, context {each.context}"
        if each.checkpoint == each.other:
            name = f"{names[each.checkpoint]} {what}: refined {each.refined} - network"
        else:
            pair = f"{names[each.checkpoint]} - {names[each.other]}"
            name = refined_name(f"{pair} {what}", each.refined)
        add(name, each.elbo, each.iwae)
        if each.whole is not None:
            add(f"  all {each.whole.images:,} images", each.whole.elbo, each.whole.iwae)
    for gap in gaps(rows):
        name = f"{names[gap.checkpoint]} test - train, context {gap.context}"
        add(refined_name(name, gap.refined), gap.elbo, gap.iwae)
    head = f"-log p <= nats per image, on {images} images of {title}{_clustering(rows)}"
    return Group(head, table, *_explanations(rows))


def _clustering(rows: Sequence[Nll]) -> str:
    """By what standard errors are clustered, and into how many clusters."""
    units = dict.fromkeys((r.unit, r.per_image.clusters) for r in rows if r.unit != "image")
    if not units:
        return ""
    return "; standard errors clustered by " + " and ".join(f"{u} ({n})" for u, n in units)


def _explanations(rows: Sequence[Nll]) -> list[str]:
    """The naive errors, and what the rows of estimates and of differences are."""
    lines = []
    if any(row.unit != "image" for row in rows):
        naive = ", ".join(f"{row.elbo.naive_error:.2f}" for row in rows)
        lines.append(f"naive errors of the ELBOs, as if drawings were independent: {naive}")
    if any(row.whole is not None for row in rows):
        lines.append("all images: their ELBO minus, for IWAE, the gap between the two on the part")
    if any(row.refined for row in rows):
        lines.append("refined N: the posterior of each image was fitted by N steps of ascent")
    if differences(rows):
        lines.append("a - b: paired differences on the same images; negative if a is better")
    elif len({row.checkpoint for row in rows}) > 1:
        lines.append("no paired differences: the checkpoints were measured on different images")
    return lines


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
            row_name(names, row),
            f"{active} of {sum(row.latents)}",
            " ".join(f"{kl + 0.0:.1f}" for kl in row.kl_per_step),
        )
    return Group("\nlatents, and the KL of each step in nats", table)


def published_table(published: PublishedTable, ours: Sequence[Nll]) -> Group:
    """Published results, then our tightest bounds in the same unit, of posterior networks."""
    table = _plain()
    table.show_header = False
    for row in published.rows:
        context = "" if row.context is None else f", context {row.context}"
        table.add_row(row.name + context, published_figure(row), row.authors)
    names = short_names(ours)
    for mine in (row for row in ours if row.part == "test" and not row.refined):
        if published.unit == "nats per pixel":
            figure = f"<= {mine.best.value / mine.pixels:.4f}"
        else:
            figure = f"<= {_number(mine.best)}"
        images = f"measured here, {(mine.whole or mine).images:,} images"
        table.add_row(row_name(names, mine), figure, images)
    return Group(f"\npublished, {published.unit}: {published.title} ({published.protocol})", table)


def published_figure(row: Published) -> str:
    """A published result with its error, and "<=" if it is a bound."""
    error = "" if row.error is None else f" ± {row.error:g}"
    return f"{'<= ' if row.bound else ''}{row.value:g}{error}"


def _plain() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)


def _number(figure: Figure) -> str:
    error = "" if math.isnan(figure.error) else f" ± {figure.error:.2f}"
    return f"{figure.value:.2f}{error}"
