"""`nll`: bounds on the negative log-likelihood of a data set, with published ones to compare."""

from __future__ import annotations

import csv as csv_format
import io
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from oneshot_cli import data
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.distributed import LONG_TIMEOUT, World, join_world
from oneshot_cli.drawing.oneshot import Oneshot, load
from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation.nll import (
    Nll,
    differences,
    fitting,
    gaps,
    measure,
    published_beside,
    whole_set_pays,
)
from oneshot_cli.evaluation.per_image import Figure
from oneshot_cli.evaluation.plots import likelihood_plot, png, require_matplotlib
from oneshot_cli.evaluation.published import Table as PublishedTable
from oneshot_cli.evaluation.refinement import COST_OF_A_STEP, check_refinable
from oneshot_cli.evaluation.standard_errors import unit
from oneshot_cli.files import atomic_write_bytes, refuse_to_overwrite
from oneshot_cli.paths import display_path
from oneshot_cli.reporting import SILENT, Reporter

TRAINING_IMAGES = 3_000
"""The default limit on the number of training images."""


@dataclass(frozen=True)
class Measurement:
    """The arguments of `nll` that determine what is measured."""

    parts: Sequence[str] = ("test",)
    particles: Sequence[int] = (1, 10)
    contexts: Sequence[int] | None = None
    limit: int | None = None
    refine: int = 0
    dataset: str | None = None
    split: str | None = None
    resample: str | None = None
    size: int | None = None
    data_dir: Path | None = None
    batch: int = 250
    seed: int = 0


@dataclass(frozen=True)
class NllResult:
    """The result of `nll`: the bounds of the checkpoints, their data, and published tables."""

    models: list[Oneshot]
    specs: list[DataSpec]
    rows: list[Nll]
    published: list[PublishedTable]
    seed: int
    seconds: float

    @property
    def title(self) -> str:
        """The data, for display."""
        return "; ".join(dict.fromkeys(map(title, self.specs)))

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "checkpoints": [_about(*each) for each in zip(self.models, self.specs, strict=True)],
            "seed": self.seed,
            "results": [row.as_dict() for row in self.rows],
            "gaps": [gap.as_dict() for gap in gaps(self.rows)],
            "differences": [each.as_dict() for each in differences(self.rows)],
            "published": [_published(table) for table in self.published],
        }


def nll(
    checkpoints: Sequence[str | Path | None] = (None,),
    *,
    parts: Sequence[str] = ("test",),
    particles: Sequence[int] = (1, 10),
    contexts: Sequence[int] | None = None,
    limit: int | None = None,
    refine: int = 0,
    dataset: str | None = None,
    split: str | None = None,
    resample: str | None = None,
    size: int | None = None,
    data_dir: Path | None = None,
    batch: int = 250,
    seed: int = 0,
    csv: Path | None = None,
    plot: Path | None = None,
    device: str = "auto",
    force: bool = False,
    reporter: Reporter = SILENT,
) -> NllResult:
    """Bound the negative log-likelihood of images in nats, as `oneshot eval-nll` does.

    A checkpoint is a path, or None for the flagship. `parts` are "test" or "train". `particles` are
    numbers of importance samples, where 1 is the ELBO; `contexts` are numbers of context images.
    With `refine` all bounds are measured once more, after so many steps of gradient ascent that fit
    the posterior of each image (`evaluation.refinement`).
    Each checkpoint is evaluated on the data that it was trained on, unless `dataset`, `split` and
    the like name others. The bounds are also written to `csv` and drawn in `plot`, if these are
    given. With a `limit`, the IWAE bounds of the whole part are estimated where its ELBO takes no
    longer than the limited images (`evaluation.nll.whole_set_pays`). Under torchrun the processes
    share the images. Raises OneshotError.
    """
    measurement = Measurement(
        parts,
        particles,
        contexts,
        limit,
        refine,
        dataset,
        split,
        resample,
        size,
        data_dir,
        batch,
        seed,
    )
    with join_world(device, LONG_TIMEOUT) as world:
        files = [path for path in (csv, plot) if path is not None]
        if plot is not None:
            require_matplotlib()
        started = time.monotonic()
        models = [load(checkpoint, str(world.device)) for checkpoint in checkpoints]
        read = [model.path for model in models if model.path is not None]
        world.from_main(lambda: refuse_to_overwrite(files, force, read))
        if refine:
            for model in models:
                check_refinable(model.model)
        specs = [measured_on(model, measurement) for model in models]
        rows: list[Nll] = []
        for model, spec in zip(models, specs, strict=True):
            rows += _measure(reporter, model, spec, measurement, world)
        found = {table.title + table.protocol: table for s in specs for table in published(s)}
        tables = list(found.values())
        if world.is_main:
            if csv is not None:
                atomic_write_bytes(csv, csv_text(rows).encode())
            if plot is not None:
                atomic_write_bytes(plot, png(likelihood_plot(rows, tables)))
    return NllResult(models, specs, rows, tables, seed, time.monotonic() - started)


