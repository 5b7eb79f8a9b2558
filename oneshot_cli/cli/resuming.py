"""The options of `oneshot train` that cannot be combined with `--resume`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import typer

FIXED_OPTIONS = {
    **{name: f"--{name}" for name in ("dataset", "split", "binarization", "resample", "model")},
    **{name: f"--{name}" for name in ("size", "steps", "latent", "hidden", "attention", "canvas")},
    **{name: f"--{name}" for name in ("glimpse", "patch", "task", "batch", "objective")},
    **{name: f"--{name}" for name in ("particles", "augment", "turn", "clip", "bf16", "seed")},
    "config": "--config",
    "engine": "--engine",
    "image_encoder": "--image-encoder",
    "summary": "--summary",
    "symbols": "--symbols",
    "validation": "--validation",
    "learning_rate": "--learning-rate",
    "kl_warmup": "--kl-warmup",
    "prior": "--prior",
    "output_network": "--output-network",
    "fields": "--set",
    "start": "--from",
}
"""Parameters of `oneshot train` whose values are in config.json, and the names of their options."""


def refuse_changes(command: Callable[..., None], given: Mapping[str, Any]) -> None:
    """Raise BadParameter if `given`, the arguments of `command`, set one of FIXED_OPTIONS."""
    parameters = signature(command).parameters
    named = [
        flag for name, flag in FIXED_OPTIONS.items() if given[name] != parameters[name].default
    ]
    if named:
        raise typer.BadParameter(
            f"--resume continues the run with the settings in its config.json: leave out "
            f"{', '.join(named)}, or start a new run in another --output"
        )
