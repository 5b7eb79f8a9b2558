"""`train`: a run in a folder, from nothing, from the weights of a checkpoint, or resumed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import torch

from oneshot_cli import checkpoint
from oneshot_cli.compiling import compile_model
from oneshot_cli.data.episodes import Episodes
from oneshot_cli.distributed import ALONE, World, join_world
from oneshot_cli.errors import OneshotError
from oneshot_cli.experiment import Experiment
from oneshot_cli.imaging.rendering import save_picture
from oneshot_cli.model import GenerativeModel
from oneshot_cli.model.warm_start import warm_start
from oneshot_cli.precision import MIN_SPEEDUP, bf16_is_faster, bf16_speedup
from oneshot_cli.reporting import SILENT, Reporter
from oneshot_cli.training.evaluations import evaluated
from oneshot_cli.training.folder import RunFolder
from oneshot_cli.training.learning_curves import tensorboard_writer, write_curves
from oneshot_cli.training.loop import Hooks, Intervals, Trainer
from oneshot_cli.training.progress_sheet import progress_sheet
from oneshot_cli.training.training_data import TrainingData, load_training_data
from oneshot_cli.workflows.prepare import lasting

Row: TypeAlias = dict[str, Any]
MetricsDisplay: TypeAlias = Callable[[int, int], AbstractContextManager[Callable[[Row], None]]]
"""Makes what receives each row of metrics.jsonl, given the run's length and iterations so far."""


