"""`train` and `resume`: a training run in a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
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
from oneshot_cli.model.warm_start import differences, warm_start
from oneshot_cli.precision import MIN_SPEEDUP, bf16_is_faster, bf16_speedup
from oneshot_cli.reporting import SILENT, Reporter
from oneshot_cli.training.evaluations import evaluated
from oneshot_cli.training.folder import RunFolder
from oneshot_cli.training.learning_curves import tensorboard_writer, write_curves
from oneshot_cli.training.loop import Hooks, Intervals, Trainer
from oneshot_cli.training.progress_sheet import progress_sheet
from oneshot_cli.training.training_data import TrainingData, load_training_data
from oneshot_cli.workflows.prepare import with_length

Row: TypeAlias = dict[str, Any]
MetricsDisplay: TypeAlias = Callable[[int, int], AbstractContextManager[Callable[[Row], None]]]
"""A context manager that yields a function to which each row of metrics.jsonl is passed.

Its arguments are the run's length and the iterations done so far.
"""


def no_display(iterations: int, done: int) -> AbstractContextManager[Callable[[Row], None]]:
    """A `MetricsDisplay` that shows nothing."""
    return nullcontext(lambda row: None)


@dataclass(frozen=True)
class RunOptions:
    """Options of a run that change its results at most by rounding.

    `max_seconds` is the longest time that it may take. `device` is as for `resolve_device`. With
    `compiled` the model is compiled by torch.compile; on CUDA, iterations are then not recorded as
    graphs. `tensorboard` also writes TensorBoard events, which need an optional extra.
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
    """The result of a run: how it ended ("done", "time" or "signal"), its counters and files.

    `figures` are those of the last evaluation, on the drawings that `evaluated_on` names. They are
    empty if there was none.
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
    """Run an experiment in the new folder `output`, as `oneshot train` does.

    `start` is a checkpoint from whose weights the run starts. `loaded` are the data of the
    experiment, if they are loaded already. Under torchrun the processes share each batch. Raises
    OneshotError, also if the folder already has a run; `resume` continues it.
    """
    folder = RunFolder(Path(output))
    with join_world(options.device) as world:
        world.from_main(lambda: refuse_existing_run(folder))
        weights = None
        if start is None:
            experiment = experiment.from_scratch()
        else:
            weights, header = checkpoint.load(start)
            try:
                experiment = experiment.after(header)
            except OneshotError as error:
                raise OneshotError(f"{start}: {error}") from error
        if loaded is None:
            loaded = _load(experiment, options, world)
        experiment = _with_precision(experiment, world, options.reporter)
        run = trainer(folder, experiment, loaded, options, world)
        if options.compiled:
            _compile(run)
        if weights is not None:
            initialize_from(run, weights)
        with _locked(folder, world):
            world.from_main(lambda: refuse_existing_run(folder))
            return _fit(run, options)


def resume(
    output: str | Path,
    *,
    iterations: int | None = None,
    epochs: float | None = None,
    evaluation_drawings: int | None = None,
    options: RunOptions = RunOptions(),
) -> TrainResult:
    """Continue the run in the folder `output`, as `oneshot train --resume` does.

    On the CPU the last weights are bit for bit those of an uninterrupted run. `iterations` or
    `epochs` changes its length, `evaluation_drawings` the size of the evaluations to come. Raises
    OneshotError.
    """
    folder = RunFolder(Path(output))
    with join_world(options.device) as world:
        experiment = world.from_main(folder.experiment)
        if evaluation_drawings is not None:
            training = replace(experiment.training, evaluation_drawings=evaluation_drawings)
            experiment = replace(experiment, training=training)
        with _locked(folder, world):
            return _resume(folder, experiment, iterations, epochs, options, world)


def _resume(
    folder: RunFolder,
    experiment: Experiment,
    iterations: int | None,
    epochs: float | None,
    options: RunOptions,
    world: World,
) -> TrainResult:
    """`resume`, in a folder that is locked."""
    if experiment.training.bf16:
        advice = "this run has to keep it, but a new run can start from its weights (--from)"
        _warn_if_slow(world.device, options.reporter, advice)
    loaded = _load(experiment, options, world)
    length = with_length(experiment.training, iterations, epochs, len(loaded.drawings))
    experiment = replace(experiment, training=length)
    run = trainer(folder, experiment, loaded, options, world)
    if options.compiled:
        _compile(run)
    run.resume()
    return _fit(run, options)


def _compile(run: Trainer) -> None:
    """Compile the model. Raises OneshotError if that is impossible, also for its engine."""
    compile_model(run.model, run.device)
    run.model.use_engine(run.config.engine)


def refuse_existing_run(folder: RunFolder) -> None:
    """Raise OneshotError if a new run would overwrite an old one."""
    if folder.path.exists() and not folder.path.is_dir():
        raise OneshotError(f"{folder.path} is a file, but a run needs a folder")
    if (folder.config.exists() and folder.state.exists()) or folder.last.exists():
        raise OneshotError(
            f"{folder.path} already has a run\ngive --resume to continue it, or another --output"
        )


def trainer(
    folder: RunFolder,
    experiment: Experiment,
    loaded: TrainingData,
    options: RunOptions = RunOptions(),
    world: World = ALONE,
) -> Trainer:
    """A new run that has not started."""
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
        intervals=options.intervals,
        compiled=options.compiled,
    )


def initialize_from(run: Trainer, weights: GenerativeModel) -> None:
    """Set the weights of a new run. Raises OneshotError if they do not fit its model."""
    try:
        warm_start(run.model, weights.state_dict())
    except RuntimeError as error:
        found = differences(weights.config, run.model.config)
        reason = f"theirs has {'; '.join(found)}" if found else str(error).splitlines()[-1].strip()
        raise OneshotError(f"--from: the weights do not fit this model\n{reason}") from error
    run.average.model.load_state_dict(run.model.state_dict())


@contextmanager
def _locked(folder: RunFolder, world: World) -> Iterator[None]:
    """Keep other runs out of the folder while the block runs. Raises OneshotError."""
    lock = folder.lock()
    world.from_main(lambda: folder.acquire(lock))
    try:
        yield
    finally:
        lock.release()


def _load(experiment: Experiment, options: RunOptions, world: World) -> TrainingData:
    with world.local_main_first():
        return load_training_data(
            experiment.data,
            augmented=experiment.training.augmentation.any,
            data_dir=options.data_dir,
            reporter=options.reporter,
        )


def _with_precision(experiment: Experiment, world: World, reporter: Reporter) -> Experiment:
    """The experiment with `bf16` set: as given, else by the speed of the machine."""
    training = experiment.training
    if training.bf16 is None:
        faster = world.from_main(lambda: _bf16_by_default(world.device, reporter))
        return replace(experiment, training=replace(training, bf16=faster))
    if training.bf16:
        _warn_if_slow(world.device, reporter, "leave --bf16 out")
    return experiment


def _bf16_by_default(device: torch.device, reporter: Reporter) -> bool:
    """Whether a run is in bfloat16 by default: if the hardware has instructions for it."""
    faster = bf16_is_faster(device)
    if faster:
        reporter.note("training in bfloat16, which this hardware supports (--fp32 turns it off)")
    else:
        reporter.detail("training in float32: this hardware has no bfloat16")
    return faster


def _warn_if_slow(device: torch.device, reporter: Reporter, advice: str) -> None:
    """Warn before a run in bfloat16 if the processor is slower in it. `advice` says what to do."""
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
    """Train. Samples and learning curves are written to the folder, too, and samples at the end.

    The state comes before config.json: a folder with a configuration can be resumed, and one
    without has not started.
    """
    folder, world = run.folder, run.world
    drawings = run.validation if len(run.validation) else run.episodes.drawings
    shown = drawings.pictures(torch.linspace(0, len(drawings) - 1, 11).long())

    def sample_file(step: int) -> Path:
        return folder.samples / f"{step:07d}.png"

    def draw(model: Any, step: int) -> None:
        save_picture(progress_sheet(model, shown.to(run.device)), sample_file(step))

    displays: list[Callable[[Row], None]] = []
    if options.tensorboard and world.is_main:
        displays.append(tensorboard_writer(folder.tensorboard))

    if run.counters.step == 0:
        run.begin()
    world.from_main(lambda: run.experiment.write(folder.config))

    def report(row: Row) -> None:
        for show in displays:
            show(row)
        if evaluated(row):
            write_curves(folder)

    with options.display(run.config.iterations, run.counters.step) as show_row:
        displays.append(show_row)
        run.hooks = Hooks(metrics=report, samples=draw)
        ended = run.fit(options.max_seconds)
        if world.is_main and not sample_file(run.counters.step).exists():
            draw(run.average.model, run.counters.step)
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
