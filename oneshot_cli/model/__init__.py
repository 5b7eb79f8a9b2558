"""The models: they know no files, no screen and no data set.

Names are imported when they are first used, so that `registry` and `config` are there without
torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oneshot_cli.model.config import Config, DRAWConfig, SequentialConfig, VAEConfig
    from oneshot_cli.model.context import Context
    from oneshot_cli.model.draw import DRAW
    from oneshot_cli.model.interface import Bound, GenerativeModel, Trace
    from oneshot_cli.model.registry import build, config_from
    from oneshot_cli.model.sequential import SequentialGenerator, States
    from oneshot_cli.model.vae import VAE

_MODULES = {
    "DRAW": "draw",
    "VAE": "vae",
    "Bound": "interface",
    "Config": "config",
    "Context": "context",
    "DRAWConfig": "config",
    "GenerativeModel": "interface",
    "SequentialConfig": "config",
    "SequentialGenerator": "sequential",
    "States": "sequential",
    "Trace": "interface",
    "VAEConfig": "config",
    "build": "registry",
    "config_from": "registry",
}

__all__ = [
    "DRAW",
    "VAE",
    "Bound",
    "Config",
    "Context",
    "DRAWConfig",
    "GenerativeModel",
    "SequentialConfig",
    "SequentialGenerator",
    "States",
    "Trace",
    "VAEConfig",
    "build",
    "config_from",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
