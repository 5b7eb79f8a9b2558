"""Old names in files, and their names now.

Checkpoints, run folders and recipes that were written with old names are read through this module,
and nothing else knows of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIELDS = {
    "summary_units": "image_encoder_units",
    "summary_channels": "image_encoder_channels",
}
"""Fields of models' configurations."""
PARTS = {
    "summary": "image_encoder",
    "embed_summary": "embed_image",
    "aim": "attention",
}
"""Modules in the names of weights."""


def current_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a configuration, by their names now."""
    return {FIELDS.get(name, name): value for name, value in fields.items()}


def current_weight(name: str) -> str:
    """The name now of a weight, or of what a run's state keeps of it: "average/writer.aim.bias"."""
    folder, slash, weight = name.rpartition("/")
    return folder + slash + ".".join(PARTS.get(part, part) for part in weight.split("."))
