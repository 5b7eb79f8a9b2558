"""Data sets by name, brought into one shape: `load("omniglot", split="weak", part="train")`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oneshot_cli.data.splits import SPLITS, is_test
from oneshot_cli.errors import OneshotError

if TYPE_CHECKING:
    from torch import Tensor

    from oneshot_cli.data.drawings import Drawings
    from oneshot_cli.data.fetch import Progress

PARTS = ("train", "test", "all")


def load(
    name: str,
    *,
    data_dir: str | Path | None = None,
    split: str | None = None,
    part: str = "train",
    size: int = 28,
    resample: str = "area",
    progress: Progress | None = None,
) -> Drawings:
    """The drawings of data set `name`, at `size` x `size`, ink 1.

    `split` and `part` choose the characters (`part="all"` keeps every one; without a split there
    is no test part). `resample="area"` is the house protocol, box resampling with ink from one
    half on; `"max"` the few-shot density protocol, 4 x 4 max pooling to `size=26`.
    Raises OneshotError for an unknown name, split or part, or files missing or damaged.
    """
    if part not in PARTS:
        raise OneshotError(f"There is no part {part!r}. Parts: {', '.join(PARTS)}.")
    from oneshot_cli.data.resampling import resampled

    if name == "omniglot":
        from oneshot_cli.data import omniglot

        packed = omniglot.packed(data_dir, progress)
    else:
        raise OneshotError(f"There is no data set {name!r}. Data sets: omniglot.")
    keep = _kept(name, packed.characters, split, part)
    return packed.drawings(keep, lambda images: resampled(images, size, resample))


def _kept(name: str, characters: tuple[str, ...], split: str | None, part: str) -> Tensor:
    """Which characters `part` of `split` keeps: bool (C,)."""
    import torch

    if split is None and part == "test":
        raise OneshotError(f"{name} has no test part without a split: {', '.join(SPLITS)}.")
    if split is None or part == "all":
        return torch.ones(len(characters), dtype=torch.bool)
    test = torch.tensor([is_test(split, *character.split("/")) for character in characters])
    return test if part == "test" else ~test
