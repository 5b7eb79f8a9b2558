"""One-shot generalization in deep generative models: new drawings of a character from one example.

    import oneshot_cli as oneshot
    model = oneshot.load()                       # the flagship checkpoint; or a path
    pictures = model.vary("glyph.png", n=10)     # (10, 1, H, W), ink in [0, 1]
    pictures.save("grid.png")                    # a notebook shows them without

    experiment = oneshot.new_experiment("flagship", data=oneshot.DataChoice("omniglot"))
    oneshot.train(experiment, "runs/mine")       # what `oneshot train` does

load            a checkpoint, as an `Oneshot`
Oneshot         a model that draws: vary, alphabet, sample, draw, concerns
new_experiment  an `Experiment` from a preset, a checkpoint or another experiment
train, resume   run an experiment in a folder; `RunOptions` are a run's options
DataChoice      the choice of the data of a new experiment
DataSpec        a data set, its split and size, as a checkpoint has it
OneshotError    what is raised for whatever the user can mend

What a command draws, trains or measures is also a function in a module of `oneshot_cli.workflows`,
such as `workflows.vary.vary`. Importing the package is fast: torch is imported when one of the
public names is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oneshot_cli.data.spec import DataSpec as DataSpec
    from oneshot_cli.drawing.oneshot import Oneshot as Oneshot
    from oneshot_cli.drawing.oneshot import load as load
    from oneshot_cli.errors import OneshotError as OneshotError
    from oneshot_cli.experiment import Experiment as Experiment
    from oneshot_cli.workflows.prepare import DataChoice as DataChoice
    from oneshot_cli.workflows.prepare import new_experiment as new_experiment
    from oneshot_cli.workflows.train import RunOptions as RunOptions
    from oneshot_cli.workflows.train import resume as resume
    from oneshot_cli.workflows.train import train as train

__version__ = "0.1.0"

_MODULES = {
    "RunOptions": "workflows.train",
    "DataChoice": "workflows.prepare",
    "DataSpec": "data.spec",
    "Experiment": "experiment",
    "Oneshot": "drawing.oneshot",
    "OneshotError": "errors",
    "load": "drawing.oneshot",
    "new_experiment": "workflows.prepare",
    "resume": "workflows.train",
    "train": "workflows.train",
}
"""The module that defines each public name."""

__all__ = ["__version__", *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"oneshot_cli.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted(__all__)
