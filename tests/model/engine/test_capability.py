"""The engine replaces only what was declared: everything else is computed by autograd."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from test_recurrence import gradients
from tiny import TINY, context, images, noise, small, tiny_drawings, tiny_model, write_crosses
from torch import Tensor, nn
from typer.testing import CliRunner

from oneshot_cli.cli.app import app
from oneshot_cli.data.episodes import Episodes, TaskMix
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.errors import OneshotError
from oneshot_cli.experiment import Experiment
from oneshot_cli.model import DRAW, DRAWConfig, SequentialGenerator, VAEConfig, build, sequential
from oneshot_cli.model.attention import (
    FullyConnected,
    GaussianFilters,
    JointReader,
    Reader,
    SpatialTransformer,
)
from oneshot_cli.model.canvas import AdditiveCanvas
from oneshot_cli.model.engine.capability import Capability
from oneshot_cli.model.engine.linear import Linear
from oneshot_cli.model.lstm import LSTM
from oneshot_cli.model.objective import objective
from oneshot_cli.model.posterior import Posterior
from oneshot_cli.training.config import TrainConfig
from oneshot_cli.training.folder import RunFolder
from oneshot_cli.training.loop import Trainer


class Brighter(SpatialTransformer):
    """Reads at another contrast."""

    def read(self, images: Tensor, window: Tensor) -> Tensor:
        return super().read(images, window).square() + 0.3 * window[:, :1, 2:, None]


class Narrower(SpatialTransformer):
    """Another function of the parameters."""

    def window(self, parameters: Tensor) -> Tensor:
        return super().window(parameters.sin()) * 0.8


class Nonlinear(SpatialTransformer):
    """Another network."""

    def window_parameters(self, h: Tensor) -> Tensor:
        return 3 * torch.tanh(self.linear(h))


class Mixin:
    """Overrides a method from the side, so that the subclass's own body is empty."""

    def window_parameters(self, h: Tensor) -> Tensor:
        return super().window_parameters(h.square())  # type: ignore[misc]


class Mixed(Mixin, SpatialTransformer):
    pass


