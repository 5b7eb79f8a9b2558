"""`vary`: variations of each exemplar, written as pictures and grids."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from oneshot_cli.devices import peak_memory
from oneshot_cli.distributed import LONG_TIMEOUT, join_world
from oneshot_cli.drawing.defaults import DEFAULT_SIZE
from oneshot_cli.drawing.oneshot import load
from oneshot_cli.errors import UsageError
from oneshot_cli.imaging.exemplar import Reading
from oneshot_cli.reporting import SILENT, Reporter
from oneshot_cli.workflows.jobs import find, jobs, jobs_per_class, title
from oneshot_cli.workflows.pictures import check_written
from oneshot_cli.workflows.targets import DEFAULT_FOLDER, opened, refuse_conflicts
from oneshot_cli.workflows.variations import Run, Settings, VariationFiles, VaryReport


@dataclass(frozen=True)
class VaryResult:
    """The result of `vary`: the checkpoint, the settings, and a report of what was drawn."""

    checkpoint: Path | None
    settings: Settings
    pen: float
    """Width of the pen as a fraction of the frame; 0 is no pen."""
    report: VaryReport
    format: str
    left_out: list[Path]
    """Files and folders in the given folders that were not read."""
    seconds: float

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "checkpoint": self.checkpoint,
            **asdict(self.settings),
            "pen": self.pen,
            "format": self.format,
            "exemplars": self.report.exemplars,
            "grids": self.report.grids,
            "failed": self.report.failed,
            "skipped": self.report.skipped,
            "left_out": self.left_out,
            "seconds": round(self.seconds, 3),
            "peak_memory_mb": peak_memory(),
        }


def vary(
    exemplars: Sequence[Path],
    output: str | Path | None = None,
    *,
    n: int = 10,
    per_class: int | None = None,
    size: int = DEFAULT_SIZE,
    seed: int = 0,
    spread: float | None = None,
    closeness: float | None = None,
    pen: float | None = None,
    together: bool = False,
    keep_best: int | None = None,
    layout: str = "sheet",
    format: str | None = None,
    frame: int | None = None,
    box: str = "auto",
    each: bool = False,
    show_input: bool = False,
    skip_existing: bool = False,
    checkpoint: str | Path | None = None,
    device: str = "auto",
    force: bool = False,
    reporter: Reporter = SILENT,
) -> VaryResult:
    """Draw n variations of each exemplar and write them with a grid, as `oneshot vary` does.

    `exemplars` are pictures, or folders of them; `-` is standard input. `output` is a folder, the
    file of a grid, which is then all that is written, or `-` for standard output. Without it, a new
    folder is made in `out`. The other arguments are the options of the command, and those of
    `Oneshot.vary`. A picture that cannot be read is reported and skipped. Under torchrun the
    processes share the exemplars. Raises OneshotError.
    """
    check_written(n=n, seed=seed, spread=spread, closeness=closeness, size=size, pen=pen)
    if keep_best is not None and keep_best > n:
        raise UsageError(f"--keep-best is {keep_best}, but only {n} are drawn")
    if per_class is not None and per_class < 1:
        raise UsageError(f"per_class is {per_class}, but at least one picture of a class is drawn")
    if per_class is not None and (together or keep_best is not None):
        raise UsageError("--per-class goes with neither --together nor --keep-best")
    if skip_existing and output is None:
        raise UsageError("--skip-existing needs --output: without it, each run has a new folder")
    written = DEFAULT_FOLDER if output is None else Path(output)
    found = find(exemplars, written, Reading(frame, box), each=each)
    found.report(reporter)
    if per_class is None:
        todo = jobs(found, keep_best or n, exemplars, together=together)
    else:
        todo = jobs_per_class(found, per_class)
    with (
        join_world(device, LONG_TIMEOUT) as world,
        opened(output, format, title(exemplars), world) as opened_target,
    ):
        target = opened_target.of_pictures(sum(job.n for job in todo))
        work = VariationFiles(todo, target, layout, show_input, pen)
        work.check(world)
        overwrite = force or skip_existing
        world.from_main(lambda: refuse_conflicts(work.all(), work.exemplars(), overwrite=overwrite))
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
        report = Run(work, model, settings, reporter, world).make(skip_existing=skip_existing)
        seconds = time.monotonic() - started
    report.failed = [
        *({"exemplar": name, "error": error} for name, error in found.failed),
        *report.failed,
    ]
    return VaryResult(
        checkpoint=model.path,
        settings=settings,
        pen=model.pen(size, pen),
        report=report,
        format=target.format,
        left_out=found.left_out,
        seconds=seconds,
    )
