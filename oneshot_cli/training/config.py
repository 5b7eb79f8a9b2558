"""How a model is trained, as plain data: written beside the run, read again to resume it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, get_args

from oneshot_cli.data.augmentation import Augmentation
from oneshot_cli.data.episodes import TaskMix
from oneshot_cli.model.interface import Engine
from oneshot_cli.model.objective import Objective
from oneshot_cli.ranges import (
    COUNT,
    MOST_SEED,
    MOST_STEPS,
    SHARE,
    Range,
    check_numbers,
    number,
)

NORM = Range(above=0, most=10**12)
"""Limits of a gradient's norm; the largest is none."""
DECAY = Range(least=0, below=1)
"""Decays of moving averages."""


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what a run computes; where and how long is given apart."""

    iterations: int = number(20_000, Range(least=1, most=MOST_STEPS))
    batch: int = 64
    learning_rate: float = number(1.5e-3, Range(above=0, most=1))
    warmup: int = number(300, Range(least=0, most=MOST_STEPS))
    """Iterations over which the learning rate rises from 0."""
    decay: float = number(0.4, SHARE)
    """The last share of the run, over which the learning rate falls to 0."""
    kl_warmup: int = number(2_000, Range(least=0, most=MOST_STEPS))
    """Iterations over which the KL's weight rises from `kl_start` to 1."""
    kl_start: float = number(0.1, SHARE)
    free_bits: float = number(0.0, Range(least=0, most=10**6))
    """Nats that each latent group may spend before they count (Kingma et al. 2016)."""
    clip: float = number(1_000.0, NORM)
    """Largest norm of the gradient of the mean bound: a guard that ordinary batches never meet."""
    step_clip: float = number(2_000.0, NORM)
    """Largest norm of an example's gradient in the hidden state of a step: likewise."""
    weight_decay: float = number(1e-4, Range(least=0, most=100))
    betas: tuple[float, float] = number((0.9, 0.98), DECAY)
    average: float = number(0.9995, DECAY)
    """Decay of the exponential average of the weights, which is what is kept."""
    particles: int = 1
    """K, samples of the posterior for each image."""
    objective: Objective = "iwae"
    """L_K, which for one particle is the ELBO; or the ELBO, the mean over the particles."""
    bf16: bool | None = False
    """Matrix products in bfloat16; None: where that is faster on the machine."""
    recompute: int = number(0, Range(least=0, most=COUNT.most))
    """Save every so many steps' state for the backward pass and compute the rest again: the same
    gradients in less memory. 0 keeps everything."""
    engine: Engine = "auto"
    """How gradients are computed: by written-out code if there is any ("auto"), that or an error
    ("written"), or autograd alone ("plain"), see `GenerativeModel.use_engine`."""
    seed: int = number(0, Range(least=0, most=MOST_SEED))
    steps_before: int = number(0, Range(least=0))
    """Iterations that went into the weights that the run began with."""
    seconds_before: float = number(0.0, Range(least=0))
    """And the time that they took."""
    tasks: TaskMix = field(default_factory=TaskMix)
    augmentation: Augmentation = field(default_factory=Augmentation)
    """Strength at first; it fades out as the learning rate decays."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if len(self.betas) != 2:
            raise ValueError(f"betas are two numbers, not {len(self.betas)}")
        if self.objective not in get_args(Objective):
            raise ValueError(f"objective is elbo or iwae, not {self.objective!r}")
        if self.engine not in get_args(Engine):
            raise ValueError(f"engine is {', '.join(get_args(Engine))}, not {self.engine!r}")
        if self.free_bits and self.particles > 1 and self.objective == "iwae":
            raise ValueError("free_bits apply to the KL, which L_K of several particles has not")

    def after(self, before: Mapping[str, Any]) -> TrainConfig:
        """The same, beginning with the weights of a checkpoint whose training was `before`."""
        return replace(
            self,
            steps_before=before.get("steps_before", 0) + before.get("step", 0),
            seconds_before=before.get("seconds_before", 0.0) + before.get("seconds", 0.0),
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> TrainConfig:
        """Build from JSON; fields that are missing have their defaults.

        Raises TypeError or ValueError when the fields do not fit.
        """
        made: dict[str, Callable[[Any], Any]] = {
            "betas": tuple,
            "tasks": lambda content: TaskMix(**content),
            "augmentation": lambda content: Augmentation(**content),
        }
        return cls(**{name: made.get(name, _same)(value) for name, value in fields.items()})

    def rate(self, step: int) -> float:
        """The learning rate: linear warm-up, constant, linear decay to 0 at the end."""
        rise = min(1.0, (step + 1) / max(self.warmup, 1))
        return self.learning_rate * rise * self.remaining(step)

    def remaining(self, step: int) -> float:
        """1 until the decay begins, then falling linearly to 0 at the end of the run."""
        length = self.decay * self.iterations
        return min(1.0, (self.iterations - step) / length) if length else 1.0

    def kl_weight(self, step: int) -> float:
        """The weight of the KL: rising linearly to 1, so that the latents come alive first."""
        if step >= self.kl_warmup:
            return 1.0
        return self.kl_start + (1 - self.kl_start) * step / self.kl_warmup


def _same(value: Any) -> Any:
    return value