class Twisted(LSTM):
    def step(self, h: Tensor, cell: Tensor, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        h, cell = super().step(h, cell, *inputs)
        return h.sin(), cell


class Wider(Posterior):
    def forward(self, *arguments: Any) -> tuple[Tensor, Tensor]:
        mean, log_std = super().forward(*arguments)
        return 2 * mean, log_std


class Squared(Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.square())


class Slower(SequentialGenerator):
    def _step(self, *arguments: Any) -> Any:
        h, *rest = super()._step(*arguments)
        return 0.5 * h, *rest


def as_class(part: nn.Module, kind: type[nn.Module]) -> None:
    """The same weights in a module of a subclass."""
    part.__class__ = kind


def both_readers(kind: type[nn.Module]) -> Callable[[SequentialGenerator], None]:
    def change(model: SequentialGenerator) -> None:
        assert model.context is not None
        as_class(model.context.reader.attention, kind)
        as_class(model.posterior.reader.attention, kind)

    return change


def one_reader(model: SequentialGenerator) -> None:
    as_class(model.posterior.reader.attention, Brighter)


def other_scale(model: SequentialGenerator) -> None:
    setattr(model.posterior.reader.attention, "scale", 0.4)  # noqa: B010


def on_the_object(model: SequentialGenerator) -> None:
    plain = model.posterior.reader.attention.read
    model.posterior.reader.attention.read = lambda *a: plain(*a).square()  # type: ignore[method-assign]


def hooked(model: SequentialGenerator) -> None:
    model.posterior.output.register_forward_hook(lambda module, inputs, output: 2 * output)


CHANGES: dict[str, Callable[[SequentialGenerator], None]] = {
    "read": both_readers(Brighter),
    "window": both_readers(Narrower),
    "window_parameters": both_readers(Nonlinear),
    "mixin": both_readers(Mixed),
    "one reader": one_reader,
    "other scale": other_scale,
    "on the object": on_the_object,
    "hook": hooked,
    "cell": lambda model: as_class(model.transition, Twisted),
    "posterior": lambda model: as_class(model.posterior, Wider),
    "layer": lambda model: as_class(model.posterior.embed_step, Squared),
    "step": lambda model: as_class(model, Slower),
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_overridden_method_has_the_gradient_of_autograd(name: str) -> None:
    """And its own values: what is trained is what the overriding class computes."""
    x, shown, draws = images(5), context(5, 2), noise(5, 3, 2)
    plain_model = tiny_model()
    unchanged = gradients(plain_model, plain_model.infer(draws, shown, x))
    model = tiny_model()
    CHANGES[name](model)
    found = gradients(model, model.infer(draws, shown, x))
    wanted = gradients(model, model.unroll(draws, shown, x))
    for mine, other in zip(found[0], wanted[0], strict=True):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-6)
    for weight, other in wanted[1].items():
        torch.testing.assert_close(found[1][weight], other, atol=1e-6, rtol=1e-6)
    assert not torch.allclose(found[0][0], unchanged[0][0], atol=1e-4)


def test_a_subclass_that_overrides_nothing_keeps_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Same(SpatialTransformer):
        def frame(self, window: Tensor) -> Tensor:
            return 2 * window

    def reached(*_: Any, **__: Any) -> None:
        raise InterruptedError

    monkeypatch.setattr(sequential, "recurrence", reached)
    model = tiny_model()
    both_readers(Same)(model)
    with pytest.raises(InterruptedError):
        model.infer(noise(2, 3, 2), context(2, 1), images(2))


def test_a_declared_class_has_the_property_and_its_overriding_subclass_has_not() -> None:
    quick = Capability()

    @quick("run")
    class Runner:
        def run(self) -> int:
            return 1

        def rest(self) -> int:
            return 0

    class Walker(Runner):
        def run(self) -> int:
            return 2

    class Sleeper(Runner):
        def rest(self) -> int:
            return 8

    assert quick.declared_class(Sleeper()) is Runner
    assert not quick.holds(Walker())
    assert not quick.holds(object())
    quick.declare(Walker, "run")
    assert quick.declared_class(Walker()) is Walker
    runner = Runner()
    runner.run = lambda: 3  # type: ignore[method-assign]
    assert not quick.holds(runner)


def reader(kind: type[Any] = SpatialTransformer, scale: float = 0.9, seed: int = 0) -> Reader:
    torch.manual_seed(seed)
    made = Reader(8, 4, scale, size=10)
    made.attention = kind(8, 10, 4, scale)
    made.width = made.attention.side**2
    return made


@pytest.mark.parametrize("other", [Brighter, GaussianFilters, FullyConnected])
@pytest.mark.parametrize("members", [0, 1, 3])
def test_readers_of_different_kinds_read_what_each_reads_alone(
    other: type[Any], members: int
) -> None:
    readers = [reader(), reader(other, seed=1)]
    h, one, two = noise(5, 8), images(5 * members, size=10), images(5, size=10)
    joint = JointReader(5, list(zip(readers, (one, two), strict=True)))
    assert not joint.joint
    glimpses, windows = joint(h)
    for each, own, glimpse, window in zip(readers, (one, two), glimpses, windows, strict=True):
        torch.testing.assert_close(window, each.attention(h))
        torch.testing.assert_close(glimpse, each(own, window.repeat_interleave(len(own) // 5, 0)))


def test_readers_with_other_settings_or_weights_in_read_are_not_joined() -> None:
    class Learned(SpatialTransformer):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.contrast = nn.Parameter(torch.randn(()))

        def read(self, images: Tensor, window: Tensor) -> Tensor:
            return self.contrast * super().read(images, window)

    x = images(2, size=10)
    assert JointReader(2, [(reader(), x), (reader(seed=1), x)]).joint
    assert not JointReader(2, [(reader(), x), (reader(scale=0.5), x)]).joint
    assert not JointReader(2, [(reader(Learned), x), (reader(Learned), x)]).joint


def test_a_canvas_that_overrides_the_sum_is_written_step_by_step() -> None:
    class Fading(AdditiveCanvas):
        def forward(self, canvas: Tensor, write: Tensor) -> Tensor:
            return 0.5 * canvas + write

    model = tiny_model()
    as_class(model.canvas, Fading)
    h = model.unroll(noise(4, 3, 2), context(4, 1)).h
    torch.testing.assert_close(model.decode(h, 8), model.canvases(h, 8)[:, -1])


def test_the_plain_engine_is_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(*_: Any, **__: Any) -> None:
        raise InterruptedError

    x, shown, draws = images(3), context(3, 1), noise(3, 3, 2)
    model = tiny_model()
    written = gradients(model, model.infer(draws, shown, x))
    monkeypatch.setattr(sequential, "recurrence", reached)
    model.use_engine("plain")
    plain = gradients(model, model.infer(draws, shown, x))
    for name, weight in plain[1].items():
        torch.testing.assert_close(written[1][name], weight, atol=2e-5, rtol=2e-4)
    model.use_engine("written")
    with pytest.raises(InterruptedError):
        model.infer(draws, shown, x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_draw_has_the_same_gradients_without_the_engine(dtype: torch.dtype) -> None:
    found = []
    for engine in ("auto", "plain"):
        torch.manual_seed(0)
        model = DRAW(DRAWConfig(size=8, hidden=12, steps=3, latent=3))
        model.use_engine(engine)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = objective(model.bound(images(3), context(3, 0), noise(3, 1, 3, 3)))
        found.append(torch.autograd.grad(loss, list(model.parameters())))
    off = 1e-4 if dtype == torch.float32 else 5e-2
    for mine, plain in zip(*found, strict=True):
        assert (mine - plain).norm() <= off * plain.norm() + 1e-6


def test_the_written_engine_is_refused_where_there_is_none() -> None:
    with pytest.raises(OneshotError, match="written-out gradient of GaussianFilters"):
        tiny_model(attention="gaussian").use_engine("written")
    with pytest.raises(OneshotError, match="written-out gradient of vae models"):
        build(VAEConfig(size=8)).use_engine("written")
    model = tiny_model()
    model.use_engine("written")
    model._step = model._step  # type: ignore[method-assign]
    assert model.infer(noise(2, 3, 2), context(2, 1), images(2)).latent
    model._step = lambda *a: SequentialGenerator._step(model, *a)  # type: ignore[method-assign]
    with pytest.raises(OneshotError, match="the steps of this SequentialGenerator"):
        model.infer(noise(2, 3, 2), context(2, 1), images(2))


def test_training_takes_the_engine_from_its_configuration(tmp_path: Path) -> None:
    drawings = tiny_drawings()
    for engine in ("plain", "written"):
        config = TrainConfig(iterations=1, batch=2, engine=engine)
        experiment = Experiment(TINY, config, DataSpec("tiny"))
        episodes = Episodes(drawings, TaskMix(), seed=0)
        run = Trainer(RunFolder(tmp_path), experiment, episodes, drawings)
        assert vars(run.model)["engine"] == engine
    with pytest.raises(ValueError, match="engine is auto, written, plain, not 'fast'"):
        TrainConfig(engine="fast")  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["plain", "written"])
def test_the_command_keeps_the_engine_that_it_was_given(engine: str, tmp_path: Path) -> None:
    write_crosses(tmp_path / "data/folder")
    words = ["train", "--dataset", "folder", "--data-dir", str(tmp_path / "data"), "--size", "14"]
    words += ["-o", str(tmp_path / "run"), "--iterations", "1", "--batch", "2", "--quiet"]
    words += ["--engine", engine]
    for name, value in small("flagship").items():
        words += ["--set", f"{name}={value}"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    saved = json.loads((tmp_path / "run/config.json").read_text())
    assert saved["training"]["engine"] == engine
    assert CliRunner().invoke(app, [*words[:-4], "--resume"]).exit_code == 2


def test_the_command_says_where_the_engine_has_no_gradient(tmp_path: Path) -> None:
    write_crosses(tmp_path / "data/folder")
    words = ["train", "--dataset", "folder", "--data-dir", str(tmp_path / "data"), "--size", "14"]
    words += ["-o", str(tmp_path / "run"), "--model", "vae", "--engine", "written"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "the engine has no written-out gradient of vae models" in result.output
