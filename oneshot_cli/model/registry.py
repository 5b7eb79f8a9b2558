"""The models and their parts, by the names that configurations, checkpoints and options use.

Adding a part is a class, and a line here: its name, and the module and name of the class. Code
outside of this package adds one with `ATTENTIONS["mine"] = Mine`. Nothing here imports torch: a
class is imported when it is first asked for, so that help texts and configurations can list names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from oneshot_cli.model.legacy import current_fields

if TYPE_CHECKING:
    from oneshot_cli.model.attention import Attention
    from oneshot_cli.model.canvas import Canvas
    from oneshot_cli.model.config import Config
    from oneshot_cli.model.interface import GenerativeModel
    from oneshot_cli.model.observation import Observation
    from oneshot_cli.model.output import Output
    from oneshot_cli.model.prior import Prior

T = TypeVar("T")
HERE = "oneshot_cli.model"


class Registry(MutableMapping[str, type[T]], Generic[T]):
    """Classes by name, in the order in which they were entered.

    `entries` are paths, "module:Class", with modules relative to `oneshot_cli.model`.
    """

    def __init__(self, what: str, entries: Mapping[str, str]) -> None:
        self.what = what
        self._entries: dict[str, str | type[T]] = dict(entries)

    def __getitem__(self, name: str) -> type[T]:
        entry = self._entries[name]
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            entry = cast(type[T], getattr(import_module(f"{HERE}.{module}"), attribute))
            self._entries[name] = entry
        return entry

    def __setitem__(self, name: str, kind: type[T]) -> None:
        self._entries[name] = kind

    def __delitem__(self, name: str) -> None:
        del self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def check(self, name: str) -> None:
        """Raise ValueError if there is no class of that name."""
        if name not in self:
            raise ValueError(f"{self.what} is one of {', '.join(self)}, not {name!r}")

    @property
    def choices(self) -> str:
        """All names as a phrase: "this, that or another"."""
        *others, last = self
        return f"{', '.join(others)} or {last}" if others else last


ATTENTIONS: Registry[Attention] = Registry(
    "attention",
    {
        "spatial-transformer": "attention.spatial_transformer:SpatialTransformer",
        "free-transformer": "attention.spatial_transformer:FreeTransformer",
        "gaussian": "attention.filterbank:GaussianFilters",
        "fully-connected": "attention.whole:FullyConnected",
    },
)
CANVASES: Registry[Canvas] = Registry(
    "canvas",
    {
        "additive": "canvas:AdditiveCanvas",
        "gated": "canvas:GatedCanvas",
    },
)
OBSERVATIONS: Registry[Observation] = Registry(
    "observation",
    {
        "bernoulli": "observation:Bernoulli",
        "logistic": "observation:DiscretizedLogistic",
        "logistic-mixture": "observation:LogisticMixture",
    },
)
PRIORS: Registry[Prior] = Registry(
    "prior",
    {
        "standard": "prior:StandardPrior",
        "learned": "prior:LearnedPrior",
    },
)
OUTPUTS: Registry[Output] = Registry(
    "output",
    {
        "linear": "output:LinearOutput",
        "residual": "output:ResidualOutput",
    },
)
MODELS: Registry[GenerativeModel] = Registry(
    "model",
    {
        "sequential": "sequential:SequentialGenerator",
        "draw": "draw:DRAW",
        "vae": "vae:VAE",
        "nade": "nade:NADE",
    },
)


def config_type(kind: str) -> type[Config]:
    """The configuration of models of this kind. Raises ValueError if there is none."""
    MODELS.check(kind)
    return MODELS[kind].config_type


def config_from(kind: str, fields: dict[str, Any]) -> Config:
    """A configuration from a header, under old names, too.

    Raises TypeError or ValueError where it does not fit.
    """
    return config_type(kind).from_dict(current_fields(fields))


def build(config: Config) -> GenerativeModel:
    """A new model, its weights drawn from torch's generator."""
    return MODELS[config.kind](config)
