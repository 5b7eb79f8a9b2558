"""The work of `oneshot eval-nll`: load, measure with a display, print, write."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from oneshot_cli import data
from oneshot_cli.api import Oneshot, load
from oneshot_cli.commands.common import Screen
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation.nll import Figure, Nll, fitting, measure, published_beside
from oneshot_cli.evaluation.plots import likelihood_plot, png, require_matplotlib
from oneshot_cli.evaluation.published import Published
from oneshot_cli.evaluation.published import Table as PublishedTable
from oneshot_cli.files import atomic_write_bytes

TRAINING_IMAGES = 3_000
"""Training images are a sample of this size unless --limit says otherwise."""

WITHOUT_CHARACTERS = ("mnist", "mnist-static", "mnist-two", "omniglot-burda")
"""Data sets on which published figures have no context."""


@dataclass(frozen=True)
class Job:
    """The options of `oneshot eval-nll`."""

    parts: list[str]
    particles: list[int]
    contexts: list[int] | None
    limit: int | None
    dataset: str | None
    split: str | None
    resample: str | None
    data_dir: Path | None
    batch: int
    seed: int
    device: str


@dataclass(frozen=True)
class Source:
    """The data that a checkpoint is measured on."""

    dataset: str
    split: str | None
    size: int
    resample: str
    options: dict[str, Any]

    @classmethod
    def of(cls, model: Oneshot, job: Job) -> Source:
        """What the job names, else what the checkpoint was trained on. Raises OneshotError."""
        trained = model.header.data
        dataset = job.dataset or trained.get("dataset")
        if dataset is None:
            raise OneshotError(f"{model.path}: does not say what it was trained on; give --dataset")
        same = dataset == trained.get("dataset")
        known = data.known(dataset)
        usual = trained.get("split") if same else known.splits[0] if known.splits else None
        options = {k: v for k, v in trained.items() if k in known.options} if same else {}
        return cls(
            dataset=dataset,
            split=job.split or usual,
            size=model.size,
            resample=job.resample or (trained.get("resample", "area") if same else "area"),
            options=options,
        )

    def drawings(self, part: str, data_dir: Path | None) -> Drawings:
        """The drawings of a part, as the data set gives them."""
        return data.load(
            self.dataset,
            data_dir=data_dir,
            split=self.split,
            part=part,
            size=self.size,
            resample=self.resample,
            **self.options,
        )

    def published(self) -> list[PublishedTable]:
        """The published tables on the same data."""
        binarization = self.options.get("binarization", "dynamic")
        return published_beside(self.dataset, self.split, self.size, self.resample, binarization)

    def title(self) -> str:
        """The data in words."""
        how = "max-pooled" if self.resample == "max" else ""
        told = [f"{key} {value}" for key, value in self.options.items()]
        if self.dataset == "mnist" and not self.options:
            told = ["dynamic binarization"]
        parts = [self.dataset, self.split or "", f"{self.size} x {self.size}", how, *told]
        return ", ".join(filter(None, parts))


def run(
    screen: Screen,
    checkpoints: Sequence[Path | None],
    job: Job,
    csv_file: Path | None,
    plot: Path | None,
) -> None:
    """Measure every checkpoint; print, write."""
    if plot is not None:
        require_matplotlib()
    started = time.monotonic()
    rows: list[Nll] = []
    sources: list[Source] = []
    for checkpoint in checkpoints:
        model = load(checkpoint, job.device)
        sources.append(Source.of(model, job))
        rows += _measure(screen, model, sources[-1], job)
    beside = {table.title + table.protocol: table for s in sources for table in s.published()}
    published = list(beside.values())
    screen.document(
        {
            "data": [source.title() for source in sources],
            "seed": job.seed,
            "results": [row.as_dict() for row in rows],
            "published": [_published(table) for table in published],
        }
    )
    if not screen.json_only:
        titles = list(dict.fromkeys(source.title() for source in sources))
        screen.console.print(_table("; ".join(titles), rows))
        for table in published:
            screen.console.print(_published_table(table, rows))
    if csv_file is not None:
        atomic_write_bytes(csv_file, _csv(rows).encode())
        screen.result(str(csv_file))
    if plot is not None:
        atomic_write_bytes(plot, png(likelihood_plot(rows, published)))
        screen.result(str(plot))
    screen.note(f"measured in {time.monotonic() - started:.0f} s")


def _measure(screen: Screen, model: Oneshot, source: Source, job: Job) -> list[Nll]:
    """The rows of one checkpoint: every part with every size of context."""
    config = model.model.config
    never_shown = model.header.training.get("tasks", {}).get("empty", 0) >= 1
    unconditional = never_shown or not config.conditional
    usual = [0] if unconditional or source.dataset in WITHOUT_CHARACTERS else [1]
    contexts = job.contexts or usual
    if never_shown and max(contexts) > 0:
        raise OneshotError(
            f"{model.path} was trained without any context; measure it with --context 0"
        )
    rows = []
    for part in job.parts:
        limit = job.limit or (TRAINING_IMAGES if part == "train" else None)
        drawings = fitting(
            source.drawings(part, job.data_dir), source.dataset, max(contexts), config
        )
        images = min(limit or len(drawings), len(drawings))
        for context in contexts:
            name = f"{part}, {context} context images"
            with screen.progress(name, images * sum(set(job.particles))) as advance:
                rows.append(
                    measure(
                        model.model,
                        drawings,
                        checkpoint=str(model.path),
                        part=part,
                        context=context,
                        particles=job.particles,
                        limit=limit,
                        seed=job.seed,
                        batch=job.batch,
                        advance=advance,
                    )
                )
    return rows


def _number(figure: Figure) -> str:
    error = "" if figure.error != figure.error else f" ± {figure.error:.2f}"
    return f"{figure.value:.2f}{error}"


def _table(title: str, rows: list[Nll]) -> Table:
    """The rows: the reconstruction and the KL add up to the ELBO."""
    particles = sorted({k for row in rows for k in row.iwae})
    images = " and ".join(dict.fromkeys(f"{row.images:,}" for row in rows))
    table = Table(
        title=f"-log p <= nats per image, on {images} images of {title}",
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
    table.add_column("", overflow="fold")
    for column in ("ELBO", "recon.", "KL", *(f"IWAE {k}" for k in particles), "bits/px"):
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(
            f"{Path(row.checkpoint).stem} {row.part}, context {row.context}",
            _number(row.elbo),
            f"{row.reconstruction.value:.2f}",
            f"{row.kl.value:.2f}",
            *(_number(row.iwae[k]) for k in particles),
            f"{row.bits_per_pixel:.4f}",
        )
    return table


def _bound(row: Published) -> str:
    error = "" if row.error is None else f" ± {row.error:g}"
    return f"{'<= ' if row.bound else ''}{row.value:g}{error}"


def _published_table(published: PublishedTable, ours: list[Nll]) -> Table:
    """Published figures, and under them our tightest bounds in the same unit."""
    table = Table(
        title=f"\npublished, {published.unit}: {published.title} ({published.protocol})",
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
        show_header=False,
    )
    for row in published.rows:
        table.add_row(row.name, _bound(row), row.authors)
    for mine in (row for row in ours if row.part == "test"):
        if published.unit == "nats per pixel":
            figure = f"<= {mine.best.value / mine.pixels:.4f}"
        else:
            figure = f"<= {_number(mine.best)}"
        table.add_row(f"{Path(mine.checkpoint).stem} {mine.part}", figure, "measured here")
    return table


def _published(table: PublishedTable) -> dict[str, Any]:
    return {
        "title": table.title,
        "unit": table.unit,
        "protocol": table.protocol,
        "rows": [dict(row.__dict__) for row in table.rows],
    }


def _csv(rows: list[Nll]) -> str:
    """One line a row, the IWAE bounds of every K in columns of their own."""
    particles = sorted({k for row in rows for k in row.iwae})
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = ["elbo", "reconstruction", "kl", *(f"iwae_{k}" for k in particles)]
    head = ["checkpoint", "part", "context_images", "images"]
    writer.writerow([*head, *(f"{n}{s}" for n in names for s in ("", "_standard_error"))])
    for row in rows:
        figures = [row.elbo, row.reconstruction, row.kl, *(row.iwae[k] for k in particles)]
        numbers = [f"{x:.4f}" for figure in figures for x in (figure.value, figure.error)]
        writer.writerow([row.checkpoint, row.part, row.context, row.images, *numbers])
    return buffer.getvalue()
