"""CIFAR-10 (Krizhevsky 2009), from the archive of its binary version, which needs no unpickling."""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray

from oneshot_cli.data.catalogue import DATASETS
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.fetch import Progress
from oneshot_cli.data.mnist import by_label
from oneshot_cli.data.splits import Selection
from oneshot_cli.errors import OneshotError

SIDE = 32
BATCH = 10_000
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
    batches: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                file = archive.extractfile(member) if name in names else None
                if file is not None:
                    batches[name] = file.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise OneshotError(
            f"{path} is damaged or not a tar archive ({error})\nfetch it again"
        ) from None
    for name in names:
        if len(batches.get(name, b"")) != BATCH * (1 + 3 * SIDE * SIDE):
            raise OneshotError(
                f"{path} has no {name} with {BATCH:,} pictures; get the binary version"
            )
    data = b"".join(batches[name] for name in names)
    return np.frombuffer(data, np.uint8).reshape(-1, 1 + 3 * SIDE * SIDE).copy()
