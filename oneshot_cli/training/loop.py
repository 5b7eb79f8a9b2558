"""The training loop."""

from __future__ import annotations

import math
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
from oneshot_cli.training.cuda_graphs import Computation, Replayed
from oneshot_cli.training.evaluations import VALIDATION
from oneshot_cli.training.folder import RunFolder
from oneshot_cli.training.loss import Loss
from oneshot_cli.training.statistics import NonfiniteGradients, RunningMeans
from oneshot_cli.training.stopping import stop_signals

MAX_NONFINITE = 25
"""A run stops after this many iterations in a row without a finite gradient."""

CONTINUE, OUT_OF_TIME, SIGNALLED = range(3)
"""What a process asks for between two iterations. All follow the maximum over the processes."""


@dataclass(frozen=True)
class Intervals:
    """Iterations between two logs, evaluations, saves and sheets of samples."""

    log: int = 50
    evaluate: int = 1_000
    save: int = 500
    sample: int = 1_000


@dataclass(frozen=True)
class Hooks:
    """Callbacks of a run.

    `metrics` gets every row of metrics.jsonl. `samples` gets the averaged model and the iteration.
    """

    metrics: Callable[[dict[str, Any]], None] = lambda row: None
    samples: Callable[[GenerativeModel, int], None] = lambda model, step: None


