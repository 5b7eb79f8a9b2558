"""Data sets by name, in one common form: `load("omniglot", split="weak", part="train")`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneshot_cli.data.catalogue import DATASETS, DataSet, get_dataset, register
from oneshot_cli.data.splits import OFFICIAL, Selection
from oneshot_cli.errors import OneshotError

if TYPE_CHECKING:
    from oneshot_cli.data.drawings import Drawings
    from oneshot_cli.data.fetch import Progress

__all__ = ["DATASETS", "DataSet", "get_dataset", "load", "register"]


def load(
    name: str,
    *,
    data_dir: str | Path | None = None,
    split: str | None = None,
    part: str = "train",
    size: int | None = None,
    resample: str = "area",
    progress: Progress | None = None,
    **options: Any,
) -> Drawings:
    """Load the drawings of data set `name` at `size` x `size` pixels, ink 1.

    `size` is the data set's own by default, mostly 28. `split` and `part` ("train", "test", "all")
    choose the characters. Without a split all are taken, and there is no test part, unless the data
    set has an official one.

    The files come from `data_dir`, else `$ONESHOT_DATA`, else a download that is reported to
    `progress`. `resample="area"` is box resampling, the protocol of this project. `"max"` is max
    pooling, the few-shot density protocol (4 x 4 to `size=26`).

    Options: glyphs and symbols take the numbers `alphabets`, `characters` and `drawings`, and
    `seed`, which mnist-two takes, too; mnist, mnist-two and omniglot-burda take `binarization`
    ("dynamic", "threshold" or "none"). Colour pictures are (N, 3, H, W) with intensities 0 to 255.

    Raises OneshotError for an unknown name, split, part or option, and for files that are missing
    or damaged.
    """
    dataset = get_dataset(name)
    if split is not None and split not in dataset.splits:
        raise OneshotError(
            f"{name} has no split {split!r}\nits splits: {', '.join(dataset.splits)}"
        )
    unknown = [option for option in options if option not in dataset.options]
    if unknown:
        raise OneshotError(f"{name} takes no option {unknown[0]!r}")
    if split is None and OFFICIAL in dataset.splits:
        split = OFFICIAL
    is_own = "." not in dataset.module
    reader = import_module(f"oneshot_cli.data.{dataset.module}" if is_own else dataset.module)
    drawings: Drawings = reader.load(
        data_dir,
        Selection(split, part, dataset.size if size is None else size, resample),
        progress,
        **options,
    )
    return drawings
