"""The models: they know no files, no screen and no data set."""

from oneshot_cli.model.config import Config, DRAWConfig, ModelConfig, VAEConfig
from oneshot_cli.model.context import Context
from oneshot_cli.model.draw import DRAW
from oneshot_cli.model.interface import Bound, GenerativeModel, Trace
from oneshot_cli.model.registry import build, config_from
from oneshot_cli.model.sequential import SequentialGenerator, States
from oneshot_cli.model.vae import VAE

__all__ = [
    "DRAW",
    "VAE",
    "Bound",
    "Config",
    "Context",
    "DRAWConfig",
    "GenerativeModel",
    "ModelConfig",
    "SequentialGenerator",
    "States",
    "Trace",
    "VAEConfig",
    "build",
    "config_from",
]
