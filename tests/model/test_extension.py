"""Adding a part is one class and one line: each dummy is entered in its registry, and trains."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from tiny import TINY, small, tiny_drawings, write_crosses
from torch import Tensor, nn
from typer.testing import CliRunner

from oneshot_cli import checkpoint
from oneshot_cli.cli.app import app
from oneshot_cli.data.episodes import Episodes, TaskMix
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.experiment import Experiment
from oneshot_cli.model import Bound, Config, Context, GenerativeModel, Trace, config_from
from oneshot_cli.model.attention import Attention
from oneshot_cli.model.canvas import Canvas
from oneshot_cli.model.observation import Observation
from oneshot_cli.model.output import Output
from oneshot_cli.model.prior import Prior
from oneshot_cli.model.registry import (
    ATTENTIONS,
    CANVASES,
    MODELS,
    OBSERVATIONS,
    OUTPUTS,
    PRIORS,
    Registry,
)
from oneshot_cli.training.config import TrainConfig
from oneshot_cli.training.folder import RunFolder
from oneshot_cli.training.loop import Trainer


class Corner(Attention):
    """Reads the upper left corner, brighter or darker, and writes there."""

    def __init__(self, hidden: int, size: int, side: int, scale: float) -> None:
        super().__init__(hidden, size, side, scale)
        self.gain = nn.Linear(hidden, 1)

    def window_parameters(self, h: Tensor) -> Tensor:
        return self.gain(h)

    def window(self, parameters: Tensor) -> Tensor:
        return torch.sigmoid(parameters)

    def read(self, images: Tensor, window: Tensor) -> Tensor:
        return window[:, :, None, None] * images[..., : self.side, : self.side]

    def write(self, patches: Tensor, window: Tensor, size: int) -> Tensor:
        room = size - self.side
        return nn.functional.pad(window[:, :, None, None] * patches, (0, room, 0, room))

    def frame(self, window: Tensor) -> Tensor:
        return torch.eye(2, 3).expand(*window.shape[:-1], 2, 3)


class Fading(Canvas):
    def __init__(self, channels: int, start: Tensor) -> None:
        super().__init__(channels, start)
        self.output = nn.Conv2d(channels, len(start), 1)

    def forward(self, canvas: Tensor, write: Tensor) -> Tensor:
        return 0.9 * canvas + write

    def read_out(self, canvas: Tensor) -> Tensor:
        return self.output(canvas)


class Laplace(Observation):
    """An unnormalized density is enough for a test of training."""

    binary = True

    @property
    def parameters(self) -> int:
        return self.channels

    def initial_parameters(self, mean: float) -> Tensor:
        return torch.full((self.channels,), mean)

    def log_likelihood(self, parameters: Tensor, x: Tensor) -> Tensor:
        return -(parameters - x).abs().sum((-3, -2, -1))

    def mean(self, parameters: Tensor) -> Tensor:
        return parameters.clamp(0, 1)


class Shifted(Prior):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.mean = nn.Linear(config.hidden, config.latent)

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.mean(h)
        return mean, torch.zeros_like(mean)


class Scaled(Output):
    def __init__(self, config: Any, parameters: int) -> None:
        super().__init__(config, parameters)
        self.scale = nn.Parameter(torch.ones(parameters, 1, 1))

    def canvas_size(self, size: int) -> int:
        return size

    def forward(self, parameters: Tensor, size: int) -> Tensor:
        return self.scale * parameters


PARTS: dict[str, tuple[Registry[Any], type[Any]]] = {
    "attention": (ATTENTIONS, Corner),
    "canvas": (CANVASES, Fading),
    "observation": (OBSERVATIONS, Laplace),
    "prior": (PRIORS, Shifted),
    "output": (OUTPUTS, Scaled),
}


@pytest.fixture
def entered() -> Iterator[None]:
    """All dummies are in their registries, and leave them again."""
    for registry, kind in PARTS.values():
        registry["dummy"] = kind
    yield
    for registry, _ in PARTS.values():
        del registry["dummy"]


def trained(folder: Path, model: Config) -> Trainer:
    drawings = tiny_drawings()
    config = TrainConfig(
        iterations=2, batch=4, tasks=TaskMix.of_task(2 if model.conditional else 1)
    )
    episodes = Episodes(drawings, config.tasks, seed=0)
    experiment = Experiment(model, config, DataSpec("tiny"))
    run = Trainer(RunFolder(folder), experiment, episodes, drawings)
    run.fit()
    return run


@pytest.mark.parametrize("part", PARTS)
def test_a_new_part_trains_and_its_checkpoint_is_read(
    part: str, entered: None, tmp_path: Path
) -> None:
    config = replace(TINY, **{part: "dummy"})  # type: ignore[arg-type]
    run = trained(tmp_path, config)
    kind = PARTS[part][1]
    found = [module for module in run.model.modules() if isinstance(module, kind)]
    found += [value for value in vars(run.model).values() if isinstance(value, kind)]
    assert found
    weights = [
        weight
        for module in found
        if isinstance(module, nn.Module)
        for weight in module.parameters()
    ]
    assert all(weight.grad is not None for weight in weights)
    model, header = checkpoint.load(tmp_path / "last.safetensors")
    assert header.config == config
    picture = model.sample(Context.empty(1, 8), torch.zeros(1, *model.noise_shape))
    assert picture.shape == (1, 1, 8, 8)


def test_the_command_trains_with_new_parts(entered: None, tmp_path: Path) -> None:
    write_crosses(tmp_path / "data/folder")
    options = {"attention": "dummy", "canvas": "dummy", "prior": "dummy", "output-network": "dummy"}
    sets = {**small("flagship"), "observation": "dummy"}
    words = ["train", "--dataset", "folder", "--data-dir", str(tmp_path / "data"), "--size", "14"]
    words += ["-o", str(tmp_path / "run"), "--iterations", "1", "--batch", "2", "--quiet"]
    words += [word for name, value in options.items() for word in (f"--{name}", value)]
    words += [word for name, value in sets.items() for word in ("--set", f"{name}={value}")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    header = checkpoint.read_header(tmp_path / "run/last.safetensors")
    fields = header.config.to_dict()
    assert {fields[name] for name in PARTS} == {"dummy"}


@dataclass(frozen=True)
class PixelsConfig(Config):
    kind: ClassVar[str] = "pixels"

    @property
    def steps(self) -> int:
        return 1


class Pixels(GenerativeModel):
    """Independent pixels: a whole model of another kind."""

    config: PixelsConfig
    config_type = PixelsConfig

    def __init__(self, config: PixelsConfig) -> None:
        super().__init__(config)
        self.logits = nn.Parameter(torch.zeros(config.size, config.size))

    @property
    def noise_shape(self) -> tuple[int]:
        return (1,)

    def bound(
        self, x: Tensor, context: Context, noise: Tensor, gradient_limit: float | None = None
    ) -> Bound:
        nothing = noise.new_zeros(*noise.shape[:2], 1)
        terms = -nn.functional.binary_cross_entropy_with_logits(
            self.logits.expand_as(x), x, reduction="none"
        )
        likelihood = terms.sum((-3, -2, -1))[:, None].expand(noise.shape[:2])
        return Bound(likelihood, nothing, nothing, nothing)

    def sample(
        self, context: Context, noise: Tensor, *, temperature: float = 1.0, size: int | None = None
    ) -> Tensor:
        return torch.sigmoid(self.logits).expand(len(noise), 1, -1, -1)

    def trace(self, context: Context, noise: Tensor, **options: Any) -> Trace:
        raise NotImplementedError


def test_a_new_model_trains_and_its_checkpoint_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "pixels", Pixels)
    run = trained(tmp_path, PixelsConfig(size=8))
    model, header = checkpoint.load(tmp_path / "last.safetensors")
    assert header.model == "pixels"
    assert isinstance(model, Pixels)
    assert run.counters.step == 2


def test_every_model_is_entered_under_the_kind_of_its_configuration() -> None:
    for name, model in MODELS.items():
        assert model.config_type.kind == name


@pytest.mark.parametrize("part", PARTS)
def test_an_unknown_name_is_refused_with_all_that_there_are(part: str) -> None:
    with pytest.raises(ValueError, match=f"{part} is one of {', '.join(PARTS[part][0])}, not 'no'"):
        config_from("sequential", {part: "no"})


def test_a_registry_lists_its_names_and_loads_a_class_when_asked() -> None:
    registry: MutableMapping[str, type[Prior]] = Registry(
        "prior", {"one": "prior:StandardPrior", "two": "prior:LearnedPrior"}
    )
    assert list(registry) == ["one", "two"]
    assert registry["two"].__name__ == "LearnedPrior"
    assert "three" not in registry
    assert Registry("x", {"a": "a:A"}).choices == "a"
    assert Registry("x", {"a": "a:A", "b": "b:B", "c": "c:C"}).choices == "a, b or c"


def test_names_and_configurations_are_there_without_torch() -> None:
    code = (
        "import sys; from oneshot_cli.model.registry import ATTENTIONS; "
        "from oneshot_cli.model.config import DRAWConfig; DRAWConfig(); "
        "assert 'gaussian' in ATTENTIONS; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
