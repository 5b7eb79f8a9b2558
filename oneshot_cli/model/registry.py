"""The models by the kind that a checkpoint's header names. Adding one is a class and a line."""

from __future__ import annotations

from typing import Any

from oneshot_cli.model.config import Config, DRAWConfig, ModelConfig, NADEConfig, VAEConfig
from oneshot_cli.model.draw import DRAW
from oneshot_cli.model.interface import GenerativeModel
from oneshot_cli.model.nade import NADE
from oneshot_cli.model.sequential import SequentialGenerator
from oneshot_cli.model.vae import VAE

MODELS: dict[str, tuple[type[Config], type[GenerativeModel]]] = {
    "sequential": (ModelConfig, SequentialGenerator),
    "draw": (DRAWConfig, DRAW),
    "vae": (VAEConfig, VAE),
    "nade": (NADEConfig, NADE),
}


def config_type(kind: str) -> type[Config]:
    """The configuration of models of this kind. Raises ValueError if there is none."""
    if kind not in MODELS:
        raise ValueError(f"there is no model {kind!r}, only {', '.join(MODELS)}")
    return MODELS[kind][0]


def config_from(kind: str, fields: dict[str, Any]) -> Config:
    """A configuration from a header. Raises TypeError or ValueError where it does not fit."""
    return config_type(kind).from_dict(fields)


def build(config: Config) -> GenerativeModel:
    """A new model, its weights drawn from torch's generator."""
    return MODELS[config.kind][1](config)
