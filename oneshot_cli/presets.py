"""Presets: models by name, as in the tables of docs/results.md. Nothing here imports torch.

A preset holds the fields of a configuration that differ from the defaults. Each can be overridden.
Sizes, channels and the observation come from the data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preset:
    """A `kind` of model, fields of its `model` and `training` configurations, and its `task`.

    `task` is the paper's 1, 2 or 3. None is a mix of the three, for a conditional model.
    """

    kind: str
    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    task: int | None = 1


_PAPER = {"latent": 4}
_NO_DECAY = {"weight_decay": 0.0}
_VAE = {**_NO_DECAY, "batch": 100, "iterations": 36_000, "decay": 0.6}


def _sequential(steps: int, canvas: str, attention: str = "spatial-transformer") -> Preset:
    """A row of the table in Rezende et al. 2016, with the paper's sizes and bounded windows."""
    fields = {**_PAPER, "steps": steps, "canvas": canvas, "attention": attention}
    return Preset("sequential", fields)


PRESETS: dict[str, Preset] = {
    # The sequential generator that ships, before its image encoder.
    "flagship": Preset("sequential", {"prior": "learned", "output": "residual"}, task=None),
    # The settings of Rezende et al. 2016, with its free windows.
    "paper": Preset("sequential", {**_PAPER, "attention": "free-transformer"}, task=None),
    "st-cgru-80": _sequential(80, "gated"),
    "st-add-80": _sequential(80, "additive"),
    "st-cgru-30": _sequential(30, "gated"),
    "st-add-30": _sequential(30, "additive"),
    "fc-cgru-80": _sequential(80, "gated", "fully-connected"),
    # DRAW of Gregor et al. 2015: without attention, and with windows of 2 x 2 and 5 x 5.
    "draw-64-noattn": Preset("draw", {"attention": "fully-connected"}, _NO_DECAY),
    "draw-64-gauss": Preset("draw", {}, _NO_DECAY),
    # Burda et al. 2015: two stochastic layers, 50 particles.
    "iwae-2l-50": Preset(
        "vae",
        {"latent": (100, 50), "hidden": (200, 100), "activation": "tanh"},
        {
            **_NO_DECAY,
            "batch": 20,
            "particles": 50,
            "learning_rate": 1e-3,
            "kl_warmup": 0,
            "iterations": 160_000,
        },
    ),
    "vae": Preset("vae", {}, _VAE),
    # Larochelle & Murray 2011: pixels one after another.
    "nade": Preset("nade", {}, _VAE),
    "vae-nf": Preset("vae", {"flow": 10}, _VAE),
}
