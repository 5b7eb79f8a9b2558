"""An iteration is what the configuration says: against the same in plain torch, step by step."""

from __future__ import annotations

import copy
import math
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_training import CONFIG, DRAWINGS, trainer
from tiny import TINY
from torch import Tensor, nn

from oneshot_cli import checkpoint
from oneshot_cli.data.episodes import Episodes
from oneshot_cli.evaluation.bounds import evaluate
from oneshot_cli.model import Context, build
from oneshot_cli.training.config import TrainConfig
from oneshot_cli.training.statistics import RunningMeans
from oneshot_cli.training.stopping import stop_signals
from oneshot_cli.workflows.prepare import with_length

STEPS = 8
SEED = 3


class Plain:
    """Training of the tiny model, written out: batches, noise, bound, limits, AdamW, average."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        torch.manual_seed(config.seed)
        self.model = build(TINY)
        self.average = copy.deepcopy(self.model)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), betas=config.betas, weight_decay=config.weight_decay
        )
        self.episodes = Episodes(DRAWINGS, config.tasks, seed=config.seed)
        self.limited: list[bool] = []
        self.norms: list[float] = []

    def gradients(self, step: int, limit: float | None) -> dict[str, Tensor]:
        """Set the gradients of iteration `step`. Returns its means."""
        config = self.config
        left = config.remaining(step)
        batch = self.episodes.batch(step, config.batch, config.augmentation.scaled(left))
        generator = torch.Generator().manual_seed((config.seed + 1) * 7_000_003 + step)
        draws = torch.randn(config.batch, 1, *self.model.noise_shape, generator=generator)
        shown = Context(batch.context, batch.mask, batch.alphabet)
        bound = self.model.bound(batch.target, shown, draws, limit)
        kl = bound.kl.sum(-1)
        self.optimizer.zero_grad()
        (config.kl_weight(step) * kl - bound.log_likelihood).mean().backward()
        likelihood = bound.log_likelihood.mean()
        return {"bound": bound.elbo.mean(), "reconstruction": likelihood, "kl": kl.mean()}

    def iterate(self, step: int) -> dict[str, Tensor]:
        """Do iteration `step`. Returns its means."""
        config = self.config
        weight = self.model.get_parameter("transition.weight")
        self.gradients(step, None)
        free = weight.grad
        assert free is not None
        free = free.clone()
        means = self.gradients(step, config.step_clip / config.batch)
        assert weight.grad is not None
        self.limited.append(not torch.allclose(free, weight.grad))
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        self.norms.append(norm.item())
        self.optimizer.param_groups[0]["lr"] = config.rate(step)
        self.optimizer.step()
        decay = min(config.average, (1 + step) / (10 + step))
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.model.parameters(), strict=True)
            for kept, new in pairs:
                kept.mul_(decay).add_((1 - decay) * new)
        return {name: mean.detach() for name, mean in means.items()} | {"gradient": norm}


def test_an_iteration_is_what_the_configuration_says(tmp_path: Path) -> None:
    config = replace(
        CONFIG,
        iterations=STEPS,
        decay=0.5,
        clip=2.0,
        step_clip=0.4,
        seed=SEED,
        betas=(0.5, 0.7),
        weight_decay=0.3,
        average=0.3,
        learning_rate=0.01,
    )
    run, plain = trainer(tmp_path, config), Plain(config)
    for step in range(STEPS):
        expected, means = plain.iterate(step), run._iterate()
        for name, value in expected.items():
            torch.testing.assert_close(means[name], value, atol=1e-3, rtol=1e-3)
    assert any(plain.limited), "a state's gradient was limited"
    assert max(plain.norms) > config.clip, "the norm of all gradients was limited"
    for mine, theirs in ((run.model, plain.model), (run.average.model, plain.average)):
        for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


def test_gradients_follow_from_the_arguments_alone(tmp_path: Path) -> None:
    """A CUDA graph knows nothing else: it repeats what was computed in another iteration."""
    run = trainer(tmp_path, replace(CONFIG, kl_warmup=100))
    episode = run.episodes.batch(0, CONFIG.batch)
    noise = torch.randn(CONFIG.batch, CONFIG.particles, *run.model.noise_shape)

    def gradients(step: int, kl_weight: float) -> Tensor:
        run.counters.step = step
        run.model.zero_grad()
        run.gradients(
            episode.target,
            episode.context,
            episode.mask,
            episode.alphabet,
            noise,
            torch.tensor(kl_weight),
        )
        return torch.cat([p.grad.flatten() for p in run.model.parameters() if p.grad is not None])

    first = gradients(0, 0.5)
    assert torch.equal(first, gradients(1_000, 0.5))
    assert not torch.allclose(first, gradients(0, 1.0))


def test_the_averaged_weights_are_evaluated_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(tmp_path, replace(CONFIG, learning_rate=0.05, warmup=0))
    kept: dict[int, dict[str, Tensor]] = {}
    evaluate_now = run._evaluate

    def noted() -> None:
        weights = run.average.model.state_dict()
        kept[run.counters.step] = {name: weight.clone() for name, weight in weights.items()}
        evaluate_now()

    monkeypatch.setattr(run, "_evaluate", noted)
    run.fit()
    index = torch.linspace(0, len(DRAWINGS) - 1, CONFIG.evaluation_drawings).long()
    bound, last = (
        evaluate(model, DRAWINGS, index=index).mean("elbo")[0]
        for model in (run.average.model, run.model)
    )
    assert run.figures["validation_bound"] == pytest.approx(bound, abs=1e-4)
    assert abs(bound - last) > 1e-2, "the last weights are others"
    best = load_file(run.folder.best)
    step = checkpoint.read_header(run.folder.best).training["step"]
    assert all(torch.equal(best[name], weight) for name, weight in kept[step].items())


@pytest.mark.parametrize("bf16", [True, False])
def test_a_run_multiplies_in_its_type(
    bf16: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, seen = trainer(tmp_path, replace(CONFIG, bf16=bf16)), []
    bound = run.model.bound

    def noted(*arguments: Any, **options: Any) -> Any:
        seen.append(torch.is_autocast_enabled("cpu"))
        return bound(*arguments, **options)

    monkeypatch.setattr(run.model, "bound", noted)
    run._iterate()
    assert seen == [bf16]


def test_means_leave_out_what_is_not_finite() -> None:
    means = RunningMeans()
    for value in (1.0, math.nan, 4.0):
        means.add({"bound": torch.tensor(value), "kl": torch.tensor(2.0)})
    assert means.means() == [2.5, 2.0]
    assert means.count == 3


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_a_hangup_that_is_ignored_stops_nothing() -> None:
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals() as asked:
            signal.raise_signal(signal.SIGHUP)
            assert not asked()
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_epochs_are_passes_over_the_drawings() -> None:
    config = TrainConfig(batch=8)
    assert with_length(config, None, 2.5, 100).iterations == 31
    assert with_length(config, None, 1e-6, 100).iterations == 1
    assert with_length(config, 7, None, 100).iterations == 7
    assert with_length(config, None, None, 100) is config
