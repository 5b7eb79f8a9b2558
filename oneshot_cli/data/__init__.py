"""Data sets by name, brought into one shape: `load("omniglot", split="weak", part="train")`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneshot_cli.data.splits import SPLITS, WEAK, is_test
from oneshot_cli.errors import OneshotError

if TYPE_CHECKING:
    from oneshot_cli.data.cache import Packed
    from oneshot_cli.data.drawings import Drawings
    from oneshot_cli.data.fetch import Progress

PARTS = ("train", "test", "all")
DATASETS = {"omniglot": SPLITS, "glyphs": (WEAK,)}


def load(
    name: str,
    *,
    data_dir: str | Path | None = None,
    split: str | None = None,
    part: str = "train",
    size: int = 28,
    resample: str = "area",
    progress: Progress | None = None,
    **options: Any,
) -> Drawings:
    """The drawings of data set `name`, at `size` x `size`, ink 1.

    `split` and `part` choose the characters (`part="all"` keeps every one; without a split there
    is no test part). `resample="area"` is the house protocol, box resampling with ink from one
    half on; `"max"` the few-shot density protocol, 4 x 4 max pooling to `size=26`.
    Options: glyphs takes `alphabets`, `characters`, `drawings` (numbers of them) and `seed`.
    Raises OneshotError for an unknown name, split or part, or files missing or damaged.
    """
    if part not in PARTS:
        raise OneshotError(f"There is no part {part!r}. Parts: {', '.join(PARTS)}.")
    packed: Packed
    if name == "omniglot":
        from oneshot_cli.data import omniglot

        packed = omniglot.packed(data_dir, progress, **options)
    elif name == "glyphs":
        from oneshot_cli.data import glyphs

        packed = glyphs.packed(progress=progress, **options)
    else:
        raise OneshotError(f"There is no data set {name!r}. Data sets: {', '.join(DATASETS)}.")
    return select(name, packed, split, part, size, resample)


def select(
    name: str, packed: Packed, split: str | None, part: str, size: int, resample: str
) -> Drawings:
    """The characters of `packed` that `part` of `split` keeps, resampled."""
    import torch

    from oneshot_cli.data.resampling import resampled

    splits = DATASETS[name]
    if split is not None and split not in splits:
        raise OneshotError(f"{name} has no split {split!r}. Its splits: {', '.join(splits)}.")
    if split is None and part == "test":
        raise OneshotError(f"{name} has no test part without a split: {', '.join(splits)}.")
    keep = torch.ones(len(packed.characters), dtype=torch.bool)
    if split is not None and part != "all":
        test = [is_test(split, *character.split("/")) for character in packed.characters]
        keep = torch.tensor(test) == (part == "test")
    return packed.drawings(keep, lambda images: resampled(images, size, resample))
