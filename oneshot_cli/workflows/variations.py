"""The variations of many exemplars: their files, and the run that draws and writes them.

Pictures are written as they are drawn, and only one page of the grid is in memory at a time, so the
number of exemplars is not limited. A PDF or NPZ, which holds everything, is written at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from oneshot_cli.distributed import World
from oneshot_cli.drawing.oneshot import Oneshot
from oneshot_cli.errors import OneshotError, UsageError
from oneshot_cli.imaging.exemplar import Drawing, at_size
from oneshot_cli.imaging.formats import About, npz_of, pdf_of
from oneshot_cli.imaging.grid import Group, Sheet, arranged, arranged_as_paper
from oneshot_cli.imaging.rendering import of_mask, save_picture
from oneshot_cli.imaging.steps import reading_steps, stacked
from oneshot_cli.imaging.svg import paths_in
from oneshot_cli.reporting import Reporter
from oneshot_cli.workflows.jobs import Job
from oneshot_cli.workflows.pictures import (
    AT_ONCE,
    Rendered,
    description,
    rendered,
    sheet_content,
    write_pictures,
)
from oneshot_cli.workflows.targets import Target, write

PAGE = 20
"""Exemplars on a page of the grid."""

MAX_DRAWINGS_PER_PAGE = 320
"""Pages have fewer exemplars if they would have more drawings than this."""

Advance = Callable[[int], None]
"""Adds drawings to those that are done."""

Read = tuple[Job, list[Drawing]]
"""A job and the drawings in its exemplars."""


@dataclass(frozen=True)
class Settings:
    """The arguments of `Oneshot.vary_batch`."""

    n: int
    seed: int
    spread: float
    closeness: float
    size: int
    keep_best: int | None


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
class VariationFiles:
    """The files of all jobs in `target`, with a grid of this `layout`.

    `pen` is the pen's width, see `Oneshot.render`.
    """

    jobs: Sequence[Job]
    target: Target
    layout: str
    show_input: bool
    pen: float | None = None

    @property
    def pages(self) -> list[Sequence[Job]]:
        """The jobs of each page."""
        most = max(job.n for job in self.jobs)
        rows = max(1, min(PAGE, MAX_DRAWINGS_PER_PAGE // most))
        return [self.jobs[i : i + rows] for i in range(0, len(self.jobs), rows)]

    def check(self, world: World) -> None:
        """Raise UsageError if the target cannot take what is written."""
        if self.target.streamed and self.show_input:
            raise UsageError("--show-input writes files: give a folder as --output")
        if self.target.streamed and len(self.pages) > 1 and not self.target.one_file:
            raise UsageError(
                f"{len(self.jobs)} exemplars need several pages, but only one is written to "
                "standard output; give --format pdf or npz, or a folder as --output"
            )
        if self.target.one_file and world.size > 1:
            raise UsageError(f"one process alone writes a {self.target.format.upper()}")

    def all(self) -> Iterator[Path]:
        """Every file that will be written."""
        for job in self.jobs:
            yield from self.of(job)
        for page in range(len(self.pages)):
            yield from self.grid(page)

    def exemplars(self) -> Iterator[Path]:
        """Every file that is read."""
        return (source.path for job in self.jobs for source in job.sources)

    def of(self, job: Job) -> list[Path]:
        """The files of a job."""
        shown = [self.input(job)] if self.show_input else []
        return [*self.variations(job), *shown]

    def variations(self, job: Job) -> list[Path]:
        """The files of the variations of a job."""
        return self.target.numbered(job.name, job.n)

    def input(self, job: Job) -> Path:
        """The file that shows what the model reads."""
        return self.target.folder / f"{job.name}-input.png"

    def grid(self, page: int) -> list[Path]:
        """The grid file of a page, or nothing if no grid is written."""
        if self.layout == "none" and not self.target.file and not self.target.one_file:
            return []
        name = f"{self.jobs[0].name}-grid" if len(self.jobs) == 1 else "grid"
        file = self.target.grid(name, page, len(self.pages))
        return [] if file is None else [file]

    def exist(self, job: Job) -> bool:
        """Whether the files of a job are there. Without one for each variation they never are."""
        return bool(self.variations(job)) and all(path.exists() for path in self.of(job))


@dataclass
class Run:
    """Draws the variations of all jobs and writes their files."""

    files: VariationFiles
    model: Oneshot
    settings: Settings
    reporter: Reporter
    world: World
    done: list[VaryReport] = field(default_factory=list)
    """A report for each page that was begun."""
    kept: list[list[Group]] = field(default_factory=list)
    """All pages, if one file holds them."""

    def make(self, *, skip_existing: bool) -> VaryReport:
        """Draw and write everything. Pictures that cannot be read are reported and skipped.

        The processes of the `world` share the pages. So each file is written by one process and
        does not depend on their number. Every process returns the whole report. What was drawn
        before an interruption is kept, with a grid of it.
        """
        pages = self.world.share(list(enumerate(self.files.pages)))
        total = sum(job.n for _, page in pages for job in page)
        try:
            with self.reporter.progress("drawing", total) as advance:
                for number, page in pages:
                    self._make_page(number, page, advance, skip_existing)
        except KeyboardInterrupt:
            self._write_one_file()
            drawn = sum(report.pictures for report in self.done)
            self.reporter.note(f"{drawn:,} of {total:,} variations are drawn and kept")
            raise
        self._write_one_file()
        report = VaryReport()
        for page_report in self.world.gathered(self.done):
            report.add(page_report)
        if report.failed and not report.exemplars and not report.skipped:
            raise OneshotError("nothing could be drawn")
        return report

    def _make_page(
        self, number: int, page: Sequence[Job], advance: Advance, skip_existing: bool
    ) -> None:
        report = VaryReport()
        self.done.append(report)
        skipped = [job for job in page if skip_existing and self._is_whole(job)]
        names = {job.name for job in skipped}
        report.skipped = len(skipped)
        if skipped:
            advance(sum(job.n for job in skipped))
        groups: dict[str, Group] = {}
        try:
            for chunk in self._chunks([job for job in page if job.name not in names]):
                self._draw(self._read(chunk, report, advance), groups, report, advance)
        except KeyboardInterrupt:
            self._lay_out(number, page, groups, report)
            raise
        if groups or not all(grid.exists() for grid in self.files.grid(number)):
            groups |= {job.name: self._from_disk(job) for job in skipped}
            self._lay_out(number, page, groups, report)

    def _chunks(self, jobs: Sequence[Job]) -> Iterator[list[Job]]:
        """Jobs that are drawn at once: they have equally many variations."""
        by_number: dict[int, list[Job]] = {}
        for job in jobs:
            by_number.setdefault(job.n, []).append(job)
        for n, same in by_number.items():
            rows = max(1, AT_ONCE // (self.settings.n if self.settings.keep_best else n))
            yield from (same[i : i + rows] for i in range(0, len(same), rows))

    def _read(self, jobs: Sequence[Job], report: VaryReport, advance: Advance) -> list[Read]:
        """The drawings of each job. A picture that cannot be read is reported and left out."""
        read = []
        for job in jobs:
            drawings = []
            for source in job.sources:
                try:
                    drawings.append(source.drawing(self.model.size))
                except OneshotError as error:  # noqa: PERF203
                    if len(self.files.jobs) == len(job.sources) == 1:
                        raise
                    self.reporter.error(str(error))
                    name = source.name if len(job.sources) > 1 else job.name
                    report.failed.append({"exemplar": name, "error": str(error)})
            if drawings:
                read.append((job, drawings))
            else:
                advance(job.n)
        return read

    def _draw(
        self,
        read: Sequence[Read],
        groups: dict[str, Group],
        report: VaryReport,
        advance: Advance,
    ) -> None:
        """Draw and write the variations of some jobs, and add their groups."""
        if not read:
            return
        inks = [
            torch.stack([at_size(each.mask, self.model.size)[None] for each in drawings])
            for _, drawings in read
        ]
        concerns = self.model.concerns_batch([drawings for _, drawings in read])
        for (job, drawings), found in zip(read, concerns, strict=True):
            made: dict[str, Any] = {"exemplar": [str(source) for source in job.sources]}
            made["variations"] = self.files.variations(job)
            made["concerns"] = [asdict(concern) for concern in found]
            report.concerns += [f"{job.name} {concern.text}" for concern in found[:1]]
            if self.files.show_input:
                made["input"] = self._write_input(job, drawings)
            report.exemplars.append(made)
            exemplar = of_mask(drawings[0].mask, self.settings.size)
            groups[job.name] = Group(job.name, [], exemplar, labels=[], paths=[])
        n = read[0][0].n
        options = asdict(self.settings)
        at_once = n if self.settings.keep_best else AT_ONCE
        for first in range(0, n, at_once):
            count = min(at_once, n - first)
            if not self.settings.keep_best:
                options |= {"n": count, "first": first}
            drawn = self.model.vary_batch(inks, **options)
            for (job, _), ink, pictures in zip(read, inks, drawn, strict=True):
                form = self.files.target.format
                shown = rendered(self.model, pictures, self.files.pen, form, ink)
                files = self.files.variations(job)[first : first + count]
                write_pictures(self.files.target, files, shown, self._about(job), first)
                _add(groups[job.name], shown)
                report.pictures += len(shown)
                advance(len(shown))

    def _about(self, job: Job | None) -> About:
        """What the variations of a job say about themselves, or those of several jobs."""
        pen = self.model.pen(self.settings.size, self.files.pen)
        settings = asdict(self.settings) | {"pen": pen}
        if job is not None:
            names = [source.label for source in job.sources]
            settings["exemplar"] = names[0] if len(names) == 1 else names
        about = description(self.model, "vary", **settings)
        return about

    def _write_input(self, job: Job, drawings: Sequence[Drawing]) -> Path:
        """Write what was made of each exemplar of a job, a row for each."""
        rows = [
            reading_steps(source.picture, read, self.model.size, source.reading)
            for source, read in zip(job.sources, drawings, strict=True)
        ]
        file = self.files.input(job)
        save_picture(stacked(rows), file)
        return file

    def _is_whole(self, job: Job) -> bool:
        """Whether the files of a job are there, can be read, and are of the size of this run."""
        if not self.files.exist(job):
            return False
        try:
            pictures = self._from_disk(job).pictures
        except (OSError, ValueError, SyntaxError, OneshotError):  # SyntaxError: a damaged SVG
            return False
        side = self.settings.size
        return all(picture.shape[-2:] == (side, side) for picture in pictures)

    def _from_disk(self, job: Job) -> Group:
        """The group of a skipped job, from its existing files."""
        exemplar = of_mask(job.sources[0].drawing(self.model.size).mask, self.settings.size)
        group = Group(job.name, [], exemplar, labels=[], paths=[])
        for file in self.files.variations(job):
            if file.suffix == ".svg":
                side, paths = paths_in(file.read_text(encoding="utf-8"))
                _add(group, Rendered(np.full((1, side, side), 255, np.uint8), [paths]))
            else:
                with Image.open(file) as picture:
                    _add(group, Rendered(np.asarray(picture.convert("L"))[None]))
        return group

    def _lay_out(
        self, number: int, page: Sequence[Job], groups: dict[str, Group], report: VaryReport
    ) -> None:
        """Write the grid of a page, or keep the page for the file that holds all."""
        ordered = [groups[job.name] for job in page if job.name in groups]
        ordered = [group for group in ordered if group.pictures]
        if self.files.target.one_file:
            self.kept.append(ordered)
            return
        for file in self.files.grid(number) if ordered else []:
            about = self._about(page[0] if len(page) == 1 else None)
            made = sheet_content(self.files.target.format, self._sheet(ordered), about)
            write(file, made)
            if not self.files.target.streamed:
                report.grids.append(file)

    def _sheet(self, groups: Sequence[Group]) -> Sheet:
        return arranged_as_paper(groups) if self.files.layout == "paper" else arranged(groups)

    def _write_one_file(self) -> None:
        """Write the PDF or NPZ of all pages, if the target is one."""
        pages = [page for page in self.kept if page]
        if not pages:
            return
        about = self._about(self.files.jobs[0] if len(self.files.jobs) == 1 else None)
        if self.files.target.format == "pdf":
            made = pdf_of((self._sheet(page).picture() for page in pages), about)
        else:
            made = npz_of(_arrays([group for page in pages for group in page]), about)
        (file,) = self.files.grid(0)
        write(file, made)
        if not self.files.target.streamed:
            self.done[-1].grids.append(file)


def _add(group: Group, drawn: Rendered) -> None:
    """Add pictures to the lists of a group."""
    before = len(group.pictures)
    numbers = range(before + 1, before + len(drawn) + 1)
    for there, more in (
        (group.pictures, drawn.levels),
        (group.labels, map(str, numbers)),
        (group.paths, drawn.paths),
    ):
        assert isinstance(there, list)
        there.extend(more)


def _arrays(groups: Sequence[Group]) -> dict[str, np.ndarray[Any, Any]]:
    """Variations (N, H, W) of E exemplars (E, H, W) in grey levels, and which is of which.

    `exemplar` (N,) is the row of each variation's exemplar, `names` (E,) are their names.
    """
    sizes = [len(group.pictures) for group in groups]
    return {
        "pictures": np.stack([picture for group in groups for picture in group.pictures]),
        "exemplar": np.repeat(np.arange(len(groups)), sizes),
        "number": np.concatenate([np.arange(1, size + 1) for size in sizes]),
        "exemplars": np.stack([group.exemplar for group in groups if group.exemplar is not None]),
        "names": np.array([group.label for group in groups]),
    }
