"""The training loop: episodes in, a bound up, checkpoints out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

import oneshot_cli
from oneshot_cli import checkpoint
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.episodes import Episodes
from oneshot_cli.devices import to_device
from oneshot_cli.distributed import ALONE, World
from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation.bounds import evaluate
from oneshot_cli.experiment import Experiment
from oneshot_cli.model import Context, GenerativeModel, build
from oneshot_cli.training import state
from oneshot_cli.training.averaging import WeightAverage
from oneshot_cli.training.evaluations import VALIDATION
from oneshot_cli.training.folder import RunFolder
from oneshot_cli.training.loss import Loss
from oneshot_cli.training.statistics import NonfiniteGradients, RunningMeans
from oneshot_cli.training.stopping import stop_signals

MAX_NONFINITE = 25
"""Iterations in a row without a finite gradient after which a run stops."""

ON, TIME, SIGNAL = range(3)
"""What a process wishes between two iterations; the highest wish of all is granted."""


@dataclass(frozen=True)
class Intervals:
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
    does: data and noise are functions of the seed and the iteration. The processes of a `world`
    share the examples of each batch; the run is the same, up to rounding, however many there are.
    Evaluations, by which the best weights are chosen, are of `validation`, which metrics call
    `evaluated_on`; where it is empty there are none.
    """

    def __init__(
        self,
        folder: RunFolder,
        experiment: Experiment,
        episodes: Episodes,
        validation: Drawings,
        *,
        evaluated_on: str = VALIDATION,
        world: World = ALONE,
        intervals: Intervals = Intervals(),
        hooks: Hooks = Hooks(),
    ) -> None:
        config = experiment.training
        self.folder, self.experiment, self.config = folder, experiment, config
        self.episodes, self.validation, self.evaluated_on = episodes, validation, evaluated_on
        self.intervals, self.hooks = intervals, hooks
        self.world, self.device = world, world.device
        self.part = world.part(config.batch)
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")
        torch.manual_seed(config.seed)
        self.model = build(experiment.model).to(self.device)
        if config.recompute:
            self.model.recompute(config.recompute)
        self.model.use_engine(config.engine)
        self.average = WeightAverage(self.model, config.average)
        self.loss = world.parallel(Loss(self.model, config.objective, config.free_bits, world))
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=config.learning_rate,
            betas=config.betas,
            weight_decay=config.weight_decay,
            fused=self.device.type in ("cpu", "cuda"),
        )
        self.counters = state.Counters()
        self.figures: dict[str, Any] = {}
        self.nonfinite = NonfiniteGradients(self.device)

    def resume(self) -> None:
        """Go on from the folder's state. Raises OneshotError where it does not fit."""
        found = self.world.from_main(lambda: state.read(self.folder.state))
        found.restore(self.model, self.average, self.optimizer)
        self.counters = found.counters
        self.world.from_main(lambda: self.folder.forget_after(self.counters.step))

    def fit(self, max_seconds: float | None = None) -> str:
        """Train. Returns why it ended: "done", "time" or "signal"; everything is saved by then."""
        started, before = time.monotonic(), self.counters.seconds
        window = RunningMeans()
        with stop_signals(passed_on=self.world.size > 1) as asked_to_stop:
            while True:
                passed = time.monotonic() - started
                self.counters.seconds = before + passed
                over = max_seconds is not None and passed >= max_seconds
                agreed = self.world.maximum(SIGNAL if asked_to_stop() else TIME if over else ON)
                if agreed == SIGNAL:
                    reason = "signal"
                    self.save()  # at once: who asked may not wait for the evaluation
                elif self.counters.step >= self.config.iterations:
                    reason = "done"
                elif agreed == TIME:
                    reason = "time"
                else:
                    window.add(self._iterate())
                    self._periodic_work(window)
                    continue
                self._evaluate()
                self.save()
                return reason

    def _iterate(self) -> dict[str, Tensor]:
        """One iteration: an episode, its bound, a step.

        Returns means over the batch, of which each process has its part. Nothing here waits for a
        GPU, so that it always has the next kernels in store.
        """
        step, config = self.counters.step, self.config
        strength = config.augmentation.scaled(config.remaining(step))
        episode = self.episodes.batch(step, config.batch, strength, self.part)
        noise = torch.randn(
            config.batch,
            config.particles,
            *self.model.noise_shape,
            generator=torch.Generator().manual_seed((config.seed + 1) * 7_000_003 + step),
        )
        # The mean over the processes of what is `weight` times the mean of a part is the mean of
        # the batch, whether or not the parts are equally large.
        size, processes = len(episode.target), self.world.size
        weight = processes * size / config.batch
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bool(config.bf16)):
            loss, bound = self.loss(
                episode.target,
                Context(episode.context, episode.mask, episode.alphabet),
                to_device(noise[self.part], self.device),
                gradient_limit=processes * config.step_clip / config.batch,
                kl_weight=config.kl_weight(step),
            )
        self.optimizer.zero_grad(set_to_none=True)
        (weight * loss).backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = config.rate(step)
        nonfinite = 1 - torch.isfinite(norm).float()
        self._step(nonfinite)
        self.nonfinite.add(nonfinite)
        self.average.update(self.model, step)
        self.counters.step += 1
        return {
            "bound": weight * bound.elbo.detach().mean(),
            "reconstruction": weight * bound.log_likelihood.detach().mean(),
            "kl": weight * bound.kl.detach().sum(-1).mean(),
            "gradient": norm,
        }

    def _step(self, nonfinite: Tensor) -> None:
        """A step of the optimizer, or none if `nonfinite` is 1.

        The fused optimizer reads that on the device, as it does for torch.amp.GradScaler.
        """
        if self.optimizer.defaults["fused"]:
            self.optimizer.found_inf = nonfinite  # type: ignore[attr-defined]
            self.optimizer.step()
        elif not nonfinite:
            self.optimizer.step()

    def _check_gradients(self) -> None:
        """Take over how many gradients were not finite; stop when there are only such."""
        fresh, in_a_row = self.nonfinite.read()
        self.counters.skipped += fresh
        if in_a_row >= MAX_NONFINITE:
            raise OneshotError(
                f"{self.folder.path}: diverged, no finite gradient in {MAX_NONFINITE} iterations "
                f"up to {self.counters.step}.\nThe last saved state is good; resume it with a "
                "lower --learning-rate or --clip."
            )

    def _periodic_work(self, window: RunningMeans) -> None:
        """Logging, evaluation, samples and saving, each at its own intervals."""
        step, intervals = self.counters.step, self.intervals
        if step % intervals.log == 0 or self.device.type == "cpu":  # which is never waited for
            self._check_gradients()
        if step % intervals.log == 0:
            means = self.world.mean(window.means())
            row = {
                "step": step,
                **dict(zip(window.names, means, strict=True)),
                "learning_rate": self.config.rate(step - 1),
                "kl_weight": self.config.kl_weight(step - 1),
                "images_per_second": window.count * self.config.batch / window.seconds,
                "seconds": self.counters.seconds,
                "skipped": self.counters.skipped,
            }
            window.clear()
            self._report(row)
        if step % intervals.evaluate == 0 and step < self.config.iterations:
            self._evaluate()
        if step % intervals.sample == 0 and self.world.is_main:
            self.hooks.samples(self.average.model, step)
        if step % intervals.save == 0:
            self.save()

    def _report(self, row: dict[str, Any]) -> None:
        """Write a row of metrics, and show it."""
        if self.world.is_main:
            self.folder.log(row)
            self.hooks.metrics(row)

    def _evaluate(self) -> None:
        """The bound of the averaged weights on validation drawings, given one other drawing.

        Weights with the best bound so far are kept.
        """
        drawings, name = self.validation, self.evaluated_on
        if not len(drawings):
            return
        count = min(self.intervals.evaluation_drawings, len(drawings))
        index = torch.linspace(0, len(drawings) - 1, count).long()
        shown = int(self.model.config.conditional and self.config.tasks.empty < 1)
        report = evaluate(
            self.average.model, drawings, index=index, context_images=shown, world=self.world
        )
        (bound, error), (kl, _) = report.mean("elbo"), report.mean("kl")
        row: dict[str, Any] = {
            "step": self.counters.step,
            f"{name}_bound": bound,
            f"{name}_error": error,
            f"{name}_kl": kl,
            "seconds": self.counters.seconds,
        }
        size = drawings.size
        self.figures = {**row, "drawings": count, "context_images": shown, "size": size}
        steps = report.kl_per_step.double().mean(0).tolist()
        row[f"{name}_kl_per_step"] = [round(nats, 4) for nats in steps]
        self._report(row)
        if self.counters.best is None or bound > self.counters.best:
            self.counters.best = bound
            if self.world.is_main:
                checkpoint.save(self.folder.best, self.average.model, self.header())

    def header(self) -> checkpoint.Header:
        """What a checkpoint of this moment says about itself."""
        return checkpoint.Header(
            config=self.experiment.model,
            data=self.experiment.data.to_dict(),
            training={**self.config.to_dict(), **asdict(self.counters)},
            figures=self.figures,
            version=oneshot_cli.__version__,
        )

    def save(self) -> None:
        """Write the state and the last checkpoint, which is the best where nothing is evaluated."""
        self._check_gradients()
        if self.world.is_main:
            state.save(self.folder.state, self.model, self.average, self.optimizer, self.counters)
            for path in (self.folder.last, *(() if len(self.validation) else (self.folder.best,))):
                checkpoint.save(path, self.average.model, self.header())
