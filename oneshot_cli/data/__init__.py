"""Data sets by name, brought into one shape: `load("omniglot", split="weak", part="train")`."""

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
    """The drawings of data set `name`, at `size` x `size` (the usual one, mostly 28), ink 1.

    `split` and `part` ("train", "test", "all") choose the characters; without a split all, and
    there is no test part unless the data set brings one. The files come from `data_dir`, else
    `$ONESHOT_DATA`, else a download that `progress` is told about. `resample="area"` is the house
    protocol, box resampling with ink from one half on; `"max"` the few-shot density protocol, max
    pooling (4 x 4 to `size=26`). Options: glyphs takes `alphabets`, `characters`, `drawings` (how
    many) and `seed`; mnist, mnist-two and omniglot-burda `binarization`: "dynamic", "threshold",
    "none". Colour pictures are (N, 3, H, W), their intensities 0 to 255.
    Raises OneshotError for what there is not, and files missing or damaged.
    """
    dataset = get_dataset(name)
    if split is not None and split not in dataset.splits:
        raise OneshotError(
            f"{name} has no split {split!r}\nits splits: {', '.join(dataset.splits)}"
        )
    wrong = [option for option in options if option not in dataset.options]
    if wrong:
        raise OneshotError(f"{name} takes no option {wrong[0]!r}")
    if split is None and OFFICIAL in dataset.splits:
        split = OFFICIAL
    own = "." not in dataset.module
    reader = import_module(f"oneshot_cli.data.{dataset.module}" if own else dataset.module)
    drawings: Drawings = reader.load(
        data_dir,
        Selection(split, part, dataset.size if size is None else size, resample),
        progress,
        **options,
    )
    return drawings
