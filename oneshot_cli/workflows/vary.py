"""The work of `oneshot vary`: exemplars stream through the model, pictures go to disk.

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

from oneshot_cli.cli.options import Screen, peak_memory
from oneshot_cli.distributed import ALONE, World
from oneshot_cli.drawing.oneshot import Oneshot
from oneshot_cli.errors import OneshotError
from oneshot_cli.imaging.exemplar import Drawing, at_size, drawing
from oneshot_cli.imaging.grid import Group, paper, sheet
from oneshot_cli.imaging.ink import Mask
from oneshot_cli.imaging.rendering import Bytes, of_mask, save_picture
from oneshot_cli.workflows.jobs import Job, Target

PAGE = 20
"""Exemplars on one page of the grid, and in one batch."""

DRAWN_AT_ONCE = 320
"""Pages are shorter when more than this many drawings would be on them."""

WRITERS = 4
"""Files that are written at a time."""

LISTED = 20
"""With more exemplars than this, results are counted instead of listed."""


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
class Report:
    """What was made."""

    made: list[dict[str, Any]] = field(default_factory=list)
    grids: list[Path] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    concerns: list[str] = field(default_factory=list)
    skipped: int = 0
    pictures: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, reports: Sequence[Report], seconds: float) -> Report:
        """All that the reports of the pages say, in their order."""
        return cls(
            made=[made for report in reports for made in report.made],
            grids=[grid for report in reports for grid in report.grids],
            failed=[failed for report in reports for failed in report.failed],
            concerns=[concern for report in reports for concern in report.concerns],
            skipped=sum(report.skipped for report in reports),
            pictures=sum(report.pictures for report in reports),
            seconds=seconds,
        )

    def document(self) -> dict[str, Any]:
        """The fields of the JSON document."""
        return {
            "exemplars": self.made,
            "grids": self.grids,
            "failed": self.failed,
            "skipped": self.skipped,
            "seconds": round(self.seconds, 3),
            "peak_memory_mb": peak_memory(),
        }

    def tell(self, screen: Screen) -> None:
        """The same for a person: the files, then a line about the work."""
        for made in self.made if len(self.made) <= LISTED else []:
            if files := made["variations"]:
                screen.result(_span(files))
            if "input" in made:
                screen.result(str(made["input"]))
        if self.grids:
            screen.result(_span(self.grids))
        for concern in self.concerns[:LISTED]:
            screen.note(f"note: {concern}")
        if len(self.concerns) > LISTED:
            screen.note(f"note: and {len(self.concerns) - LISTED:,} more, see --json")
        parts = [f"{self.pictures:,} variations of {len(self.made):,} {_exemplars(len(self.made))}"]
        parts += [f"{self.skipped:,} skipped"] if self.skipped else []
        parts += [f"{len(self.failed):,} failed"] if self.failed else []
        rate = self.pictures / max(self.seconds, 1e-9)
        memory = peak_memory()
        used = f", peak memory {memory:,} MB" if memory else ""
        screen.note(f"{', '.join(parts)} in {self.seconds:.1f} s ({rate:,.0f} a second{used})")


@dataclass(frozen=True)
class Variations:
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
        screen: Screen,
        model: Oneshot,
        settings: Settings,
        *,
        skip_existing: bool,
        world: World = ALONE,
    ) -> Report:
        """Draw and write everything. A picture that cannot be read is told and passed over.

        The processes of a `world` share the pages, so that every file has one writer and is, bit
        for bit, that of one process; each has the whole report.
        """
        started, done = time.monotonic(), []
        pages = world.share(list(enumerate(self.pages)))
        with screen.progress("drawing", sum(len(page) for _, page in pages)) as advance:
            for number, page in pages:
                done.append(self._make_page(number, page, screen, model, settings, skip_existing))
                advance(len(page))
        report = Report.of(world.gathered(done), time.monotonic() - started)
        if report.failed and not report.made and not report.skipped:
            raise OneshotError("nothing could be drawn")
        return report

    def _make_page(
        self,
        number: int,
        page: Sequence[Job],
        screen: Screen,
        model: Oneshot,
        settings: Settings,
        skip_existing: bool,
    ) -> Report:
        report = Report()
        there = [skip_existing and self._is_there(job) for job in page]
        report.skipped = sum(there)
        todo = [job for job, is_there in zip(page, there, strict=True) if not is_there]
        read = self._read(todo, model, screen, report)
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
        self, jobs: Sequence[Job], model: Oneshot, screen: Screen, report: Report
    ) -> list[tuple[Job, list[Drawing]]]:
        """The drawings of each job; a picture that cannot be read fails its job."""
        read = []
        for job in jobs:
            try:
                read.append((job, [drawing(path, model.size) for path in job.paths]))
            except OneshotError as error:  # noqa: PERF203
                if len(self.jobs) == 1:
                    raise
                screen.error(str(error))
                report.failed.append({"exemplar": job.name, "error": str(error)})
        return read

    def _draw(
        self,
        read: Sequence[tuple[Job, list[Drawing]]],
        model: Oneshot,
        settings: Settings,
        report: Report,
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

    def _lay_out(self, page: int, groups: Sequence[Group], report: Report) -> None:
        for file in self._grid(page) if groups else []:
            picture = paper(groups) if self.layout == "paper" else sheet(groups)
            save_picture(picture, file)
            report.grids.append(file)


def _exemplars(count: int) -> str:
    return "exemplar" if count == 1 else "exemplars"


def _group(job: Job, greys: Iterable[Bytes], exemplar: Mask) -> Group:
    pictures = list(greys)
    numbers = [str(i + 1) for i in range(len(pictures))]
    shown = of_mask(exemplar, pictures[0].shape[-1])
    return Group(job.name, pictures, shown, numbers)


def _span(files: Sequence[Path]) -> str:
    """The first and the last of some files, in one line."""
    return f"{files[0]} ... {files[-1].name}" if len(files) > 1 else str(files[0])
