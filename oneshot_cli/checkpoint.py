"""Checkpoints: one safetensors file whose JSON header describes the model and its training.

Nothing is ever unpickled. A file is written whole or not at all.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.overrides import TorchFunctionMode

from oneshot_cli.documents import parse
from oneshot_cli.errors import OneshotError
from oneshot_cli.files import atomic_write, regular_file
from oneshot_cli.model import Config, GenerativeModel, build, config_from
from oneshot_cli.model.legacy import current_weight
from oneshot_cli.ranges import SHARE, SPREAD

FORMAT = 2
"""Format 1 has old names, see `model.legacy`."""
READABLE = (1, FORMAT)
HEADER = "oneshot"
FACTORIES = (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn)
"""The functions that allocate the weights of a new model."""
SLACK = 10_000
"""Numbers that a model may allocate beside its weights."""

UNRECORDED = "unrecorded data"
NUMBER = int | float
KINDS: dict[str, Any] = {
    "dataset": str,
    **dict.fromkeys(("split", "resample", "binarization"), str | None),
    **dict.fromkeys(("size", "step", "steps_before", "iterations"), int),
    **dict.fromkeys(("seconds", "seconds_before"), NUMBER),
    "validation": NUMBER | None,
    **dict.fromkeys(("sizes", "data_before"), list | tuple),
    "tasks": Mapping,
}
"""The types of the fields of `Header.data` and `Header.training` that others rely on."""


@dataclass(frozen=True)
class Header:
    """The description of a model in its checkpoint.

    `config` is what the model is built from. `data` has the data set, split and size, `training`
    the iterations, seconds and settings, `figures` the measurements in nats with their standard
    errors, `sampling` the default spread and closeness, `version` that of oneshot.
    """

    config: Config
    data: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    sampling: dict[str, Any] = field(default_factory=dict)
    version: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for a field of the wrong type, or a sampling that is out of range."""
        for name in ("data", "training", "figures", "sampling"):
            _require(name, getattr(self, name), Mapping)
        _require("version", self.version, str)
        for part in (self.data, self.training):
            for name in part.keys() & KINDS.keys():
                _require(name, part[name], KINDS[name])
        for name, value in self.training.get("tasks", {}).items():
            _require(name, value, NUMBER)
        check_sampling(self.sampling)

    @property
    def model(self) -> str:
        """The name of the model's kind, see `oneshot_cli.model.registry`."""
        return self.config.kind

    @property
    def seen(self) -> tuple[str, ...]:
        """The data sets and splits that the weights were trained on, such as "omniglot weak".

        UNRECORDED stands for those of earlier training that older versions did not record.
        """
        before = tuple(map(str, self.training.get("data_before", ())))
        if self.training.get("steps_before") and not before:
            before = (UNRECORDED,)
        own = " ".join(filter(None, (self.data.get("dataset", UNRECORDED), self.data.get("split"))))
        return tuple(dict.fromkeys((*before, own)))

    def to_json(self) -> str:
        config = {"model": self.model, "config": self.config.to_dict()}
        return json.dumps({**self.__dict__, **config, "format": FORMAT})


def save(
    path: str | Path,
    model: GenerativeModel,
    header: Header,
    *,
    dtype: torch.dtype | None = None,
) -> None:
    """Write the model's weights (as `dtype`, if given) and its header to `path`."""
    tensors = {
        name: tensor.detach().cpu().to(dtype or tensor.dtype).contiguous()
        for name, tensor in model.state_dict().items()
    }
    with atomic_write(path) as temporary:
        save_file(tensors, temporary, {HEADER: header.to_json()})


def checkpoint_file(path: str | Path) -> Path:
    """The checkpoint at `path`; in the folder of a run, its best or else its last one.

    Raises OneshotError if there is none.
    """
    path = Path(path)
    if path.is_dir():
        for name in ("best", "last"):
            if (path / f"{name}.safetensors").is_file():
                return path / f"{name}.safetensors"
        raise OneshotError(
            f"{path}: a folder, but without a run's best.safetensors; name a .safetensors file"
        )
    if not path.exists():
        raise OneshotError(f"{path}: there is no such checkpoint")
    return regular_file(path)


