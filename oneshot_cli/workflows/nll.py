"""The work of `oneshot eval-nll`: load, measure with a display, print, write."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from oneshot_cli import data
from oneshot_cli.cli.nll_tables import (
    bounds_table,
    csv_text,
    latents_table,
    published_table,
)
from oneshot_cli.cli.options import Screen
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.distributed import World
from oneshot_cli.drawing.oneshot import Oneshot, load
from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation.errors import unit
from oneshot_cli.evaluation.nll import Nll, fitting, gaps, measure, published_beside
from oneshot_cli.evaluation.plots import likelihood_plot, png, require_matplotlib
from oneshot_cli.evaluation.published import Table as PublishedTable
from oneshot_cli.files import atomic_write_bytes
from oneshot_cli.paths import shown

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
    size: int | None
    data_dir: Path | None
    batch: int
    seed: int


def measured_on(model: Oneshot, job: Job) -> DataSpec:
    """The data that the job names, else what the checkpoint was trained on. Raises OneshotError."""
    trained = model.header.data
    dataset = job.dataset or trained.get("dataset")
    if dataset is None:
        raise OneshotError(f"{model.path}: does not say what it was trained on; give --dataset")
    known = data.known(dataset)
    if dataset == trained.get("dataset"):
        spec = DataSpec.from_dict(trained)
    else:
        spec = DataSpec(dataset, known.splits[0] if known.splits else None)
    options = dict(spec.options)
    if "binarization" in known.options:
        options["binarization"] = trained.get("binarization", "dynamic")
    return replace(
        spec,
        split=job.split or spec.split,
        size=job.size or model.model.config.reading,
        sizes=(),
        resample=job.resample or spec.how,
        options=options,
    )


def published(spec: DataSpec) -> list[PublishedTable]:
    """The published tables on the same data."""
    how = spec.options.get("binarization", "dynamic")
    return published_beside(spec.dataset, spec.split, spec.size, spec.how, how)


def title(spec: DataSpec) -> str:
    """The data in words."""
    how = "max-pooled" if spec.how == "max" else ""
    told = [f"{key} {value}" for key, value in spec.options.items()]
    parts = [spec.dataset, spec.split or "", f"{spec.size} x {spec.size}", how, *told]
    return ", ".join(filter(None, parts))


def run(
    screen: Screen,
    checkpoints: Sequence[Path | None],
    job: Job,
    csv_file: Path | None,
    plot: Path | None,
    world: World,
) -> None:
    """Measure every checkpoint, together with the other processes of the world; print, write."""
    if plot is not None:
        require_matplotlib()
    started = time.monotonic()
    models = [load(checkpoint, str(world.device)) for checkpoint in checkpoints]
    specs = [measured_on(model, job) for model in models]
    rows: list[Nll] = []
    for model, spec in zip(models, specs, strict=True):
        rows += _measure(screen, model, spec, job, world)
    if not world.is_main:
        return
    beside = {table.title + table.protocol: table for s in specs for table in published(s)}
    given = list(beside.values())
    screen.document(
        {
            "checkpoints": [_about(*each) for each in zip(models, specs, strict=True)],
            "seed": job.seed,
            "results": [row.as_dict() for row in rows],
            "gaps": [gap.as_dict() for gap in gaps(rows)],
            "published": [_published(table) for table in given],
        }
    )
    if not screen.json_only:
        titles = list(dict.fromkeys(map(title, specs)))
        screen.console.print(bounds_table("; ".join(titles), rows))
        screen.console.print(latents_table(rows))
        for table in given:
            screen.console.print(published_table(table, rows))
    if csv_file is not None:
        atomic_write_bytes(csv_file, csv_text(rows).encode())
        screen.result(str(csv_file))
    if plot is not None:
        atomic_write_bytes(plot, png(likelihood_plot(rows, given)))
        screen.result(str(plot))
    screen.note(f"measured in {time.monotonic() - started:.0f} s")


def _measure(screen: Screen, model: Oneshot, spec: DataSpec, job: Job, world: World) -> list[Nll]:
    """The rows of one checkpoint: every part with every size of context."""
    config = model.model.config
    never_shown = model.header.training.get("tasks", {}).get("empty", 0) >= 1
    unconditional = never_shown or not config.conditional
    usual = [0] if unconditional or spec.dataset in WITHOUT_CHARACTERS else [1]
    contexts = job.contexts or usual
    if never_shown and max(contexts) > 0:
        raise OneshotError(
            f"{model.path} was trained without any context; measure it with --context 0"
        )
    rows = []
    for part in job.parts:
        limit = job.limit or (TRAINING_IMAGES if part == "train" else None)
        with world.one_a_machine_first():
            loaded = spec.load(part, data_dir=job.data_dir)
        drawings = fitting(loaded, spec.dataset, max(contexts), config)
        images = min(limit or len(drawings), len(drawings))
        work = images * sum(set(job.particles)) // world.size
        for context in contexts:
            name = f"{part}, {context} context images"
            with screen.progress(name, work) as advance:
                rows.append(
                    measure(
                        model.model,
                        drawings,
                        checkpoint=shown(model.path),
                        part=part,
                        context=context,
                        particles=job.particles,
                        limit=limit,
                        seed=job.seed,
                        batch=job.batch,
                        advance=advance,
                        world=world,
                        unit=unit(spec.split),
                    )
                )
    return rows


def _about(model: Oneshot, spec: DataSpec) -> dict[str, Any]:
    """What was measured on which data, for JSON: as the checkpoint's header has it."""
    header = model.header
    return {
        "checkpoint": shown(model.path),
        "model": {"kind": header.model, **header.config.to_dict()},
        "training": header.training,
        "trained_on": header.data,
        "measured_on": {
            "dataset": spec.dataset,
            "split": spec.split,
            "size": spec.size,
            "resample": spec.how,
            **spec.options,
        },
    }


def _published(table: PublishedTable) -> dict[str, Any]:
    return {
        "title": table.title,
        "unit": table.unit,
        "protocol": table.protocol,
        "rows": [dict(row.__dict__) for row in table.rows],
    }