class Trainer:
    """A training run in a folder. `fit` trains until the run is done, out of time or interrupted.

    On the CPU the weights of a run that was stopped and resumed equal those of an uninterrupted one
    bit for bit, because data and noise are functions of the seed and the iteration. A stop by time
    or a signal adds an evaluation, whose weights may become the best ones; metrics are means over
    the iterations since the last row or start. The processes of a `world` share the
    examples of each batch; their number changes the results only by rounding. The best weights are
    chosen by evaluations on `validation`, which metrics call `evaluated_on`. Without validation
    drawings there are no evaluations.
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
        compiled: bool = False,
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
        self.gradients: Computation = self._gradients
        if self.device.type == "cuda" and world.size == 1 and not compiled:
            self.gradients = Replayed(self._gradients, self.model.parameters())
        self.counters = state.Counters()
        self.data = episodes.drawings.fingerprint()
        self.figures: dict[str, Any] = {}
        self.nonfinite = NonfiniteGradients(self.device)

    def resume(self) -> None:
        """Restore the folder's state. Raises OneshotError if it does not fit the model."""
        found = self.world.from_main(lambda: state.read(self.folder.state))
        if found.data not in ("", self.data):
            raise OneshotError(
                f"{self.folder.path}: the drawings are not those that it was trained on\n"
                "name their folder by --data-dir, or start a new run with its weights by --from"
            )
        found.restore(self.model, self.average, self.optimizer)
        self.counters = found.counters
        step = self.counters.step
        over = step >= self.config.iterations  # `fit` then only evaluates
        self.world.from_main(lambda: self.folder.drop_rows_after(step, evaluated_again=over))

    def begin(self) -> None:
        """Save the state before the first iteration, so that the run can always be resumed."""
        if self.world.is_main:
            self.folder.drop_rows_after(0)
            self._save_state()

    def fit(self, max_seconds: float | None = None) -> str:
        """Train and save. Returns why it ended: "done", "time" or "signal"."""
        started, before = time.monotonic(), self.counters.seconds
        means = RunningMeans()
        with stop_signals(forwarded=self.world.size > 1) as asked_to_stop:
            while True:
                passed = time.monotonic() - started
                self.counters.seconds = before + passed
                over = max_seconds is not None and passed >= max_seconds
                agreed = self.world.maximum(
                    SIGNALLED if asked_to_stop() else OUT_OF_TIME if over else CONTINUE
                )
                if agreed == SIGNALLED:
                    reason = "signal"
                    self.save()  # first: a second signal may interrupt the evaluation
                elif self.counters.step >= self.config.iterations:
                    reason = "done"
                elif agreed == OUT_OF_TIME:
                    reason = "time"
                else:
                    means.add(self._iterate())
                    self._periodic_work(means)
                    continue
                if self.figures.get("step") != self.counters.step:
                    self._evaluate()
                self.save()
                return reason

    def _iterate(self) -> dict[str, Tensor]:
        """One iteration: an episode, its bound, a step of the optimizer.

        Returns this process's share of the means over the batch. Nothing here waits for a GPU, so
        that its queue does not run empty, except where a CUDA graph is recorded.
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
        self.optimizer.zero_grad(set_to_none=True)
        bound, reconstruction, kl = self.gradients(
            episode.target,
            episode.context,
            episode.mask,
            episode.alphabet,
            to_device(noise[self.part], self.device),
            torch.full((), config.kl_weight(step), dtype=torch.float32, device=self.device),
        )
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = config.rate(step)
        nonfinite = 1 - torch.isfinite(norm).float()
        self._step(nonfinite)
        self.nonfinite.add(nonfinite)
        self.average.update(self.model, step)
        self.counters.step += 1
        return {"bound": bound, "reconstruction": reconstruction, "kl": kl, "gradient": norm}

    def _gradients(
        self,
        target: Tensor,
        images: Tensor,
        mask: Tensor,
        alphabet: Tensor,
        noise: Tensor,
        kl_weight: Tensor,
    ) -> tuple[Tensor, ...]:
        """Forward and backward pass of an episode. Adds its gradients to those of the weights.

        Returns this process's share of the means of bound, reconstruction and KL.
        """
        config, processes = self.config, self.world.size
        # Processes average their gradients with equal weights, but parts may differ in size.
        # `weight` corrects that: the result is the gradient of the mean over the whole batch.
        weight = processes * len(target) / config.batch
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bool(config.bf16)):
            loss, bound = self.loss(
                target,
                Context(images, mask, alphabet),
                noise,
                gradient_limit=processes * config.step_clip / config.batch,
                kl_weight=kl_weight,
            )
        (weight * loss).backward()
        return (
            weight * bound.elbo.detach().mean(),
            weight * bound.log_likelihood.detach().mean(),
            weight * bound.kl.detach().sum(-1).mean(),
        )

    def _step(self, nonfinite: Tensor) -> None:
        """Step the optimizer, unless `nonfinite` is 1.

        The fused optimizer reads the flag on the device, as it does for torch.amp.GradScaler.
        """
        if self.optimizer.defaults["fused"]:
            self.optimizer.found_inf = nonfinite  # type: ignore[attr-defined]
            self.optimizer.step()
        elif not nonfinite:
            self.optimizer.step()

    def _check_gradients(self) -> None:
        """Count gradients that were not finite. Raises OneshotError after too many in a row."""
        new, in_a_row = self.nonfinite.read()
        self.counters.skipped += new
        if in_a_row >= MAX_NONFINITE:
            raise OneshotError(
                f"{self.folder.path}: diverged, no finite gradient in {MAX_NONFINITE} iterations "
                f"up to {self.counters.step}\nthe last saved state is good; resume it with a "
                "lower --learning-rate or --clip"
            )

    def _periodic_work(self, means: RunningMeans) -> None:
        """Log, evaluate, draw samples and save, each at its interval."""
        step, intervals = self.counters.step, self.intervals
        if step % intervals.log == 0 or self.device.type == "cpu":  # reading waits for a GPU
            self._check_gradients()
        if step % intervals.log == 0:
            values = zip(means.names, self.world.mean(means.means()), strict=True)
            row = {
                "step": step,
                **{name: value for name, value in values if math.isfinite(value)},
                "learning_rate": self.config.rate(step - 1),
                "kl_weight": self.config.kl_weight(step - 1),
                "images_per_second": means.count * self.config.batch / means.seconds,
                "seconds": self.counters.seconds,
                "skipped": self.counters.skipped,
            }
            means.clear()
            self._report(row)
        with means.uncounted():
            if step % intervals.evaluate == 0 and step < self.config.iterations:
                self._evaluate()
            if step % intervals.sample == 0 and self.world.is_main:
                self.hooks.samples(self.average.model, step)
            if step % intervals.save == 0:
                self.save()

    def _report(self, row: dict[str, Any]) -> None:
        """Write a row of metrics and pass it to the hook."""
        if self.world.is_main:
            self.folder.log(row)
            self.hooks.metrics(row)

    def _evaluate(self) -> None:
        """Evaluate the averaged weights on validation drawings, given one context image.

        Weights with the best bound so far are saved.
        """
        drawings, name = self.validation, self.evaluated_on
        if not len(drawings):
            return
        count = min(self.config.evaluation_drawings, len(drawings))
        index = torch.linspace(0, len(drawings) - 1, count).long()
        shown = int(self.model.config.conditional and self.config.tasks.empty < 1)
        report = evaluate(
            self.average.model, drawings, index=index, context_images=shown, world=self.world
        )
        (bound, error), (kl, _) = report.mean("elbo"), report.mean("kl")
        row: dict[str, Any] = {
            "step": self.counters.step,
            f"{name}_bound": bound,
            f"{name}_error": None if math.isnan(error) else error,  # JSON has no NaN
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
        """The header of a checkpoint of the current weights."""
        return checkpoint.Header(
            config=self.experiment.model,
            data=self.experiment.data.to_dict(),
            training={**self.config.to_dict(), **asdict(self.counters)},
            figures=self.figures,
            sampling=self.experiment.sampling,
            version=oneshot_cli.__version__,
        )

    def _save_state(self) -> None:
        """Write the state, on the main process."""
        parts = self.model, self.average, self.optimizer, self.counters
        state.save(self.folder.state, *parts, self.data)

    def save(self) -> None:
        """Write the state and the last checkpoint. Without evaluations it is the best one, too."""
        self._check_gradients()
        if self.world.is_main:
            self._save_state()
            for path in (self.folder.last, *(() if len(self.validation) else (self.folder.best,))):
                checkpoint.save(path, self.average.model, self.header())
