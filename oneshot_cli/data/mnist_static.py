"""MNIST with a fixed binarization (Salakhutdinov and Murray 2008), from published text files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from oneshot_cli.data.catalogue import DATASETS
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.fetch import Progress
from oneshot_cli.data.splits import Selection
from oneshot_cli.errors import OneshotError
from oneshot_cli.files import read_file

SIDE = 28
MAX_BYTES = 100_000_000
"""The largest file has 78 million."""

COUNTS = {"train": 50_000, "valid": 10_000, "test": 10_000}


def load(
    data_dir: str | Path | None, selection: Selection, progress: Progress | None = None
) -> Drawings:
    """Load 50,000 training or 10,000 test digits, without labels.

    The 10,000 digits of the validation file are only in `part="all"`.
    """
    paths = dict(zip(COUNTS, DATASETS["mnist-static"].obtain(data_dir, progress), strict=True))
    parts = tuple(COUNTS) if selection.part == "all" else (selection.part,)
    images = torch.cat([read_amat(paths[part], COUNTS[part]) for part in parts])
    return Drawings(
        images=images,
        character=torch.zeros(len(images), dtype=torch.long),
        alphabet=torch.zeros(1, dtype=torch.long),
        characters=("digits/any",),
        alphabets=("digits",),
    ).resized(selection.size)


def read_amat(path: Path, count: int) -> torch.Tensor:
    """Read `count` rows of 784 digits 0 or 1: uint8 (count, 28, 28).

    Raises OneshotError if the file cannot be read or has another number of digits.
    """
    text = np.frombuffer(read_file(path, MAX_BYTES), np.uint8)
    digits = text[~np.isin(text, np.frombuffer(b" \t\r\n", np.uint8))] - ord("0")
    if digits.size != count * SIDE * SIDE or digits.max(initial=0) > 1:
        raise OneshotError(
            f"{path} does not hold {count:,} binary images of {SIDE} x {SIDE} "
            f"({digits.size:,} values)\nfetch it again"
        )
    return torch.from_numpy(digits.reshape(count, SIDE, SIDE))
