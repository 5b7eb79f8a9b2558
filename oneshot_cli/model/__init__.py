"""The models: they know no files, no screen and no data set."""

from oneshot_cli.model.config import ModelConfig
from oneshot_cli.model.context import Context
from oneshot_cli.model.sequential import Bound, SequentialGenerator, States, Trace

__all__ = ["Bound", "Context", "ModelConfig", "SequentialGenerator", "States", "Trace"]
