"""`vary`: variations of each exemplar, written as pictures and grids.

Only one page of the grid is in memory at a time, so the number of exemplars is not limited.
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
"""Exemplars on a page of the grid. A page is also a batch."""

MAX_DRAWINGS_PER_PAGE = 320
"""Pages have fewer exemplars if they would have more drawings than this."""

WRITERS = 4
"""Threads that write files."""


@dataclass(frozen=True)
class Settings:
    """The arguments of `Oneshot.vary_batch`."""

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
class VaryReport:
    """What was drawn for some exemplars.

    `exemplars` has the files and concerns of each, `grids` the files of the grids, `failed` the
    exemplars that could not be read, and `concerns` the most serious concern of each as text.
    `skipped` is the number of exemplars that were skipped, `pictures` the number of drawings.
    """

    exemplars: list[dict[str, Any]] = field(default_factory=list)
    grids: list[Path] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    concerns: list[str] = field(default_factory=list)
    skipped: int = 0
    pictures: int = 0

    def add(self, other: VaryReport) -> None:
        """Append the content of `other`."""
        self.exemplars += other.exemplars
        self.grids += other.grids
        self.failed += other.failed
        self.concerns += other.concerns
        self.skipped += other.skipped
        self.pictures += other.pictures


@dataclass(frozen=True)
class VaryResult:
    """The result of `vary`: the checkpoint, the settings, and a report of what was drawn."""

    checkpoint: Path | None
    settings: Settings
    pen: float
    """Width of the pen as a fraction of the frame; 0 is no pen."""
    report: VaryReport
    seconds: float

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "checkpoint": self.checkpoint,
            **asdict(self.settings),
            "pen": self.pen,
            "exemplars": self.report.exemplars,
            "grids": self.report.grids,
            "failed": self.report.failed,
            "skipped": self.report.skipped,
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
    """Draw n variations of each exemplar and write them with a grid, as `oneshot vary` does.

    `exemplars` are pictures, or folders of them. `output` is a folder, or the file of a grid; then
    only the grid is written. The other arguments are the options of the command, and those of
    `Oneshot.vary`. A picture that cannot be read is reported and skipped. Under torchrun the
    processes share the exemplars. Raises OneshotError.
    """
    if keep_best is not None and keep_best > n:
        raise UsageError(f"--keep-best is {keep_best}, but only {n} are drawn")
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
        report = work.make(reporter, model, settings, skip_existing=skip_existing, world=world)
        seconds = time.monotonic() - started
    return VaryResult(model.path, settings, model.pen(size, pen), report, seconds)


@dataclass(frozen=True)
class VariationFiles:
    """Draws the variations of all jobs and writes them to `target`, with a grid of this `layout`.

    `kept` is the number of variations of each job. `pen` is the pen's width, see `Oneshot.render`.
    """

    jobs: Sequence[Job]
    target: Target
    kept: int
    layout: str
    show_input: bool
    pen: float | None = None

    @property
    def pages(self) -> list[Sequence[Job]]:
        """The jobs of each page."""
        rows = max(1, min(PAGE, MAX_DRAWINGS_PER_PAGE // self.kept))
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
    ) -> VaryReport:
        """Draw and write everything. Pictures that cannot be read are reported and skipped.

        The processes of a `world` share the pages. So each file is written by one process and does
        not depend on their number. Every process returns the whole report.
        """
        done = []
        pages = world.share(list(enumerate(self.pages)))
        with reporter.progress("drawing", sum(len(page) for _, page in pages)) as advance:
            for number, page in pages:
                done.append(self._make_page(number, page, reporter, model, settings, skip_existing))
                advance(len(page))
        report = VaryReport()
        for page_report in world.gathered(done):
            report.add(page_report)
        if report.failed and not report.exemplars and not report.skipped:
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
    ) -> VaryReport:
        report = VaryReport()
        skipped = [skip_existing and self._exists(job) for job in page]
        report.skipped = sum(skipped)
        todo = [job for job, skip in zip(page, skipped, strict=True) if not skip]
        read = self._read(todo, model, reporter, report)
        drawn = self._draw(read, model, settings, report)
        if any(not grid.exists() for grid in self._grid(number)) or drawn:
            finished = [job for job, skip in zip(page, skipped, strict=True) if skip]
            groups = drawn | {job: self._from_disk(job, model) for job in finished}
            self._lay_out(number, [groups[job] for job in page if job in groups], report)
        return report

    def _files(self, job: Job) -> list[Path]:
        shown = [self._input_file(job)] if self.show_input else []
        return [*self.target.numbered(job.name, self.kept), *shown]

    def _input_file(self, job: Job) -> Path:
        return self.target.folder / f"{job.name}-input.png"

    def _grid(self, page: int) -> list[Path]:
        """The grid file of a page, or nothing if no grid is written."""
        if self.layout == "none" and not self.target.grid_file:
            return []
        name = f"{self.jobs[0].name}-grid" if len(self.jobs) == 1 else "grid"
        return [self.target.grid(name, page, len(self.pages))]

    def _exists(self, job: Job) -> bool:
        files = self._files(job)
        return bool(files) and all(path.exists() for path in files)

    def _read(
        self, jobs: Sequence[Job], model: Oneshot, reporter: Reporter, report: VaryReport
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
        report: VaryReport,
    ) -> dict[Job, Group]:
        """Draw and write the variations of a page. Returns the groups of its grid."""
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
                with ThreadPoolExecutor(WRITERS) as pool:  # mostly waits for the disk
                    list(pool.map(save_picture, map(Image.fromarray, greys), files))
            made: dict[str, Any] = {"exemplar": [str(path) for path in job.paths]}
            made["variations"] = files
            made["concerns"] = [asdict(concern) for concern in found]
            report.concerns += [f"{job.name} {concern.text}" for concern in found[:1]]
            if self.show_input:
                made["input"] = self._input_file(job)
                save_picture(Image.fromarray(np.hstack(list(model.render(ink)))), made["input"])
            report.exemplars.append(made)
            report.pictures += len(greys)
            groups[job] = _group(job, greys, drawings[0].mask)
        return groups

    def _from_disk(self, job: Job, model: Oneshot) -> Group:
        """The group of a skipped job, from its existing files."""
        greys = []
        for file in self.target.numbered(job.name, self.kept):
            with Image.open(file) as picture:
                greys.append(np.asarray(picture.convert("L")))
        return _group(job, greys, drawing(job.paths[0], model.size).mask)

    def _lay_out(self, page: int, groups: Sequence[Group], report: VaryReport) -> None:
        for file in self._grid(page) if groups else []:
            picture = paper(groups) if self.layout == "paper" else sheet(groups)
            save_picture(picture, file)
            report.grids.append(file)


def _group(job: Job, greys: Iterable[Bytes], exemplar: Mask) -> Group:
    pictures = list(greys)
    numbers = [str(i + 1) for i in range(len(pictures))]
    shown = of_mask(exemplar, pictures[0].shape[-1])
    return Group(job.name, pictures, shown, numbers)
