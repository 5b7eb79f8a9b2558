"""Experiments: from a preset, another experiment or a checkpoint, and adapted to their data."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from oneshot_cli import checkpoint
from oneshot_cli import data as data_sets
from oneshot_cli.checkpoint import Header
from oneshot_cli.data import omniglot
from oneshot_cli.data.augmentation import NO_AUGMENTATION, Augmentation
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.episodes import TaskMix
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.data.splits import DEFAULT_VALIDATION_SHARE
from oneshot_cli.distributed import join_world
from oneshot_cli.errors import OneshotError, UsageError
from oneshot_cli.experiment import Experiment
from oneshot_cli.imaging.resampling import RESAMPLINGS
from oneshot_cli.model import Config
from oneshot_cli.model.legacy import current_fields
from oneshot_cli.model.registry import config_type
from oneshot_cli.model.warm_start import ADDED_FIELDS, OPTIONAL_FIELDS, REPEATED_FIELDS
from oneshot_cli.presets import PRESETS, Preset
from oneshot_cli.reporting import SILENT, Reporter
from oneshot_cli.training.config import EARLIER_TRAINING, TrainConfig
from oneshot_cli.training.training_data import TrainingData, load_training_data
from oneshot_cli.workflows.training_warnings import warn_of_seen_drawings, warn_of_single_drawings

DEFAULT_PRESET = "flagship"
DATA_FIELDS = ("size", "channels")
"""Fields of a model that are determined by its data."""

SMALLEST, LARGEST = 8, 105
"""The range of the size of training pictures in pixels."""


@dataclass(frozen=True)
class DataChoice:
    """The choice of the data. None means the default of the data set or of the base experiment.

    `size` is a number of pixels, or several, as in "28,52". `validation` is the share of the
    training part that is kept for validation, `symbols` a number of generated symbols to add.
    """

    dataset: str | None = None
    split: str | None = None
    size: str | int | Sequence[int] | None = None
    binarization: str | None = None
    resample: str | None = None
    validation: float | None = None
    symbols: int | None = None


def new_experiment(
    preset: str = "flagship",
    *,
    base: Experiment | None = None,
    start: str | Path | None = None,
    data: DataChoice = DataChoice(),
    fields: Mapping[str, Any] | None = None,
    task: int | None = None,
    data_dir: str | Path | None = None,
) -> Experiment:
    """The experiment that `oneshot train` would run with these choices.

    It is a `preset`, the experiment `base`, or one that starts from the weights of the checkpoint
    `start`, at its sizes and without a warm-up of the KL. `fields` sets fields of the model and the
    training by name. `task` (1, 2 or 3) trains for one task alone. The data are loaded, because the
    model is initialized with their mean.
    Raises OneshotError.
    """
    folder = None if data_dir is None else Path(data_dir)
    return prepare(
        preset, base=base, start=start, data=data, fields=fields, task=task, data_dir=folder
    )[0]


def prepare(
    preset: str = "flagship",
    *,
    base: Experiment | None = None,
    start: str | Path | None = None,
    data: DataChoice = DataChoice(),
    fields: Mapping[str, Any] | None = None,
    task: int | None = None,
    augment: float | None = None,
    turn: float | None = None,
    iterations: int | None = None,
    epochs: float | None = None,
    data_dir: Path | None = None,
    device: str = "auto",
    reporter: Reporter = SILENT,
) -> tuple[Experiment, TrainingData]:
    """The result of `new_experiment`, with the data that it was adapted to.

    `augment` is the strength of augmentation and `turn` the share of rotated targets. `iterations`
    or `epochs` sets the length of the run.
    """
    chosen = current_fields(fields or {})
    if augment is not None or turn is not None or base is None:
        before = NO_AUGMENTATION if base is None else base.training.augmentation
        chosen["augmentation"] = augmentation(before, augment, turn)
    if start is not None and base is None:
        chosen.setdefault("kl_warmup", 0)  # a small weight of the KL would undo what was learned
    config, training = configurations(base or named_preset(preset), chosen, task)
    header = None if start is None else checkpoint.read_header(start)
    if header is not None and base is None:
        refuse_other_kind(preset, header.config)
        config = with_additions(header.config, chosen)
    with join_world(device) as world:
        spec = world.from_main(lambda: data_spec(data, base, data_dir, reporter))
        if header is not None and base is None and data.size is None:
            spec = at_sizes_of(header, spec)
        if header is not None:
            warn_of_seen_drawings(header, spec, reporter)
        with world.local_main_first():
            loaded = load_training_data(
                spec,
                augmented=training.augmentation.any,
                data_dir=data_dir,
                reporter=reporter,
            )
    warn_of_single_drawings(loaded.drawings, training.tasks, reporter)
    same_data = base is not None and base.data.dataset == spec.dataset
    kept = {*chosen, "ink", "observation"} if same_data else set(chosen)
    config = adapted_to_data(config, loaded, kept)
    if header is not None and header.config.steps != config.steps:
        reporter.note(
            f"the weights of --from are used in {config.steps} steps instead of "
            f"{header.config.steps}: their bound is worse at first"
        )
    if header is not None and header.config.encodes_context and not config.encodes_context:
        reporter.note("the context's image encoder is left out: the bound is worse at first")
    training = with_length(training, iterations, epochs, len(loaded.drawings))
    return Experiment(config, training, spec), loaded


def named_preset(name: str) -> Preset:
    """The preset called `name`. Raises UsageError if there is none."""
    if name not in PRESETS:
        raise UsageError(f"there is no model {name!r}: {', '.join(PRESETS)}")
    return PRESETS[name]


def refuse_other_kind(preset: str, config: Config) -> None:
    """Raise UsageError if a model that is trained further has another kind than `preset`.

    Or if it has a context, without which the preset would train it. The default, "flagship", has
    settings for every model.
    """
    named = named_preset(preset)
    without = named.task == 1 and config.conditional
    if preset != DEFAULT_PRESET and (named.kind != config.kind or without):
        context = " with a context" if config.conditional else ""
        raise UsageError(
            f"--from is a {config.kind} model{context}, which --model {preset} is not\n"
            "--from keeps the checkpoint's model: leave out --model"
        )


def configurations(
    base: Preset | Experiment, chosen: Mapping[str, Any], task: int | None = None
) -> tuple[Config, TrainConfig]:
    """The configurations of a preset or an experiment, with the fields in `chosen` changed.

    Values that are texts are parsed. Fields that depend on the data are set later, by
    `adapted_to_data`. Raises UsageError.
    """
    if isinstance(base, Experiment):
        name, kind, tasks = f"a {base.model.kind} model", type(base.model), base.training.tasks
        model, training = base.model.to_dict(), _shallow_dict(base.training)
    else:
        name, kind = _preset_name(base), config_type(base.kind)
        tasks = TaskMix() if base.task is None else TaskMix.of_task(base.task)
        model, training = dict(base.model), {"bf16": None, **base.training}
    if task is not None:
        tasks = TaskMix.of_task(task)
        model.pop("conditional", None)
    for field, value in chosen.items():
        if field in DATA_FIELDS:
            raise UsageError(f"{field} is determined by the data; --size sets the pixels")
        into, owner = (model, kind) if field in settable(kind) else (training, TrainConfig)
        if field == "augmentation":
            training[field] = value
            continue
        if field not in settable(owner):
            raise UsageError(f"{name} has no field {field!r}")
        into[field] = _parsed(field, value, settable(owner)[field])
    if "conditional" in settable(kind):
        model.setdefault("conditional", tasks.empty < 1)
    try:
        config = kind(**model)
        if not config.conditional and tasks.empty < 1:
            raise ValueError(f"{name} has no context; train it with --task 1")
        return config, TrainConfig(**{**training, "tasks": tasks})
    except ValueError as error:
        raise UsageError(str(error)) from error


def _preset_name(preset: Preset) -> str:
    return next((name for name, each in PRESETS.items() if each is preset), preset.kind)


def _shallow_dict(config: TrainConfig) -> dict[str, Any]:
    """The fields of a configuration. Nested configurations are not converted."""
    return {field.name: getattr(config, field.name) for field in fields(config)}


def settable(kind: type[Any]) -> dict[str, Any]:
    """The fields of a configuration that can be set as text, and their defaults."""
    plain = (bool, int, float, str, tuple)
    return {
        f.name: f.default
        for f in fields(kind)
        if isinstance(f.default, plain) and f.name not in EARLIER_TRAINING
    }


def _parsed(name: str, value: Any, default: Any) -> Any:
    """A text parsed as a value of the type of `default`; tuples are separated by commas."""
    if not isinstance(value, str) or isinstance(default, str):
        return value
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[value.lower()]
        if isinstance(default, tuple):
            return tuple(type(default[0])(part) for part in value.split(","))
        return type(default)(value)
    except (ValueError, KeyError):
        raise UsageError(f"{name} cannot be {value!r}; an example is {default!r}") from None


def with_additions(config: Config, chosen: Mapping[str, Any]) -> Config:
    """The model of `--from`, with the changes that its weights allow.

    These are parts that may be added to it, the context's image encoder, which may be left out, and
    the number of its steps, if all steps have the same weights; see `model.warm_start`. Raises
    UsageError for other fields, and for parts that it has.
    """
    known, of_training = settable(type(config)), {field.name for field in fields(TrainConfig)}
    added = {}
    for name, value in chosen.items():
        if name in of_training:
            continue
        if name not in known:
            raise UsageError(f"--from is a {config.kind} model, which has no field {name!r}")
        if name not in (*OPTIONAL_FIELDS, *REPEATED_FIELDS):
            raise UsageError(f"--from keeps the checkpoint's model, so {name} cannot be set")
        added[name] = _parsed(name, value, known[name])
    try:
        changed = replace(config, **added)
    except ValueError as error:
        raise UsageError(str(error)) from error
    for name, absent in ADDED_FIELDS.items():
        has = getattr(config, name, absent)
        if has not in (absent, getattr(changed, name, absent)):
            raise UsageError(f"--from has {name} {has}, which can be neither changed nor left out")
    return changed


def parse_sizes(given: str | int | Sequence[int]) -> list[int]:
    """Sizes in pixels, ascending, from 28, "28", "28,52" or (28, 52). Raises UsageError."""
    parts = given.split(",") if isinstance(given, str) else given
    try:
        found = sorted({int(part) for part in ([parts] if isinstance(parts, int) else parts)})
    except (ValueError, TypeError):
        raise UsageError(f"--size {given}: give pixels, such as 28 or 28,52") from None
    if not found or not SMALLEST <= found[0] <= found[-1] <= LARGEST:
        raise UsageError(f"--size {given}: sizes are {SMALLEST} to {LARGEST} pixels")
    return found


def data_spec(
    choice: DataChoice,
    base: Experiment | None = None,
    data_dir: Path | None = None,
    reporter: Reporter = SILENT,
) -> DataSpec:
    """The data of a new run. Raises OneshotError for unknown names."""
    if base is not None and choice.dataset in (None, base.data.dataset):
        spec = base.data
        if spec.validation is None:  # an older run, which was evaluated on the test part
            spec = replace(spec, validation=DEFAULT_VALIDATION_SHARE)
    else:
        name = choice.dataset or default_dataset(data_dir, reporter)
        if (name, choice.binarization) == ("mnist", "static"):
            name, choice = "mnist-static", replace(choice, binarization=None)
        entry = data_sets.get_dataset(name)
        binary = {"binarization": "dynamic"} if "binarization" in entry.options else {}
        split = entry.splits[0] if entry.splits else None
        spec = DataSpec(
            name, split, entry.size, validation=DEFAULT_VALIDATION_SHARE, options=binary
        )
    if choice.size is not None:
        wanted = parse_sizes(choice.size)
        several = tuple(wanted) if len(wanted) > 1 else ()
        spec = replace(spec, size=wanted[-1], sizes=several)
    if choice.binarization is not None:
        if "binarization" not in spec.catalogue_entry.options:
            raise OneshotError(f"{spec.dataset} takes no --binarization")
        options = {**spec.options, "binarization": choice.binarization}
        spec = replace(spec, options=options)
    if choice.resample is not None and choice.resample not in RESAMPLINGS:
        raise UsageError(f"--resample is one of {', '.join(RESAMPLINGS)}")
    changed: dict[str, Any] = {
        name: getattr(choice, name)
        for name in ("split", "resample", "validation", "symbols")
        if getattr(choice, name) is not None
    }
    return replace(spec, **changed)


def at_sizes_of(header: Header, spec: DataSpec) -> DataSpec:
    """`spec` at the sizes at which the model of a checkpoint reads and draws.

    A data set whose usual size is another than that of the checkpoint's data keeps its own.
    """
    before = data_sets.DATASETS.get(header.data.get("dataset", ""))
    if before is not None and before.size != spec.catalogue_entry.size:
        return spec
    config = header.config
    sizes = (config.input_size, config.size) if config.input_size < config.size else ()
    return replace(spec, size=config.size, sizes=sizes)


def default_dataset(data_dir: Path | None, reporter: Reporter = SILENT) -> str:
    """omniglot if its files are on this machine, otherwise glyphs, which needs no download."""
    if omniglot.is_local(data_dir):
        return "omniglot"
    reporter.note(
        "Omniglot is not on this machine: training on generated glyphs "
        "(--dataset omniglot downloads it)"
    )
    return "glyphs"


def adapted_to_data(config: Config, loaded: TrainingData, kept: Container[str]) -> Config:
    """`config` with the size, channels, mean and observation of the loaded images.

    Fields in `kept` keep their mean (`ink`) or observation. With several sizes, the model reads at
    the smallest and draws at the largest. Raises UsageError.
    """
    drawings, found_sizes = loaded.drawings, loaded.sizes
    binary = drawings.levels == 2 or drawings.dynamic
    if "observation" in kept and config.binary != binary:
        kind = "binary" if binary else "of 256 levels"
        raise UsageError(f"observation={config.observation}, but the images are {kind}")
    found = {
        "ink": round(_mean(drawings), 3),
        "observation": "bernoulli" if binary else "logistic",
    }
    changes: dict[str, Any] = {name: found[name] for name in found if name not in kept}
    if len(found_sizes) > 1:
        if "read_size" not in settable(type(config)):
            raise UsageError(f"a {config.kind} model has only one --size, not {len(found_sizes)}")
        changes["read_size"] = found_sizes[0]
    elif getattr(config, "read_size", 0) > found_sizes[-1]:
        changes["read_size"] = 0  # a model of larger images now reads these as they are
    try:
        return replace(config, size=found_sizes[-1], channels=drawings.channels, **changes)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _mean(drawings: Drawings) -> float:
    """The mean of the images, limited to [0.01, 0.99], from a sample of 5,000."""
    chosen = drawings.images[:: max(1, len(drawings) // 5000)]
    return min(max(chosen.float().mean().item() / (drawings.levels - 1), 0.01), 0.99)


def with_length(
    training: TrainConfig, iterations: int | None, epochs: float | None, drawings: int
) -> TrainConfig:
    """`training` with its length in iterations or epochs, if one is given. Raises UsageError."""
    if iterations is None and epochs is not None:
        iterations = max(1, round(epochs * drawings / training.batch))
    if iterations is None:
        return training
    try:
        return replace(training, iterations=iterations)
    except ValueError as error:
        raise UsageError(str(error)) from error


def augmentation(
    before: Augmentation, strength: float | None, turned: float | None
) -> Augmentation:
    """`before`, changed by `--augment` and `--turn`. With `--augment` a tenth is left plain."""
    if strength is not None:
        plain = 0.1 if strength > 0 else 0.0
        before = replace(before, shared=0.1 * strength, own=0.03 * strength, plain=plain)
    return before if turned is None else replace(before, turned=turned)
