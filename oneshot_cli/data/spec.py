"""`DataSpec`: which drawings a model was trained on, as plain data, and the way to load them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneshot_cli.data.catalogue import DATASETS, DataSet, get_dataset
from oneshot_cli.errors import OneshotError

if TYPE_CHECKING:
    from oneshot_cli.data.drawings import Drawings
    from oneshot_cli.data.fetch import Progress


@dataclass(frozen=True)
class DataSpec:
    """A data set, its split, the size of its pictures and how they become binary.

    It is what a run's `config.json` and a checkpoint's header hold under "data", see `to_dict`.
    """

    dataset: str
    split: str | None = None
    size: int = 28
    """Height and width in pixels; of several sizes the largest, at which pictures are drawn."""
    sizes: tuple[int, ...] = ()
    """All sizes that batches have in turn, ascending; empty for `size` alone."""
    resample: str | None = None
    """"area" or "max", see `data.resampling`; None is "area" where nothing was said."""
    validation: float | None = None
    """The share of the training part that is kept for validation; None: the run is older."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the data set takes beside: binarization, or how glyphs are made up."""

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> DataSpec:
        """From a header or a configuration. Raises OneshotError if it names no data set.

        What is neither a field nor an option of the data set is passed over.
        """
        if "dataset" not in content:
            raise OneshotError("it does not say what data it was trained on")
        takes = DATASETS[content["dataset"]].options if content["dataset"] in DATASETS else ()
        own = {f.name for f in fields(cls)} - {"options", "sizes"}
        return cls(
            **{name: value for name, value in content.items() if name in own},
            sizes=tuple(content.get("sizes", ())),
            options={name: content[name] for name in takes if name in content},
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON: what was not said is left out."""
        content: dict[str, Any] = {"dataset": self.dataset, "split": self.split, "size": self.size}
        if self.sizes:
            content["sizes"] = list(self.sizes)
        content |= self.options
        said = {"resample": self.resample, "validation": self.validation}
        return content | {name: value for name, value in said.items() if value is not None}

    @property
    def catalogue_entry(self) -> DataSet:
        """What is true of the data set itself."""
        return get_dataset(self.dataset)

    @property
    def all_sizes(self) -> tuple[int, ...]:
        """Every size of the pictures, ascending."""
        return self.sizes or (self.size,)

    @property
    def resampling(self) -> str:
        """How drawings are brought to their size."""
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
        """The drawings of a part at `size`, or at the largest size.

        "train" is what is trained on, "validation" what is kept of the split's training part to
        choose by; "test" and "all" are the split's. `resample` replaces the description's own.
        Raises OneshotError as `data.load` does.
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
