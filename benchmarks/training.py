"""The speed of a training step (forward, backward, optimizer): engine and eager reference."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.reference import Reference
from benchmarks.roofline import floor
from benchmarks.timing import alternate, ratio
from oneshot_cli.model import Context, SequentialConfig, SequentialGenerator
from oneshot_cli.model.objective import objective

INK = 0.09
ENCODER = 256
"""Width of the image encoders of the cases that have them."""

Canvas = Literal["additive", "gated"]


@dataclass(frozen=True)
class Case:
    """One row: a model of the paper with this canvas, at this size; with image encoders or not."""

    canvas: Canvas = "additive"
    size: int = 52
    steps: int = 20
    batch: int = 64
    bf16: bool = False
    recompute: int = 0
    image_encoders: bool = False

    @property
    def config(self) -> SequentialConfig:
        units = ENCODER if self.image_encoders else 0
        return SequentialConfig(
            canvas=self.canvas, image_encoder_units=units, size=self.size, steps=self.steps
        )


@dataclass(frozen=True)
class Row:
    """Results of a case: seconds of a step (medians), ratios, and memory in MB.

    `plain` is the reference in float32, in which public repositories train. `floor` is the lower
    bound of `benchmarks.roofline`, `torch_floor` the same with PyTorch's own products.
    """

    case: Case
    reference: float
    engine: float
    floor: float
    plain: float
    times_faster: float
    times_plain: float
    times_floor: float
    torch_floor: float
    times_torch_floor: float
    memory: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def cases(full: bool) -> Iterator[Case]:
    """The default cases, or all if `full`."""
    sizes, steps, batches = ((28, 52), (20, 80), (64, 256)) if full else ((28, 52), (20,), (64,))
    for image_encoders, size, t, batch, canvas, bf16 in product(
        (False, True), sizes, steps, batches, get_args(Canvas), (False, True)
    ):
        if full or size == 52 or (canvas == "additive" and not image_encoders):
            yield Case(canvas, size, t, batch, bf16, image_encoders=image_encoders)


def training_step(
    model: SequentialGenerator | Reference, case: Case, device: torch.device
) -> Callable[[], None]:
    """A function that does a step on random drawings with one context image, as `Trainer` does.

    The reference uses the optimizer's default implementation, the engine the fused one.
    """
    model.to(device)
    if case.recompute and isinstance(model, SequentialGenerator):
        model.recompute(case.recompute)
    fused = isinstance(model, SequentialGenerator) and device.type in ("cpu", "cuda")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=fused or None)
    drawings = (torch.rand(2, case.batch, 1, case.size, case.size, device=device) < INK).float()
    context = Context.of(drawings[1][:, None])
    noise = torch.randn(case.batch, 1, case.steps, model.config.latent, device=device)

    def run() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=case.bf16):
            loss = objective(model.bound(drawings[0], context, noise, gradient_limit=1.0))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 200.0)
        optimizer.step()

    return run


def measure(case: Case, turns: int, device: torch.device) -> Row:
    """Time reference, engine and floor alternately, and measure memory in separate processes."""
    torch.manual_seed(0)
    plain = replace(case, bf16=False)
    dtype = torch.bfloat16 if case.bf16 else torch.float32
    runs = {
        "reference": training_step(Reference(case.config), case, device),
        "engine": training_step(SequentialGenerator(case.config), case, device),
        "floor": floor(case.config, case.batch, dtype, device),
        "torch_floor": floor(case.config, case.batch, dtype, device, F.linear),
    }
    if case.bf16:
        runs["plain"] = training_step(Reference(plain.config), plain, device)
    seconds = alternate(runs, turns, device)
    seconds.setdefault("plain", seconds["reference"])
    median = {name: statistics.median(taken) for name, taken in seconds.items()}
    return Row(
        case,
        **median,
        times_faster=ratio(seconds["reference"], seconds["engine"]),
        times_plain=ratio(seconds["plain"], seconds["engine"]),
        times_floor=ratio(seconds["engine"], seconds["floor"]),
        times_torch_floor=ratio(seconds["engine"], seconds["torch_floor"]),
        memory={name: peak_memory(name, case, device) for name in ("reference", "engine")},
    )


def peak_memory(which: str, case: Case, device: torch.device) -> float:
    """The peak memory in MB that two training steps add to a process with torch and the model."""
    command = [sys.executable, "-m", "benchmarks.memory", which, json.dumps(asdict(case))]
    command += [str(device), str(torch.get_num_threads())]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
