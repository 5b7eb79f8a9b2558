"""`--compile` and `recompute`: other ways to the same numbers, or a clear error."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from tiny import TINY, context, images, noise, tiny_drawings, tiny_model

from oneshot_cli.compiling import compile_model
from oneshot_cli.data.episodes import Episodes, TaskMix
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.errors import OneshotError
from oneshot_cli.experiment import Experiment
from oneshot_cli.model import Config, VAEConfig
from oneshot_cli.model.objective import objective
from oneshot_cli.training.config import TrainConfig
from oneshot_cli.training.folder import RunFolder
from oneshot_cli.training.loop import Trainer
from oneshot_cli.workflows.train import RunOptions, train


@pytest.mark.parametrize("canvas", ["additive", "gated"])
def test_a_compiled_model_computes_the_same(canvas: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In graphs without a break; of the compiler itself only what no machine can lack."""
    traced = partial(torch.compile, backend="aot_eager", fullgraph=True)
    monkeypatch.setattr(torch, "compile", traced)
    results = []
    for compiled in (False, True):
        model = tiny_model(canvas=canvas)
        if compiled:
            compile_model(model, torch.device("cpu"))
            assert "_step" in vars(model)
        bound = model.bound(images(4), context(4, 2), noise(4, 1, 3, 2), gradient_limit=0.05)
        objective(bound).backward()
        results.append((bound.log_likelihood, *(p.grad for p in model.parameters())))
    for mine, plain in zip(*results, strict=True):
        torch.testing.assert_close(mine, plain, atol=1e-5, rtol=1e-5)


def test_without_a_compiler_there_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("No working C++ compiler found\nand more")

    monkeypatch.setattr(torch, "compile", fails)
    with pytest.raises(OneshotError, match=r"No working C\+\+ compiler found\)\n.*without"):
        compile_model(tiny_model(), torch.device("cpu"))


def trainer(folder: Path, model: Config, recompute: int) -> Trainer:
    folder.mkdir(exist_ok=True)
    drawings = tiny_drawings()
    config = TrainConfig(iterations=2, batch=4, recompute=recompute)
    episodes = Episodes(drawings, TaskMix(), seed=0)
    experiment = Experiment(model, config, DataSpec("tiny"))
    return Trainer(RunFolder(folder), experiment, episodes, drawings)


def test_a_run_that_recomputes_is_the_same_run(tmp_path: Path) -> None:
    weights = []
    for recompute in (0, 2):
        run = trainer(tmp_path / str(recompute), TINY, recompute)
        assert getattr(run.model, "recomputed") == recompute  # noqa: B009
        run.fit()
        weights.append(run.model.state_dict())
    for name, weight in weights[0].items():
        torch.testing.assert_close(weight, weights[1][name], atol=0, rtol=0, msg=name)


def test_a_model_without_steps_says_that_it_cannot_recompute(tmp_path: Path) -> None:
    with pytest.raises(OneshotError, match="vae models cannot recompute"):
        trainer(tmp_path, VAEConfig(size=8, latent=(2,), hidden=(8,)), 2)


def test_recompute_is_no_negative_number() -> None:
    with pytest.raises(ValueError, match="recompute"):
        TrainConfig(recompute=-1)


def test_an_engine_that_a_compiled_model_lacks_is_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    training = TrainConfig(iterations=1, batch=2, engine="written", bf16=False)
    experiment = Experiment(TINY, training, DataSpec("glyphs", "weak", 8, validation=0.0))
    with pytest.raises(OneshotError, match="no written-out gradient"):
        train(experiment, tmp_path / "run", options=RunOptions(compiled=True))
    assert not (tmp_path / "run").exists()
