"""Checkpoints: one safetensors file whose JSON header describes the model and its training.

Nothing is ever unpickled. A file is written whole or not at all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from oneshot_cli.errors import OneshotError
from oneshot_cli.files import atomic_write
from oneshot_cli.model import Config, GenerativeModel, build, config_from
from oneshot_cli.model.legacy import current_weight

FORMAT = 2
"""Format 1 has old names, see `model.legacy`."""
READABLE = (1, FORMAT)
HEADER = "oneshot"


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

    @property
    def model(self) -> str:
        """The name of the model's kind, see `oneshot_cli.model.registry`."""
        return self.config.kind

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
    return path


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
    with torch.random.fork_rng(devices=[]):  # the meta device would cost a second of imports
        model = build(header.config)
    wanted = model.state_dict()
    with safe_open(path, "pt", device=str(device)) as file:
        found = {current_weight(name): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    _check(Path(path), wanted, found)
    model.load_state_dict({name: t.to(torch.float32) for name, t in found.items()}, assign=True)
    model.requires_grad_(False)
    return model.eval(), header


def _parse(path: Path, text: str) -> Header:
    """A header from its JSON."""
    try:
        fields = json.loads(text)
        version = fields.pop("format")
        if version not in READABLE:
            raise OneshotError(
                f"{path}: checkpoint format {version}, but this version reads {FORMAT}; upgrade it"
            )
        config = config_from(fields.pop("model"), fields["config"])
        return Header(**{**fields, "config": config})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise OneshotError(f"{path}: its header does not describe a model ({error})") from error


def _check(path: Path, wanted: dict[str, torch.Tensor], found: dict[str, torch.Tensor]) -> None:
    """Raise OneshotError if names or shapes differ from those of the model in the header."""
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            raise OneshotError(f"{path}: the weights {name} are missing")
        if name not in wanted:
            raise OneshotError(f"{path}: the weights {name} belong to no part of the model")
        if found[name].shape != wanted[name].shape:
            raise OneshotError(
                f"{path}: {name} has shape {tuple(found[name].shape)}, "
                f"its header says {tuple(wanted[name].shape)}{_hint(name)}"
            )


def _hint(name: str) -> str:
    """What else there is to say about weights of the wrong shape."""
    if name.startswith("canvas.gates"):
        return "\ngated canvases were of another form before this version: train it again"
    return ""


def parameter_count(model: nn.Module) -> int:
    """The number of learned parameters."""
    return sum(p.numel() for p in model.parameters())
