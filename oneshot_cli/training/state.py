"""The state of a run: one safetensors file from which training resumes bit for bit.

It holds the weights, their average and the optimizer's moments; its header holds the counters. Data
and noise are functions of the seed and the iteration, so no state of a random generator is needed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from oneshot_cli.documents import parse
from oneshot_cli.errors import OneshotError
from oneshot_cli.files import atomic_write, regular_file
from oneshot_cli.model.legacy import current_weight
from oneshot_cli.ranges import is_number
from oneshot_cli.training.averaging import WeightAverage

HEADER, DATA = "oneshot-state", "oneshot-data"


@dataclass
class Counters:
    """The progress of a run: iterations, seconds of training, skipped iterations, best bound."""

    step: int = 0
    seconds: float = 0.0
    skipped: int = 0
    """Iterations without a step, because the gradient was not finite."""
    best: float | None = None
    """Best bound of an evaluation so far in nats per image. Higher is better."""


def save(
    path: Path,
    model: nn.Module,
    average: WeightAverage[Any],
    optimizer: torch.optim.Optimizer,
    counters: Counters,
    data: str = "",
) -> None:
    """Write the state to `path`, whole or not at all. `data` is a hash of the drawings."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        tensors[f"model/{name}"] = parameter.detach()
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer/{key}/{name}"] = value
    for name, parameter in average.model.named_parameters():
        tensors[f"average/{name}"] = parameter
    whole = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_write(path) as temporary:
        save_file(whole, temporary, {HEADER: json.dumps(asdict(counters)), DATA: data})


@dataclass(frozen=True)
class State:
    """The content of a state file: counters, and tensors named model/, average/ or optimizer/...

    `data` is the hash of the drawings that the run was trained on, "" in older runs.
    """

    path: Path
    counters: Counters
    tensors: dict[str, Tensor]
    data: str = ""

    def restore(
        self, model: nn.Module, average: WeightAverage[Any], optimizer: torch.optim.Optimizer
    ) -> None:
        """Restore a model, its average and its optimizer. Raises OneshotError on a mismatch."""
        try:
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    parameter.copy_(self.tensors[f"model/{name}"])
                for name, parameter in average.model.named_parameters():
                    parameter.copy_(self.tensors[f"average/{name}"])
        except (KeyError, RuntimeError) as error:
            raise OneshotError(f"{self.path}: is the state of another model ({error})") from error
        try:
            _restore_moments(model, optimizer, self.tensors)
        except ValueError as error:
            raise OneshotError(f"{self.path}: cannot resume from it ({error})") from error


def read(path: Path) -> State:
    """Read the state in `path`. Raises OneshotError if it is missing, damaged or no state."""
    if not path.exists():
        raise OneshotError(f"{path}: no state to resume from; start without --resume")
    regular_file(path)
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            counters = _counters(parse(about[HEADER]))
            tensors = {current_weight(name): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise OneshotError(f"{path}: cannot resume from it ({error})") from error
    return State(path, counters, tensors, about.get(DATA, ""))


def _counters(fields: dict[str, Any]) -> Counters:
    """Counters from JSON. Raises TypeError or ValueError for what are none."""
    counters = Counters(**fields)
    for name, value in asdict(counters).items():
        if name == "best" and value is None:
            continue
        if not is_number(value, whole=name in ("step", "skipped")):
            raise TypeError(f"{name} is {value!r}")
        if name != "best" and not 0 <= float(value) < float("inf"):
            raise ValueError(f"{name} is {value}")
    return counters


def _restore_moments(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> None:
    """Restore the optimizer's state from tensors named optimizer/<key>/<parameter>.

    Raises ValueError if some are missing or do not fit their parameters.
    """
    moments: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, key, owner = [*name.split("/", 2), "", ""][:3]
            moments.setdefault(owner, {})[key] = tensor
    for name, parameter in model.named_parameters():
        shapes = {key: tensor.shape for key, tensor in moments.get(name, {}).items()}
        same = parameter.shape
        if shapes and shapes != {"step": torch.Size(), "exp_avg": same, "exp_avg_sq": same}:
            raise ValueError(f"the moments of {name} are missing or of another shape")
    names = [name for name, _ in model.named_parameters()]
    whole = optimizer.state_dict()
    whole["state"] = {i: moments[name] for i, name in enumerate(names) if name in moments}
    optimizer.load_state_dict(whole)