def read_header(path: str | Path) -> Header:
    """Read the header of the checkpoint at `path`, not its weights. Raises OneshotError."""
    path = checkpoint_file(path)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise OneshotError(
            f"{path}: not a complete safetensors file ({error}); copy or train it again"
        ) from error
    if HEADER not in metadata:
        raise OneshotError(f"{path}: a safetensors file, but not a checkpoint of oneshot")
    return _parse(path, metadata[HEADER])


def load(path: str | Path, device: torch.device | str = "cpu") -> tuple[GenerativeModel, Header]:
    """Load a checkpoint: its model in float32 and eval mode, and its header.

    Raises OneshotError.
    """
    path = checkpoint_file(path)
    header = read_header(path)
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            names = {current_weight(name): name for name in file.keys()}  # noqa: SIM118
            shapes = {new: tuple(file.get_slice(old).get_shape()) for new, old in names.items()}
            # the meta device, which allocates nothing, would cost a second of imports
            with torch.random.fork_rng(devices=[]), AtMost(sum(map(math.prod, shapes.values()))):
                model = build(header.config)
            wanted = {name: tuple(each.shape) for name, each in model.state_dict().items()}
            _check(path, wanted, shapes)
            weights = {new: file.get_tensor(old) for new, old in names.items()}
    except (SafetensorError, OSError, RuntimeError, ValueError, TypeError) as error:
        raise OneshotError(f"{path}: no model can be built of it ({error})") from error
    for name, tensor in weights.items():
        if not tensor.is_floating_point() or not tensor.to(torch.float32).isfinite().all():
            raise OneshotError(f"{path}: the weights {name} are not all finite numbers")
    model.load_state_dict({name: t.to(torch.float32) for name, t in weights.items()}, assign=True)
    model.requires_grad_(False)
    return model.eval(), header


def _parse(path: Path, text: str) -> Header:
    """A header from its JSON."""
    try:
        fields = parse(text)
        version = fields.pop("format")
        if version not in READABLE:
            raise OneshotError(
                f"{path}: checkpoint format {version}, but this version reads {FORMAT}; upgrade it"
            )
        config = config_from(fields.pop("model"), fields["config"])
        return Header(**{**fields, "config": config})
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise OneshotError(f"{path}: its header does not describe a model ({error})") from error


def check_sampling(sampling: Mapping[str, Any]) -> None:
    """Raise ValueError if the default spread or closeness is no number, or out of range."""
    for name, within in {"spread": SPREAD, "closeness": SHARE}.items():
        value = sampling.get(name, 0)
        _require(name, value, NUMBER)
        if value not in within:
            raise ValueError(f"{name} is {value}, but has to be {within}")


def _require(name: str, value: Any, kind: Any) -> None:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{name} cannot be {reprlib.repr(value)}")


class AtMost(TorchFunctionMode):
    """Lets the block allocate tensors of `numbers` numbers, twice over; more is a ValueError.

    So a header that describes a model of another size than the weights takes no memory.
    """

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.left = 2 * numbers + SLACK

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if function in FACTORIES:
            size = options.get("size", args[0] if args and not isinstance(args[0], int) else args)
            self.left -= math.prod(size)
            if self.left < 0:
                raise ValueError("its header describes a larger model than its weights are of")
        return function(*args, **options)


def _check(
    path: Path, wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise OneshotError if names or shapes differ from those of the model in the header."""
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            raise OneshotError(f"{path}: the weights {name} are missing")
        if name not in wanted:
            raise OneshotError(f"{path}: the weights {name} belong to no part of the model")
        if found[name] != wanted[name]:
            raise OneshotError(
                f"{path}: {name} has shape {found[name]}, its header says {wanted[name]}"
            )
