"""The work of `oneshot train`: what a run is to be, its data, its folder, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
import typer

from oneshot_cli.cli.options import Screen
from oneshot_cli.data.augmentation import Augmentation
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.episodes import Episodes, TaskMix
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.distributed import ALONE, World
from oneshot_cli.errors import OneshotError
from oneshot_cli.model import Config, GenerativeModel, config_from
from oneshot_cli.model.registry import config_type
from oneshot_cli.model.warm_start import ADDED_FIELDS, warm_start
from oneshot_cli.presets import PRESETS, Preset
from oneshot_cli.training.config import TrainConfig
from oneshot_cli.training.evaluations import evaluated, in_words
from oneshot_cli.training.folder import RunFolder
from oneshot_cli.training.loop import Rhythm, Trainer
from oneshot_cli.workflows.material import Material

OF_THE_DATA = ("size", "channels")
"""Fields of a model that its data decide."""


@dataclass(frozen=True)
class Plan:
    """What a run computes: all that config.json keeps, and no more."""

    model: Config
    training: TrainConfig
    data: DataSpec

    def to_dict(self) -> dict[str, Any]:
        """For config.json."""
        model = {"kind": self.model.kind, **self.model.to_dict()}
        return {"model": model, "training": self.training.to_dict(), "data": self.data.to_dict()}

    @classmethod
    def of_folder(cls, folder: RunFolder) -> Plan:
        """What config.json says of a run to be resumed. Raises OneshotError."""
        saved = folder.read_config()
        try:
            model = dict(saved["model"])
            kind = model.pop("kind", "sequential")
            return cls(
                config_from(kind, model),
                TrainConfig.from_dict(saved["training"]),
                DataSpec.from_dict(saved["data"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise OneshotError(f"{folder.config}: does not describe a run ({error})") from error


def named_preset(name: str) -> Preset:
    """The preset of that name. Raises BadParameter."""
    if name not in PRESETS:
        raise typer.BadParameter(f"there is no model {name!r}: {', '.join(PRESETS)}")
    return PRESETS[name]


def models(
    preset_name: str, overrides: Mapping[str, str], task: int | None, **training: Any
) -> tuple[Config, TrainConfig]:
    """A preset's configurations, before the data are known.

    `training` are fields to change, None where they were not given; `overrides` are fields as they
    were typed, which come last. Raises BadParameter.
    """
    preset = named_preset(preset_name)
    kind = config_type(preset.kind)
    model, trained = dict(preset.model), dict(preset.training)
    trained |= {name: value for name, value in training.items() if value is not None}
    for name, text in overrides.items():
        if name in OF_THE_DATA:
            raise typer.BadParameter(f"the data decide {name}; --size says how many pixels")
        into, owner = (model, kind) if name in _settable(kind) else (trained, TrainConfig)
        if name not in _settable(owner):
            raise typer.BadParameter(f"{preset_name} has no field {name!r}")
        into[name] = _parsed(name, text, _settable(owner)[name])
    task = preset.task if task is None else task
    tasks = TaskMix() if task is None else TaskMix.of_task(task)
    if "conditional" in _settable(kind):
        model.setdefault("conditional", tasks.empty < 1)
    try:
        config = kind(**model)
        if not config.conditional and tasks.empty < 1:
            raise ValueError(f"{preset_name} draws without a context: train it with --task 1")
        return config, TrainConfig(**trained, tasks=tasks)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def fitted(config: Config, loaded: Material, given: Container[str]) -> Config:
    """`config` for images like the loaded; their mean and observation unless those were `given`.

    Of several sizes images are read at the smallest and drawn at the largest.
    """
    drawings, sizes = loaded.drawings, loaded.sizes
    binary = drawings.levels == 2 or drawings.dynamic
    if "observation" in given and (config.observation == "bernoulli") != binary:
        kind = "binary" if binary else "of 256 levels"
        raise typer.BadParameter(f"observation={config.observation}, but the images are {kind}")
    found = {
        "ink": round(_mean(drawings), 3),
        "observation": "bernoulli" if binary else "logistic",
    }
    changes: dict[str, Any] = {name: found[name] for name in found if name not in given}
    if len(sizes) > 1:
        if "read_size" not in _settable(type(config)):
            raise typer.BadParameter(f"a {config.kind} model has one --size, not {len(sizes)}")
        changes["read_size"] = sizes[0]
    try:
        return replace(config, size=sizes[-1], channels=drawings.channels, **changes)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _mean(drawings: Drawings) -> float:
    """Mean of the data in [0, 1], kept away from its ends."""
    some = drawings.images[:: max(1, len(drawings) // 5000)]
    return min(max(some.float().mean().item() / (drawings.levels - 1), 0.01), 0.99)


def _settable(kind: type[Any]) -> dict[str, Any]:
    """The fields that have a plain default, and that."""
    plain = (bool, int, float, str, tuple)
    return {f.name: f.default for f in fields(kind) if isinstance(f.default, plain)}


def _parsed(name: str, text: str, default: Any) -> Any:
    """`text` as a value like `default`: a number, a word, or several with commas between."""
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(default, tuple):
            return tuple(type(default[0])(part) for part in text.split(","))
        return type(default)(text)
    except (ValueError, KeyError):
        raise typer.BadParameter(f"{name} cannot be {text!r}; it is like {default!r}") from None


def trainer(
    folder: RunFolder, plan: Plan, loaded: Material, rhythm: Rhythm, world: World = ALONE
) -> Trainer:
    """A run that has not begun."""
    config = plan.training
    episodes = Episodes(
        loaded.drawings,
        config.tasks,
        seed=config.seed,
        originals=loaded.originals,
        resample=plan.data.how,
        others=loaded.others,
        device=world.device,
    )
    return Trainer(
        folder,
        plan.model,
        config,
        episodes,
        loaded.validation,
        plan.data.to_dict(),
        evaluated_on=loaded.evaluated_on,
        world=world,
        rhythm=rhythm,
    )


def lasting(
    training: TrainConfig, iterations: int | None, epochs: float | None, drawings: int
) -> TrainConfig:
    """The same for another length of run, if one is given."""
    if iterations is None and epochs is not None:
        iterations = max(1, round(epochs * drawings / training.batch))
    if iterations is None:
        return training
    try:
        return replace(training, iterations=iterations)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def augmentation(strength: float, turned: float) -> Augmentation:
    """The maps of `--augment` and `--turn`. With `--augment` a tenth is left as it is."""
    plain = 0.1 if strength > 0 else 0.0
    return Augmentation(0.1 * strength, 0.03 * strength, turned, plain)


def refuse_to_lose(folder: RunFolder) -> None:
    """A new run does not overwrite an old one. Raises OneshotError."""
    if folder.path.exists() and not folder.path.is_dir():
        raise OneshotError(f"{folder.path} is a file, but the run needs a folder there")
    if folder.state.exists() or folder.config.exists():
        raise OneshotError(
            f"{folder.path} already holds a run\n"
            "give --resume to go on with it, or another --output"
        )


def tell_what_was_seen(before: Mapping[str, Any], data: DataSpec, screen: Screen) -> None:
    """A note where the weights of `--from` were trained on what is for validation now."""
    same = (before.get("dataset"), before.get("split")) == (data.dataset, data.split)
    if same and (data.validation or 0.0) > before.get("validation", 0.0):
        screen.note(
            "warning: the weights of --from were trained on these validation drawings, which will "
            "look too good\n--validation 0 trains on all and keeps the last weights"
        )


def as_it_is(config: Config, overrides: Mapping[str, str]) -> Config:
    """The model of `--from`, with what is added to it (see `model.warm_start`).

    Raises BadParameter for options that would change what it has.
    """
    known = _settable(type(config))
    added = {}
    for name, text in overrides.items():
        if name in known and name not in ADDED_FIELDS:
            raise typer.BadParameter(f"--from keeps the checkpoint's model: no {name} beside it")
        if name in known:
            added[name] = _parsed(name, text, known[name])
    try:
        return replace(config, **added)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def begin_from(run: Trainer, weights: GenerativeModel) -> None:
    """Set the weights of a run that has not begun. Raises OneshotError where they do not fit."""
    try:
        warm_start(run.model, weights.state_dict())
    except RuntimeError as error:
        raise OneshotError(
            f"--from: its weights do not fit this model\n{str(error).splitlines()[-1].strip()}"
        ) from error
    run.average.model.load_state_dict(run.model.state_dict())


def fit(run: Trainer, limit: float | None, screen: Screen, tensorboard: bool) -> None:
    """Train with a display, pictures and learning curves, and say how it ended."""
    from oneshot_cli.cli.training_display import display
    from oneshot_cli.imaging.progress import progress_sheet
    from oneshot_cli.imaging.rendering import save_picture
    from oneshot_cli.training.curves import board, write_curves
    from oneshot_cli.training.loop import Hooks

    folder = run.folder
    some = run.validation if len(run.validation) else run.episodes.drawings
    shown = some.pictures(torch.linspace(0, len(some) - 1, 11).long())

    def draw(model: Any, step: int) -> None:
        sheet = progress_sheet(model, shown.to(run.device))
        save_picture(sheet, folder.samples / f"{step:07d}.png")

    watchers: list[Callable[[dict[str, Any]], None]] = []
    if tensorboard and run.world.is_main:
        watchers.append(board(folder.board))

    def tell(row: dict[str, Any]) -> None:
        for watcher in watchers:
            watcher(row)
        if evaluated(row):
            write_curves(folder)

    with display(run.config.iterations, run.counters.step, quiet=screen.quiet) as view:
        watchers.append(view)
        run.hooks = Hooks(metrics=tell, samples=draw)
        reason = run.fit(limit)
    if not run.world.is_main:
        return
    counters, figures = run.counters, run.figures
    ending = {"done": "finished", "time": "out of time", "signal": "stopped"}[reason]
    told, name = (
        f"{ending} after {counters.step} iterations, {counters.seconds:.0f} s",
        run.evaluated_on,
    )
    if figures:
        told += (
            f": {-figures[f'{name}_bound']:.2f} +- {figures[f'{name}_error']:.2f} nats on "
            f"{figures['drawings']} {in_words(name)} drawings"
        )
    screen.result(told)
    screen.result(f"checkpoint: {folder.last}")
    if reason != "done":
        screen.note(f"go on with: oneshot train --resume -o {folder.path}")
    screen.document(
        {
            "ended": reason,
            "iterations": counters.step,
            "seconds": counters.seconds,
            "skipped": counters.skipped,
            name: figures,
            "checkpoint": folder.last,
            "best": folder.best,
        }
    )
