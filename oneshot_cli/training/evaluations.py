"""The names in metrics.jsonl of the drawings that a run is evaluated on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VALIDATION = "validation"
"""Drawings of the training part that are not trained on, see data/validation.py."""
HELD_OUT = "held_out"
"""The split's test part, in runs that are older than the validation part."""


def evaluated(row: dict[str, Any]) -> str | None:
    """The drawings that a row of metrics evaluates; None for a row of training."""
    return next((name for name in (VALIDATION, HELD_OUT) if f"{name}_bound" in row), None)


def in_words(name: str) -> str:
    """The name for display."""
    return name.replace("_", " ")


def nats(figures: Mapping[str, Any], name: str) -> str:
    """The negative bound on the drawings called `name`, with its standard error if it has one.

    One drawing alone has no standard error.
    """
    error = figures[f"{name}_error"]
    return f"{-figures[f'{name}_bound']:.2f}" + ("" if error is None else f" +- {error:.2f}")
