"""`vary`: variations of each exemplar, written as pictures and grids.

However many exemplars there are, only one page of the grid is in memory at a time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from oneshot_cli.devices import peak_memory
from oneshot_cli.distributed import LONG_TIMEOUT, World, join_world
from oneshot_cli.drawing.defaults import DEFAULT_SIZE
from oneshot_cli.drawing.oneshot import Oneshot, load
from oneshot_cli.errors import OneshotError, UsageError
from oneshot_cli.files import refuse_to_overwrite
from oneshot_cli.imaging.exemplar import Drawing, at_size, drawing
from oneshot_cli.imaging.grid import Group, paper, sheet
from oneshot_cli.imaging.ink import Mask
from oneshot_cli.imaging.rendering import Bytes, of_mask, save_picture
from oneshot_cli.reporting import SILENT, Reporter
from oneshot_cli.workflows.jobs import Job, Target, jobs

PAGE = 20
"""Exemplars on one page of the grid, and in one batch."""

DRAWN_AT_ONCE = 320
"""Pages are shorter when more than this many drawings would be on them."""

WRITERS = 4
"""Files that are written at a time."""


@dataclass(frozen=True)
class Settings:
    """How variations are drawn: the arguments of `Oneshot.vary_batch`."""

    n: int
    seed: int
    spread: float
    closeness: float
    size: int
    keep_best: int | None

    @property
    def kept(self) -> int:
        return self.keep_best or self.n


@dataclass
class Made:
    """What was made of some exemplars.

    `made` has for each exemplar its files and concerns, `grids` the files of the grids, `failed`
    the exemplars that could not be read, and `concerns` the gravest concern of each, in words.
    """

    made: list[dict[str, Any]] = field(default_factory=list)
    grids: list[Path] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    concerns: list[str] = field(default_factory=list)
    skipped: int = 0
    pictures: int = 0

    def add(self, other: Made) -> None:
        """Append what `other` has."""
        self.made += other.made
        self.grids += other.grids
        self.failed += other.failed
        self.concerns += other.concerns
        self.skipped += other.skipped
        self.pictures += other.pictures


@dataclass(frozen=True)
class VaryResult:
    """What `vary` did: how variations were drawn, by which checkpoint, and what was made."""

    checkpoint: Path | None
    settings: Settings
    pen: float
    """Width of the pen as a part of the frame; 0 is none."""
    made: Made
    seconds: float

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "checkpoint": self.checkpoint,
            **asdict(self.settings),
            "pen": self.pen,
            "exemplars": self.made.made,
            "grids": self.made.grids,
            "failed": self.made.failed,
            "skipped": self.made.skipped,
            "seconds": round(self.seconds, 3),
            "peak_memory_mb": peak_memory(),
        }


def vary(
    exemplars: Sequence[Path],
    output: Path | None = None,
    *,
    n: int = 10,
    size: int = DEFAULT_SIZE,
    seed: int = 0,
    spread: float | None = None,
    closeness: float | None = None,
    pen: float | None = None,
    together: bool = False,
    keep_best: int | None = None,
    layout: str = "sheet",
    show_input: bool = False,
    skip_existing: bool = False,
    checkpoint: str | Path | None = None,
    device: str = "auto",
    force: bool = False,
    reporter: Reporter = SILENT,
) -> VaryResult:
    """Draw n variations of each exemplar and write them with a grid: what `oneshot vary` does.

    `exemplars` are pictures, or folders of them; `output` a folder, or the file of the grid, which
    is then all that is written. The other arguments are the options of the command, and those of
    `Oneshot.vary`. A picture that cannot be read is reported and passed over. Under torchrun the
    processes share the exemplars. Raises OneshotError.
    """
    if keep_best is not None and keep_best > n:
        raise UsageError(f"the best {keep_best} of {n} cannot be kept")
    work = VariationFiles(
        jobs(exemplars, together), Target.of(output), keep_best or n, layout, show_input, pen
    )
    with join_world(device, LONG_TIMEOUT) as world:
        if not skip_existing:
            world.from_main(lambda: refuse_to_overwrite(work.files(), force))
        model = load(checkpoint, str(world.device))
        settings = Settings(
            n=n,
            seed=seed,
            spread=model.spread if spread is None else spread,
            closeness=model.closeness if closeness is None else closeness,
            size=size,
            keep_best=keep_best,
        )
        reporter.detail(f"on {model.device}: {settings}")
        started = time.monotonic()
        made = work.make(reporter, model, settings, skip_existing=skip_existing, world=world)
        seconds = time.monotonic() - started
    return VaryResult(model.path, settings, model.pen(size, pen), made, seconds)


@dataclass(frozen=True)
class VariationFiles:
    """Variations of every job, written to `target`, with a grid laid out as `layout` says.

    `pen` is the width of the pen that draws them, as in `Oneshot.render`.
    """

    jobs: Sequence[Job]
    target: Target
    kept: int
    layout: str
    show_input: bool
    pen: float | None = None

    @property
    def pages(self) -> list[Sequence[Job]]:
        """The jobs, page by page."""
        rows = max(1, min(PAGE, DRAWN_AT_ONCE // self.kept))
        return [self.jobs[i : i + rows] for i in range(0, len(self.jobs), rows)]

    def files(self) -> Iterator[Path]:
        """Every file that will be written."""
        for job in self.jobs:
            yield from self._files(job)
        for page in range(len(self.pages)):
            yield from self._grid(page)

    def make(
        self,
        reporter: Reporter,
        model: Oneshot,
        settings: Settings,
        *,
        skip_existing: bool,
        world: World,
    ) -> Made:
        """Draw and write everything. A picture that cannot be read is told and passed over.

        The processes of a `world` share the pages, so that every file has one writer and is, bit
        for bit, that of one process; each has the whole report.
        """
        done = []
        pages = world.share(list(enumerate(self.pages)))
        with reporter.progress("drawing", sum(len(page) for _, page in pages)) as advance:
            for number, page in pages:
                done.append(self._make_page(number, page, reporter, model, settings, skip_existing))
                advance(len(page))
        report = Made()
        for page_made in world.gathered(done):
            report.add(page_made)
        if report.failed and not report.made and not report.skipped:
            raise OneshotError("nothing could be drawn")
        return report

    def _make_page(
        self,
        number: int,
        page: Sequence[Job],
        reporter: Reporter,
        model: Oneshot,
        settings: Settings,
        skip_existing: bool,
    ) -> Made:
        report = Made()
        there = [skip_existing and self._is_there(job) for job in page]
        report.skipped = sum(there)
        todo = [job for job, is_there in zip(page, there, strict=True) if not is_there]
        read = self._read(todo, model, reporter, report)
        drawn = self._draw(read, model, settings, report)
        if any(not grid.exists() for grid in self._grid(number)) or drawn:
            finished = [job for job, is_there in zip(page, there, strict=True) if is_there]
            groups = drawn | {job: self._from_disk(job, model) for job in finished}
            self._lay_out(number, [groups[job] for job in page if job in groups], report)
        return report

    def _files(self, job: Job) -> list[Path]:
        shown = [self._input_file(job)] if self.show_input else []
        return [*self.target.numbered(job.name, self.kept), *shown]

    def _input_file(self, job: Job) -> Path:
        return self.target.folder / f"{job.name}-input.png"

    def _grid(self, page: int) -> list[Path]:
        """The grid file of a page, if there is to be one."""
        if self.layout == "none" and not self.target.grid_file:
            return []
        name = f"{self.jobs[0].name}-grid" if len(self.jobs) == 1 else "grid"
        return [self.target.grid(name, page, len(self.pages))]

    def _is_there(self, job: Job) -> bool:
        files = self._files(job)
        return bool(files) and all(path.exists() for path in files)

    def _read(
        self, jobs: Sequence[Job], model: Oneshot, reporter: Reporter, report: Made
    ) -> list[tuple[Job, list[Drawing]]]:
        """The drawings of each job; a picture that cannot be read fails its job."""
        read = []
        for job in jobs:
            try:
                read.append((job, [drawing(path, model.size) for path in job.paths]))
            except OneshotError as error:  # noqa: PERF203
                if len(self.jobs) == 1:
                    raise
                reporter.error(str(error))
                report.failed.append({"exemplar": job.name, "error": str(error)})
        return read

    def _draw(
        self,
        read: Sequence[tuple[Job, list[Drawing]]],
        model: Oneshot,
        settings: Settings,
        report: Made,
    ) -> dict[Job, Group]:
        """Draw a page's variations and write them; the groups of its grid."""
        if not read:
            return {}
        inks = [
            torch.stack([at_size(each.mask, model.size)[None] for each in drawings])
            for _, drawings in read
        ]
        concerns = model.concerns_batch([drawings for _, drawings in read])
        drawn = model.vary_batch(inks, **asdict(settings))
        groups = {}
        for (job, drawings), ink, pictures, found in zip(read, inks, drawn, concerns, strict=True):
            greys = model.render(pictures, self.pen)
            files = self.target.numbered(job.name, self.kept)
            if files:
                with ThreadPoolExecutor(WRITERS) as pool:  # waiting for the disk, mostly
                    list(pool.map(save_picture, map(Image.fromarray, greys), files))
            made: dict[str, Any] = {"exemplar": [str(path) for path in job.paths]}
            made["variations"] = files
            made["concerns"] = [asdict(concern) for concern in found]
            report.concerns += [f"{job.name} {concern.text}" for concern in found[:1]]
            if self.show_input:
                made["input"] = self._input_file(job)
                save_picture(Image.fromarray(np.hstack(list(model.render(ink)))), made["input"])
            report.made.append(made)
            report.pictures += len(greys)
            groups[job] = _group(job, greys, drawings[0].mask)
        return groups

    def _from_disk(self, job: Job, model: Oneshot) -> Group:
        """The group of a job that was passed over, from the files that are there."""
        greys = []
        for file in self.target.numbered(job.name, self.kept):
            with Image.open(file) as picture:
                greys.append(np.asarray(picture.convert("L")))
        return _group(job, greys, drawing(job.paths[0], model.size).mask)

    def _lay_out(self, page: int, groups: Sequence[Group], report: Made) -> None:
        for file in self._grid(page) if groups else []:
            picture = paper(groups) if self.layout == "paper" else sheet(groups)
            save_picture(picture, file)
            report.grids.append(file)


def _group(job: Job, greys: Iterable[Bytes], exemplar: Mask) -> Group:
    pictures = list(greys)
    numbers = [str(i + 1) for i in range(len(pictures))]
    shown = of_mask(exemplar, pictures[0].shape[-1])
    return Group(job.name, pictures, shown, numbers)
