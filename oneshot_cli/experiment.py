"""`Experiment`: everything that decides what a training run computes, as plain data.

A run's config.json, a checkpoint's header and the recipes in checkpoints/recipes all hold an
experiment. `oneshot train --config` reads one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from oneshot_cli.checkpoint import Header, check_sampling, read_header
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.documents import parse
from oneshot_cli.errors import OneshotError
from oneshot_cli.files import atomic_write_bytes, read_file
from oneshot_cli.model import Config, config_from
from oneshot_cli.training.config import TrainConfig

T = TypeVar("T")

MAX_BYTES = 10_000_000
"""Files of experiments with more bytes are refused; they have some 2,000."""


@dataclass(frozen=True)
class Experiment:
    """A model, how it is trained, and on which data.

    `sampling` is the default spread and closeness of the model that it starts from. Two runs of the
    same experiment on the same kind of machine are bit for bit equal.
    """

    model: Config
    training: TrainConfig
    data: DataSpec
    sampling: dict[str, float] = field(default_factory=dict)

    def from_scratch(self) -> Experiment:
        """The same, for a run that starts from no weights."""
        return replace(self, training=self.training.from_scratch(), sampling={})

    def after(self, header: Header) -> Experiment:
        """The same, for a run that starts from the weights of the checkpoint with that header."""
        sampling = dict(header.sampling) if header.model == self.model.kind else {}
        training = self.training.after(header.training, header.seen)
        return replace(self, training=training, sampling=sampling)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: {"model": {"kind": ...}, "training": ..., "data": ...}."""
        model = {"kind": self.model.kind, **self.model.to_dict()}
        content = {"model": model, "training": self.training.to_dict(), "data": self.data.to_dict()}
        return content | ({"sampling": self.sampling} if self.sampling else {})

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Experiment:
        """Build from JSON. Missing fields of the model and the training have their defaults.

        Raises OneshotError if `content` does not describe an experiment.
        """
        try:
            model, sampling = dict(content["model"]), dict(content.get("sampling", {}))
            check_sampling(sampling)
            kind = model.pop("kind", "sequential")  # older runs have no other kind
            return cls(
                config_from(kind, model),
                TrainConfig.from_dict(content["training"]),
                DataSpec.from_dict(content["data"]),
                sampling,
            )
        except KeyError as error:
            raise OneshotError(f"does not describe an experiment: it has no {error}") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise OneshotError(f"does not describe an experiment ({error})") from error

    @classmethod
    def of_header(cls, header: Header) -> Experiment:
        """The experiment that made a checkpoint. Raises OneshotError if the header has none."""
        known = {field.name for field in fields(TrainConfig)}
        training = {name: value for name, value in header.training.items() if name in known}
        return cls.from_dict(
            {
                "model": {"kind": header.model, **header.config.to_dict()},
                "training": training,
                "data": header.data,
            }
        )

    @classmethod
    def read(cls, path: str | Path) -> Experiment:
        """Read the experiment in a JSON file, in a run's folder (its config.json), or a checkpoint.

        Raises OneshotError if the file is missing, cannot be read or holds something else.
        """
        path = Path(path)
        if path.is_dir():
            path = path / "config.json"
        if path.suffix == ".safetensors":
            header = read_header(path)
            return _named(path, lambda: cls.of_header(header))
        text = read_file(path, MAX_BYTES)
        try:
            content = parse(text)
        except ValueError as error:
            raise OneshotError(f"{path}: cannot be read as JSON ({error})") from error
        if not isinstance(content, dict):
            raise OneshotError(f"{path}: does not describe an experiment")
        experiment = _named(path, lambda: cls.from_dict(content))
        known = {each.name for each in fields(cls)}
        _named(path, lambda: _refuse_others(content, known, "an experiment"))
        takes = experiment.data.keys
        _named(path, lambda: _refuse_others(content["data"], takes, "the data"))
        return experiment

    def write(self, path: str | Path) -> None:
        """Write the experiment to a JSON file, whole or not at all."""
        atomic_write_bytes(path, (json.dumps(self.to_dict(), indent=2) + "\n").encode())


def _refuse_others(content: Mapping[str, Any], known: Container[str], what: str) -> None:
    """Raise OneshotError for a key that is not known: what is misspelt would be ignored."""
    for name in content:
        if name not in known:
            raise OneshotError(f"{what} cannot have {name!r}")


def _named(path: Path, read: Callable[[], T]) -> T:
    """Return what `read` returns; add the file's name to its error."""
    try:
        return read()
    except OneshotError as error:
        raise OneshotError(f"{path}: {error}") from error
