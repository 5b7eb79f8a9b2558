"""What the evaluations of a run are of, and how metrics.jsonl names them."""

from __future__ import annotations

from typing import Any

VALIDATION = "validation"
"""Drawings of the training part that the run does not train on: see data/validation.py."""
HELD_OUT = "held_out"
"""The split's test part, in runs that were begun before there was a validation part."""


def evaluated(row: dict[str, Any]) -> str | None:
    """What a row of metrics is an evaluation of; None for a row of training."""
    return next((name for name in (VALIDATION, HELD_OUT) if f"{name}_bound" in row), None)


def in_words(name: str) -> str:
    """The name as people read it."""
    return name.replace("_", " ")
