"""The training loop: episodes in, a bound up, checkpoints out."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Any

import torch
from torch import Tensor

import oneshot_cli
from oneshot_cli import checkpoint
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.episodes import Episodes
from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation.bounds import evaluate
from oneshot_cli.model import Config, Context, GenerativeModel, build
from oneshot_cli.model.objective import objective
from oneshot_cli.training import state
from oneshot_cli.training.averaging import WeightAverage
from oneshot_cli.training.config import TrainConfig
from oneshot_cli.training.folder import RunFolder

HOPELESS = 25
"""Iterations in a row without a finite gradient after which a run stops."""


@dataclass(frozen=True)
class Rhythm:
    """How often, in iterations, a run does what is not training."""

    log: int = 50
    evaluate: int = 1_000
    save: int = 500
    sample: int = 1_000
    evaluation_drawings: int = 600


@dataclass(frozen=True)
class Hooks:
    """What a run tells the outside: numbers every `log` iterations, and models to be drawn with."""

    metrics: Callable[[dict[str, Any]], None] = lambda row: None
    samples: Callable[[GenerativeModel, int], None] = lambda model, step: None


class Trainer:
    """One run in one folder. `fit` trains until it is done, out of time, or asked to stop.

    On the CPU a run that was stopped and resumed computes bit for bit what an uninterrupted one
    does: data and noise are functions of the seed and the iteration.
    """

    def __init__(
        self,
        folder: RunFolder,
        model: Config,
        config: TrainConfig,
        episodes: Episodes,
        held_out: Drawings,
        data: dict[str, Any],
        *,
        device: torch.device | str = "cpu",
        rhythm: Rhythm = Rhythm(),
        hooks: Hooks = Hooks(),
    ) -> None:
        self.folder, self.config, self.episodes, self.held_out = folder, config, episodes, held_out
        self.data, self.rhythm, self.hooks = data, rhythm, hooks
        self.device = torch.device(device)
        torch.manual_seed(config.seed)
        self.model = build(model).to(self.device)
        self.average = WeightAverage(self.model, config.average)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=config.learning_rate,
            betas=config.betas,
            weight_decay=config.weight_decay,
            fused=self.device.type in ("cpu", "cuda"),
        )
        self.counters = state.Counters()
        self.figures: dict[str, Any] = {}
        self._failed_in_a_row = 0

    def resume(self) -> None:
        """Go on from the folder's state. Raises OneshotError where it does not fit."""
        path = self.folder.state
        if not path.exists():
            raise OneshotError(f"{path}: no state to resume from; start without --resume")
        self.counters = state.restore(path, self.model, self.average, self.optimizer)
        self.folder.forget_after(self.counters.step)

    def fit(self, max_seconds: float | None = None) -> str:
        """Train. Returns why it ended: "done", "time" or "signal"; everything is saved by then."""
        started, before = time.monotonic(), self.counters.seconds
        window = _Window()
        with _stop_signals() as asked_to_stop:
            while True:
                self.counters.seconds = before + time.monotonic() - started
                if asked_to_stop():
                    reason = "signal"
                elif self.counters.step >= self.config.iterations:
                    reason = "done"
                elif max_seconds is not None and time.monotonic() - started >= max_seconds:
                    reason = "time"
                else:
                    window.add(self._iterate())
                    self._everything_else(window)
                    continue
                self._evaluate()
                self.save()
                return reason

    def _iterate(self) -> dict[str, Tensor]:
        """One iteration: an episode, its bound, a step. Returns sums over the batch's mean."""
        step, config = self.counters.step, self.config
        strength = config.augmentation.scaled(config.remaining(step))
        episode = self.episodes.batch(step, config.batch, strength)
        noise = torch.randn(
            config.batch,
            config.particles,
            *self.model.noise_shape,
            generator=torch.Generator().manual_seed((config.seed + 1) * 7_000_003 + step),
        )
        context = Context(episode.context, episode.mask, episode.alphabet).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.bf16):
            bound = self.model.bound(
                episode.target.to(self.device),
                context,
                noise.to(self.device),
                gradient_limit=config.step_clip / config.batch,
            )
        loss = objective(bound, config.kl_weight(step), config.objective)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = config.rate(step)
        if bool(torch.isfinite(norm)):
            self.optimizer.step()
            self.average.update(self.model, step)
            self._failed_in_a_row = 0
        else:
            self._skip()
        self.counters.step += 1
        return {
            "bound": bound.elbo.detach().mean(),
            "reconstruction": bound.log_likelihood.detach().mean(),
            "kl": bound.kl.detach().sum(-1).mean(),
            "gradient": norm,
        }

    def _skip(self) -> None:
        """Count an iteration whose gradient was not finite; stop when there are only such."""
        self.counters.skipped += 1
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= HOPELESS:
            raise OneshotError(
                f"{self.folder.path}: diverged, no finite gradient in {HOPELESS} iterations up to "
                f"{self.counters.step}.\nThe last saved state is good; resume it with a lower "
                "--learning-rate or --clip."
            )

    def _everything_else(self, window: _Window) -> None:
        """Logging, evaluation, samples and saving, each at its own rhythm."""
        step, rhythm = self.counters.step, self.rhythm
        if step % rhythm.log == 0:
            row = {
                "step": step,
                **window.means(),
                "learning_rate": self.config.rate(step - 1),
                "kl_weight": self.config.kl_weight(step - 1),
                "images_per_second": window.count * self.config.batch / window.seconds,
                "seconds": self.counters.seconds,
                "skipped": self.counters.skipped,
            }
            window.clear()
            self.folder.log(row)
            self.hooks.metrics(row)
        if step % rhythm.evaluate == 0 and step < self.config.iterations:
            self._evaluate()
        if step % rhythm.sample == 0:
            self.hooks.samples(self.average.model, step)
        if step % rhythm.save == 0:
            self.save()

    def _evaluate(self) -> None:
        """The bound of the averaged weights on held-out characters, given one other drawing."""
        if not len(self.held_out):
            return
        count = min(self.rhythm.evaluation_drawings, len(self.held_out))
        index = torch.linspace(0, len(self.held_out) - 1, count).long()
        shown = int(self.model.config.conditional and self.config.tasks.empty < 1)
        report = evaluate(self.average.model, self.held_out, index=index, context_images=shown)
        (bound, error), (kl, _) = report.mean("elbo"), report.mean("kl")
        row: dict[str, Any] = {
            "step": self.counters.step,
            "held_out_bound": bound,
            "held_out_error": error,
            "held_out_kl": kl,
            "seconds": self.counters.seconds,
        }
        self.figures = {**row, "drawings": count, "context_images": shown}
        steps = report.kl_per_step.double().mean(0).tolist()
        row["held_out_kl_per_step"] = [round(nats, 4) for nats in steps]
        self.folder.log(row)
        self.hooks.metrics(row)
        if self.counters.best is None or bound > self.counters.best:
            self.counters.best = bound
            checkpoint.save(self.folder.best, self.average.model, self.header())

    def header(self) -> checkpoint.Header:
        """What a checkpoint of this moment says about itself."""
        return checkpoint.Header(
            config=self.model.config,
            data=self.data,
            training={**self.config.to_dict(), **asdict(self.counters)},
            figures=self.figures,
            version=oneshot_cli.__version__,
        )

    def save(self) -> None:
        """Write the state and the last checkpoint."""
        state.save(self.folder.state, self.model, self.average, self.optimizer, self.counters)
        checkpoint.save(self.folder.last, self.average.model, self.header())


class _Window:
    """Means over the iterations since the last line of metrics."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.count, self.started = 0, time.monotonic()
        self.sums: dict[str, Tensor] = {}

    def add(self, values: dict[str, Tensor]) -> None:
        self.count += 1
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, torch.zeros_like(value)) + value

    def means(self) -> dict[str, float]:
        return {name: (total / self.count).item() for name, total in self.sums.items()}

    @property
    def seconds(self) -> float:
        return max(time.monotonic() - self.started, 1e-9)


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """While inside, Ctrl-C and SIGTERM only ask to stop; a second one interrupts at once."""
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    try:
        previous = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread, where signals cannot be handled
        previous = {}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