def no_display(iterations: int, done: int) -> AbstractContextManager[Callable[[Row], None]]:
    """A `MetricsDisplay` that ignores the rows."""
    return nullcontext(lambda row: None)


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out: none of it changes what is computed, up to rounding.

    `max_seconds` stops it after so long. `device` is as for `resolve_device`. With `compiled` the
    model is compiled first (torch.compile), for GPUs. `tensorboard` also writes events for
    TensorBoard, an optional extra.
    """

    max_seconds: float | None = None
    data_dir: Path | None = None
    device: str = "auto"
    intervals: Intervals = field(default_factory=Intervals)
    compiled: bool = False
    tensorboard: bool = False
    display: MetricsDisplay = no_display
    reporter: Reporter = SILENT


@dataclass(frozen=True)
class TrainResult:
    """How a run ended: "done", "time" or "signal"; its counters, figures and files.

    `figures` are of the last evaluation, of what `evaluated_on` names; empty if there was none.
    """

    folder: RunFolder
    ended: str
    iterations: int
    seconds: float
    skipped: int
    evaluated_on: str
    figures: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "ended": self.ended,
            "iterations": self.iterations,
            "seconds": self.seconds,
            "skipped": self.skipped,
            self.evaluated_on: self.figures,
            "checkpoint": self.folder.last,
            "best": self.folder.best,
        }


def train(
    experiment: Experiment,
    output: str | Path,
    *,
    start: str | Path | None = None,
    loaded: TrainingData | None = None,
    options: RunOptions = RunOptions(),
) -> TrainResult:
    """Run an experiment in the new folder `output`: what `oneshot train` does.

    `start` is a checkpoint whose weights the run begins with. `loaded` are the data of the
    experiment, if they have been loaded already. Under torchrun the processes share each batch.
    Raises OneshotError, also where the folder holds a run already: `resume` goes on with it.
    """
    folder = RunFolder(Path(output))
    with join_world(options.device) as world:
        world.from_main(lambda: refuse_existing_run(folder))
        weights = None
        if start is not None:
            weights, header = checkpoint.load(start)
            training = experiment.training.after(header.training)
            experiment = replace(experiment, training=training)
        if loaded is None:
            loaded = _load(experiment, options, world)
        experiment = _with_precision(experiment, world, options.reporter)
        run = trainer(folder, experiment, loaded, options.intervals, world)
        if options.compiled:
            compile_model(run.model, world.device)
        if weights is not None:
            initialize_from(run, weights)
        return _fit(run, options)


def resume(
    output: str | Path,
    *,
    iterations: int | None = None,
    epochs: float | None = None,
    options: RunOptions = RunOptions(),
) -> TrainResult:
    """Go on with the run in the folder `output`: what `oneshot train --resume` does.

    On the CPU the end is bit for bit that of a run that was never stopped. `iterations` or `epochs`
    change its length. Raises OneshotError.
    """
    folder = RunFolder(Path(output))
    with join_world(options.device) as world:
        experiment = world.from_main(folder.experiment)
        if experiment.training.bf16:
            advice = "this run began with it, a new one can begin with its weights (--from)"
            _warn_if_slow(world.device, options.reporter, advice)
        loaded = _load(experiment, options, world)
        length = lasting(experiment.training, iterations, epochs, len(loaded.drawings))
        experiment = replace(experiment, training=length)
        run = trainer(folder, experiment, loaded, options.intervals, world)
        if options.compiled:
            compile_model(run.model, world.device)
        run.resume()
        return _fit(run, options)


def refuse_existing_run(folder: RunFolder) -> None:
    """Raise OneshotError where a new run would overwrite an old one."""
    if folder.path.exists() and not folder.path.is_dir():
        raise OneshotError(f"{folder.path} is a file, but the run needs a folder there")
    if folder.state.exists() or folder.config.exists():
        raise OneshotError(
            f"{folder.path} already holds a run\n"
            "give --resume to go on with it, or another --output"
        )


def trainer(
    folder: RunFolder,
    experiment: Experiment,
    loaded: TrainingData,
    intervals: Intervals | None = None,
    world: World = ALONE,
) -> Trainer:
    """A run that has not begun."""
    episodes = Episodes(
        loaded.drawings,
        experiment.training.tasks,
        seed=experiment.training.seed,
        originals=loaded.originals,
        resample=experiment.data.resampling,
        others=loaded.others,
        device=world.device,
    )
    return Trainer(
        folder,
        experiment,
        episodes,
        loaded.validation,
        evaluated_on=loaded.evaluated_on,
        world=world,
        intervals=intervals or Intervals(),
    )


def initialize_from(run: Trainer, weights: GenerativeModel) -> None:
    """Set the weights of a run that has not begun. Raises OneshotError where they do not fit."""
    try:
        warm_start(run.model, weights.state_dict())
    except RuntimeError as error:
        raise OneshotError(
            f"--from: its weights do not fit this model\n{str(error).splitlines()[-1].strip()}"
        ) from error
    run.average.model.load_state_dict(run.model.state_dict())


def _load(experiment: Experiment, options: RunOptions, world: World) -> TrainingData:
    with world.local_main_first():
        return load_training_data(
            experiment.data,
            augmented=experiment.training.augmentation.any,
            data_dir=options.data_dir,
            reporter=options.reporter,
        )


def _with_precision(experiment: Experiment, world: World, reporter: Reporter) -> Experiment:
    """The experiment with bfloat16 or float32 settled, by the machine if nobody said."""
    training = experiment.training
    if training.bf16 is None:
        faster = world.from_main(lambda: _bf16_by_default(world.device, reporter))
        return replace(experiment, training=replace(training, bf16=faster))
    if training.bf16:
        _warn_if_slow(world.device, reporter, "leave --bf16 out")
    return experiment


def _bf16_by_default(device: torch.device, reporter: Reporter) -> bool:
    """Whether a run is in bfloat16 if nothing is said: where that is faster on `device`."""
    pays = bf16_is_faster(device)
    if pays:
        reporter.note("training in bfloat16, which is faster here (--fp32 does without)")
    else:
        reporter.detail("training in float32: bfloat16 is not faster here")
    return pays


def _warn_if_slow(device: torch.device, reporter: Reporter, advice: str) -> None:
    """Before a run in bfloat16 that was asked for: say if the processor is slower in it."""
    if reporter.quiet or device.type != "cpu":
        return
    times_slower = 1 / bf16_speedup()
    if times_slower > MIN_SPEEDUP:
        number = f"{times_slower:.0f}" if times_slower >= 10 else f"{times_slower:.1f}"
        reporter.note(
            f"warning: matrix products in bfloat16 are {number} times slower than in float32 on "
            f"this processor; {advice}"
        )


def _fit(run: Trainer, options: RunOptions) -> TrainResult:
    """Write config.json, then train, with pictures and learning curves in the folder."""
    folder, world = run.folder, run.world
    world.from_main(lambda: run.experiment.write(folder.config))
    some = run.validation if len(run.validation) else run.episodes.drawings
    shown = some.pictures(torch.linspace(0, len(some) - 1, 11).long())

    def draw(model: Any, step: int) -> None:
        sheet = progress_sheet(model, shown.to(run.device))
        save_picture(sheet, folder.samples / f"{step:07d}.png")

    watchers: list[Callable[[Row], None]] = []
    if options.tensorboard and world.is_main:
        watchers.append(tensorboard_writer(folder.tensorboard))

    def tell(row: Row) -> None:
        for watcher in watchers:
            watcher(row)
        if evaluated(row):
            write_curves(folder)

    with options.display(run.config.iterations, run.counters.step) as view:
        watchers.append(view)
        run.hooks = Hooks(metrics=tell, samples=draw)
        ended = run.fit(options.max_seconds)
    counters = run.counters
    return TrainResult(
        folder=folder,
        ended=ended,
        iterations=counters.step,
        seconds=counters.seconds,
        skipped=counters.skipped,
        evaluated_on=run.evaluated_on,
        figures=run.figures,
    )
