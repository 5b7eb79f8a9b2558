"""`TrainConfig`: how a model is trained, as plain data in config.json and in checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, get_args

from oneshot_cli.data.augmentation import Augmentation
from oneshot_cli.data.episodes import TaskMix
from oneshot_cli.errors import OneshotError
from oneshot_cli.model.interface import Engine
from oneshot_cli.model.objective import Objective
from oneshot_cli.ranges import (
    COUNT,
    MOST_SEED,
    MOST_STEPS,
    NO_LIMIT,
    SHARE,
    Range,
    check_fields,
    number,
)

NORM = Range(above=0, most=NO_LIMIT)
"""Range of the limits of gradient norms. The largest value means no limit."""
DECAY = Range(least=0, below=1)
"""Range of the decay of moving averages."""


EARLIER_TRAINING = ("steps_before", "seconds_before", "data_before")
"""Fields that a run has from the checkpoint that it starts from; nobody sets them."""


@dataclass(frozen=True)
class TrainConfig:
    """The settings of a run that decide what it computes.

    Settings of device, display and time are in `workflows.train.RunOptions`.
    """

    iterations: int = number(20_000, Range(least=1, most=MOST_STEPS))
    batch: int = 64
    learning_rate: float = number(1.5e-3, Range(above=0, most=1))
    warmup: int = number(300, Range(least=0, most=MOST_STEPS))
    """Iterations over which the learning rate rises linearly from 0."""
    decay: float = number(0.4, SHARE)
    """The share of the run at its end over which the learning rate falls linearly to 0."""
    kl_warmup: int = number(2_000, Range(least=0, most=MOST_STEPS))
    """Iterations over which the weight of the KL rises linearly from `kl_start` to 1."""
    kl_start: float = number(0.1, SHARE)
    free_bits: float = number(0.0, Range(least=0, most=10**6))
    """Free bits in nats for each group of latents (Kingma et al. 2016)."""
    clip: float = number(1_000.0, NORM)
    """Largest norm of the gradient of the mean bound. Ordinary batches stay below it."""
    step_clip: float = number(2_000.0, NORM)
    """Largest norm of one example's gradient in the hidden state of one step, likewise."""
    weight_decay: float = number(1e-4, Range(least=0, most=100))
    betas: tuple[float, float] = number((0.9, 0.98), DECAY)
    average: float = number(0.9995, DECAY)
    """Decay of the exponential moving average of the weights. The average is what is saved."""
    particles: int = 1
    """K, the number of posterior samples for each image."""
    objective: Objective = "iwae"
    """The bound: "iwae" is L_K of Burda et al. 2015, the ELBO for K = 1. "elbo" is the mean ELBO
    of the particles."""
    bf16: bool | None = False
    """Whether matrix products are in bfloat16. None: if the hardware has instructions for it."""
    recompute: int = number(0, Range(least=0, most=COUNT.most))
    """Keep only the state of every n-th step for the backward pass, and recompute the others. The
    gradients are the same and take less memory. 0 keeps every state."""
    engine: Engine = "auto"
    """How gradients are computed: "written" by the engine's written-out backward pass (an error if
    the model has none), "plain" by autograd, "auto" by the engine if possible; see
    `GenerativeModel.use_engine`."""
    evaluation_drawings: int = 600
    """Number of validation drawings in an evaluation, by which the best weights are chosen."""
    seed: int = number(0, Range(least=0, most=MOST_SEED))
    steps_before: int = number(0, Range(least=0))
    """Iterations of earlier training, of the weights that the run started from."""
    seconds_before: float = number(0.0, Range(least=0))
    """Seconds of that earlier training."""
    data_before: tuple[str, ...] = ()
    """The data sets and splits of that earlier training, see `Header.seen`."""
    tasks: TaskMix = field(default_factory=TaskMix)
    augmentation: Augmentation = field(default_factory=Augmentation)
    """Strength at the start. It decays to 0 with the learning rate."""

    def __post_init__(self) -> None:
        check_fields(self)
        if len(self.betas) != 2:
            raise ValueError(f"betas are two numbers, not {len(self.betas)}")
        if not all(isinstance(each, str) for each in self.data_before):
            raise ValueError(f"data_before are texts, not {self.data_before!r}")
        if self.objective not in get_args(Objective):
            raise ValueError(f"objective is elbo or iwae, not {self.objective!r}")
        if self.engine not in get_args(Engine):
            raise ValueError(f"engine is {', '.join(get_args(Engine))}, not {self.engine!r}")
        if self.free_bits and self.particles > 1 and self.objective == "iwae":
            raise ValueError("free_bits apply to the KL, but L_K of several particles has no KL")

    def from_scratch(self) -> TrainConfig:
        """The same, for a run that starts from no weights."""
        return replace(self, steps_before=0, seconds_before=0.0, data_before=())

    def after(self, before: Mapping[str, Any], seen: tuple[str, ...]) -> TrainConfig:
        """The same, for a run that starts from a checkpoint whose training was `before`.

        `seen` are the data sets and splits that its weights were trained on.

        Raises OneshotError if `before` has something else than numbers.
        """
        try:
            return replace(
                self,
                steps_before=before.get("steps_before", 0) + before.get("step", 0),
                seconds_before=before.get("seconds_before", 0.0) + before.get("seconds", 0.0),
                data_before=seen,
            )
        except (TypeError, ValueError, OverflowError) as error:
            raise OneshotError(f"its earlier training is not oneshot's ({error})") from error

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> TrainConfig:
        """Build from JSON. Missing fields have their defaults.

        Raises TypeError or ValueError for fields that are unknown or out of range.
        """
        converters: dict[str, Callable[[Any], Any]] = {
            "betas": tuple,
            "data_before": _texts,
            "tasks": lambda content: TaskMix(**content),
            "augmentation": lambda content: Augmentation(**content),
        }
        return cls(**{name: converters.get(name, _same)(value) for name, value in fields.items()})

    def rate(self, step: int) -> float:
        """The learning rate at `step`: linear warm-up, constant, linear decay to 0.

        A function of the step alone, so that resuming needs no state of a scheduler of torch's.
        """
        rise = min(1.0, (step + 1) / max(self.warmup, 1))
        return self.learning_rate * rise * self.remaining(step)

    def remaining(self, step: int) -> float:
        """1 until the decay starts, then linearly falling to 0 at the end of the run."""
        length = self.decay * self.iterations
        return min(1.0, (self.iterations - step) / length) if length else 1.0

    def kl_weight(self, step: int) -> float:
        """The weight of the KL at `step`, rising linearly to 1.

        A small weight at the start keeps the posterior from collapsing to the prior.
        """
        if step >= self.kl_warmup:
            return 1.0
        return self.kl_start + (1 - self.kl_start) * step / self.kl_warmup


def _same(value: Any) -> Any:
    return value


def _texts(value: Any) -> tuple[str, ...]:
    """A list of texts as a tuple; a text is not taken for the list of its letters."""
    if isinstance(value, str):
        raise TypeError(f"{value!r} is not a list of texts")
    return tuple(value)