def measured_on(model: Oneshot, measurement: Measurement) -> DataSpec:
    """The data to measure `model` on: its training data, with the changes in `measurement`.

    Raises OneshotError if neither names a data set.
    """
    trained = model.header.data
    dataset = measurement.dataset or trained.get("dataset")
    if dataset is None:
        raise OneshotError(
            f"{model.path}: the header does not name the training data; give --dataset"
        )
    entry = data.get_dataset(dataset)
    if dataset == trained.get("dataset"):
        spec = DataSpec.from_dict(trained)
    else:
        spec = DataSpec(dataset, entry.splits[0] if entry.splits else None)
    options = dict(spec.options)
    if "binarization" in entry.options:
        options["binarization"] = trained.get("binarization", "dynamic")
    return replace(
        spec,
        split=measurement.split or spec.split,
        size=measurement.size or model.model.config.input_size,
        sizes=(),
        resample=measurement.resample or spec.resampling,
        options=options,
    )


def published(spec: DataSpec) -> list[PublishedTable]:
    """The published tables on the same data."""
    binarization = spec.options.get("binarization", "dynamic")
    return published_beside(spec.dataset, spec.split, spec.size, spec.resampling, binarization)


def title(spec: DataSpec) -> str:
    """The data, for display."""
    resampling = "max-pooled" if spec.resampling == "max" else ""
    options = [f"{key} {value}" for key, value in spec.options.items()]
    parts = [spec.dataset, spec.split or "", f"{spec.size} x {spec.size}", resampling, *options]
    return ", ".join(filter(None, parts))


def csv_text(rows: Sequence[Nll]) -> str:
    """The rows as CSV, with columns for the IWAE bound of every K. Unknown values are empty.

    The columns `whole_set_...` are the estimates for all images (`WholeSet`).
    """
    particles = sorted({k for row in rows for k in row.iwae})
    buffer = io.StringIO()
    writer = csv_format.writer(buffer, lineterminator="\n")
    bounds = ["elbo", *(f"iwae_{k}" for k in particles)]
    names = ["reconstruction", "kl", *bounds, *(f"whole_set_{name}" for name in bounds)]
    head = ["checkpoint", "part", "context_images", "refinement_steps"]
    head += ["images", "whole_set_images"]
    errors = ("", "_standard_error", "_naive_standard_error")
    writer.writerow(
        [*head, "latents", "active_latents", *(f"{n}{s}" for n in names for s in errors)]
    )
    for row in rows:
        whole = row.whole
        figures: list[Figure | None] = [row.reconstruction, row.kl]
        figures += [row.elbo, *(row.iwae[k] for k in particles)]
        if whole is None:
            figures += [None] * len(bounds)
        else:
            figures += [whole.elbo, *(whole.iwae[k] for k in particles)]
        active = "" if row.active is None else sum(row.active)
        images = [row.images, "" if whole is None else whole.images]
        cells = [
            row.checkpoint,
            row.part,
            row.context,
            row.refined,
            *images,
            sum(row.latents),
            active,
        ]
        writer.writerow([*cells, *(cell for figure in figures for cell in _csv_cells(figure))])
    return buffer.getvalue()


def _csv_cells(figure: Figure | None) -> list[str]:
    """A figure and its standard errors, clustered and naive."""
    if figure is None:
        return ["", "", ""]
    numbers = (figure.value, figure.error, figure.naive_error)
    return ["" if math.isnan(x) else f"{x:.4f}" for x in numbers]


def _measure(
    reporter: Reporter, model: Oneshot, spec: DataSpec, measurement: Measurement, world: World
) -> list[Nll]:
    """The bounds of one checkpoint, for every part and every size of the context."""
    config = model.model.config
    no_context = model.header.training.get("tasks", {}).get("empty", 0) >= 1
    unconditional = no_context or not config.conditional
    default = [0] if unconditional or not spec.catalogue_entry.conditional else [1]
    contexts = measurement.contexts or default
    if no_context and max(contexts) > 0:
        raise OneshotError(
            f"{model.path} was trained without a context; measure it with --context 0"
        )
    rows = []
    for part in measurement.parts:
        limit = measurement.limit or (TRAINING_IMAGES if part == "train" else None)
        with world.local_main_first():
            loaded = spec.load(part, data_dir=measurement.data_dir)
        drawings = fitting(loaded, spec.dataset, max(contexts), config)
        images = min(limit or len(drawings), len(drawings))
        whole = whole_set_pays(len(drawings), measurement.limit, measurement.particles)
        work = images * sum(set(measurement.particles))
        for context in contexts:
            measured = partial(
                measure,
                model.model,
                drawings,
                checkpoint=display_path(model.path),
                part=part,
                context=context,
                particles=measurement.particles,
                limit=limit,
                seed=measurement.seed,
                batch=measurement.batch,
                world=world,
                unit=unit(spec.split),
            )
            name, more = f"{part}, {context} context images", whole * len(drawings)
            with reporter.progress(name, (work + more) // world.size) as advance:
                rows.append(measured(whole_set=whole, advance=advance))
            if steps := measurement.refine:
                name, more = f"{name}, refined", images * steps * COST_OF_A_STEP
                with reporter.progress(name, (work + more) // world.size) as advance:
                    rows.append(measured(refined=(steps, rows[-1]), advance=advance))
    return rows


def _about(model: Oneshot, spec: DataSpec) -> dict[str, Any]:
    """The description of a checkpoint and of the data that it was measured on, for JSON."""
    header = model.header
    return {
        "checkpoint": display_path(model.path),
        "model": {"kind": header.model, **header.config.to_dict()},
        "training": header.training,
        "trained_on": header.data,
        "measured_on": {
            "dataset": spec.dataset,
            "split": spec.split,
            "size": spec.size,
            "resample": spec.resampling,
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
