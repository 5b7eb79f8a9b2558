"""`DataSpec`: the drawings that a model is trained on, as plain data that can be loaded."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneshot_cli.data.catalogue import DATASETS, DataSet, get_dataset
from oneshot_cli.errors import OneshotError
from oneshot_cli.ranges import COUNT, MOST_SYMBOLS, SHARE, Range, is_number

if TYPE_CHECKING:
    from oneshot_cli.data.drawings import Drawings
    from oneshot_cli.data.fetch import Progress


SYMBOLS = Range(least=0, most=MOST_SYMBOLS)
TEXTS = ("binarization",)
"""The options of data sets that are texts; the others are whole numbers."""


@dataclass(frozen=True)
class DataSpec:
    """A data set, its split, the size of its pictures and their binarization.

    A run's `config.json` and a checkpoint's header have it under "data", see `to_dict`.
    """

    dataset: str
    split: str | None = None
    size: int = 28
    """Height and width in pixels. With several sizes the largest, at which models draw."""
    sizes: tuple[int, ...] = ()
    """All sizes, ascending, through which batches cycle. Empty if there is only `size`."""
    resample: str | None = None
    """The method of `imaging.resampling`, "area" or "max". None means "area"."""
    validation: float | None = None
    """The share of the training part that is kept for validation. None in older runs."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further options of the data set, such as binarization."""
    symbols: int = 0
    """The number of generated symbols (`data.symbols`) that are added to the training part."""

    def __post_init__(self) -> None:
        """Raise OneshotError for a field of the wrong type."""
        share = 0.0 if self.validation is None else self.validation
        sizes = (self.size, *self.sizes)
        fits = {
            "dataset": isinstance(self.dataset, str),
            "split": isinstance(self.split or "", str),
            "size": all(is_number(size, whole=True) and size in COUNT for size in sizes),
            "resample": isinstance(self.resample or "", str),
            "validation": is_number(share) and share in SHARE,
            "symbols": is_number(self.symbols, whole=True) and self.symbols in SYMBOLS,
            "options": all(
                isinstance(value, str) if name in TEXTS else is_number(value, whole=True)
                for name, value in self.options.items()
            ),
        }
        for name in (name for name, holds in fits.items() if not holds):
            given = reprlib.repr(sizes if name == "size" else getattr(self, name))
            raise OneshotError(f"data are not as oneshot describes them: {name} is {given}")

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> DataSpec:
        """Build from JSON. Keys that are neither fields nor options of the data set are ignored.

        Raises OneshotError if there is no data set.
        """
        if "dataset" not in content:
            raise OneshotError("it does not say what data it was trained on")
        sizes = content.get("sizes", ())
        if not isinstance(content["dataset"], str) or not isinstance(sizes, list | tuple):
            raise OneshotError("data are not as oneshot describes them: their name or sizes")
        takes = DATASETS[content["dataset"]].options if content["dataset"] in DATASETS else ()
        own = {f.name for f in fields(cls)} - {"options", "sizes"}
        return cls(
            **{name: value for name, value in content.items() if name in own},
            sizes=tuple(sizes),
            options={name: content[name] for name in takes if name in content},
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON. Fields that are None are left out."""
        content: dict[str, Any] = {"dataset": self.dataset, "split": self.split, "size": self.size}
        if self.sizes:
            content["sizes"] = list(self.sizes)
        content |= self.options
        if self.symbols:
            content["symbols"] = self.symbols
        optional = {"resample": self.resample, "validation": self.validation}
        return content | {name: value for name, value in optional.items() if value is not None}

    @property
    def keys(self) -> set[str]:
        """The keys that `to_dict` may have."""
        takes = DATASETS[self.dataset].options if self.dataset in DATASETS else ()
        return {each.name for each in fields(self)} - {"options"} | set(takes)

    @property
    def catalogue_entry(self) -> DataSet:
        """The data set's entry in the registry. Raises OneshotError if it has none."""
        return get_dataset(self.dataset)

    @property
    def all_sizes(self) -> tuple[int, ...]:
        """All sizes of the pictures, ascending."""
        return self.sizes or (self.size,)

    @property
    def resampling(self) -> str:
        """The resampling method, "area" or "max"."""
        return self.resample or "area"

    def load(
        self,
        part: str = "train",
        size: int | None = None,
        *,
        resample: str | None = None,
        data_dir: str | Path | None = None,
        progress: Progress | None = None,
    ) -> Drawings:
        """Load the drawings of a part, at `size` or the largest size.

        The split's training part is divided into "train" and "validation". "test" and "all" are
        those of the split. `resample` overrides the resampling method. Raises OneshotError as
        `data.load` does.
        """
        from oneshot_cli.data import load
        from oneshot_cli.data.validation import split_off_validation

        drawings = load(
            self.dataset,
            data_dir=data_dir,
            split=self.split,
            part="train" if part == "validation" else part,
            size=self.size if size is None else size,
            resample=resample or self.resampling,
            progress=progress,
            **self.options,
        )
        if part not in ("train", "validation"):
            return drawings
        train, validation = split_off_validation(drawings, self.validation or 0.0, self.split)
        return train if part == "train" else validation
