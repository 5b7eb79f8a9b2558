"""What a run that goes on may not be told: anything that would change what it computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import typer

SETTLED = {
    **{name: f"--{name}" for name in ("dataset", "split", "binarization", "resample", "model")},
    **{name: f"--{name}" for name in ("size", "steps", "latent", "hidden", "attention", "canvas")},
    **{name: f"--{name}" for name in ("glimpse", "patch", "task", "batch", "objective")},
    **{name: f"--{name}" for name in ("particles", "augment", "turn", "clip", "bf16", "seed")},
    "config": "--config",
    "engine": "--engine",
    "image_encoder": "--image-encoder",
    "summary": "--summary",
    "validation": "--validation",
    "learning_rate": "--learning-rate",
    "kl_warmup": "--kl-warmup",
    "prior": "--prior",
    "output_network": "--output-network",
    "fields": "--set",
    "start": "--from",
}
"""Parameters of `oneshot train` that config.json has settled, as they are typed."""


def refuse_changes(command: Callable[..., None], given: Mapping[str, Any]) -> None:
    """Raise BadParameter where the arguments `given` to `command` have something settled."""
    usual = signature(command).parameters
    named = [flag for name, flag in SETTLED.items() if given[name] != usual[name].default]
    if named:
        raise typer.BadParameter(
            f"--resume goes on with the run as its config.json has it: leave out "
            f"{', '.join(named)}, or begin another run in another --output"
        )
