"""CIFAR-10 (Krizhevsky 2009), from the archive of its binary version, which needs no unpickling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from oneshot_cli.data.archives import tar_members
from oneshot_cli.data.catalogue import DATASETS
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.fetch import Progress
from oneshot_cli.data.mnist import by_label
from oneshot_cli.data.splits import Selection
from oneshot_cli.errors import OneshotError

SIDE = 32
BATCH = 10_000
RECORD = 1 + 3 * SIDE * SIDE
MAX_UNPACKED = 200_000_000
"""Bytes of the unpacked archive that are read; the official one has 184 million."""

TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST = ("test_batch.bin",)


def load(
    data_dir: str | Path | None, selection: Selection, progress: Progress | None = None
) -> Drawings:
    """Load 50,000 training or 10,000 test pictures (N, 3, 32, 32), sorted by label.

    Raises OneshotError if the archive is missing, damaged or has other content.
    """
    (path,) = DATASETS["cifar10"].obtain(data_dir, progress)
    names = {"train": TRAIN, "test": TEST, "all": TRAIN + TEST}[selection.part]
    records = torch.from_numpy(read(path, names))
    images = records[:, 1:].view(-1, 3, SIDE, SIDE)
    return by_label(images, records[:, 0].long(), alphabet="things").resized(selection.size)


def read(path: Path, names: tuple[str, ...]) -> NDArray[np.uint8]:
    """The records (N, 3073) of the batches `names`: a label, then 3,072 intensities."""
    size = BATCH * RECORD
    batches = tar_members(path, dict.fromkeys(names, size), MAX_UNPACKED)
    for name in names:
        if name not in batches:
            raise OneshotError(
                f"{path} has no {name} with {BATCH:,} pictures; get the binary version"
            )
    data = b"".join(batches.pop(name) for name in names)
    return np.frombuffer(data, np.uint8).reshape(-1, RECORD).copy()
