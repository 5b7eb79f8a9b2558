"""Street View House Numbers (Netzer et al. 2011): cropped digits in colour, 32 x 32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from oneshot_cli.data.catalogue import DATASETS
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.fetch import Progress
from oneshot_cli.data.matlab import loadmat
from oneshot_cli.data.mnist import by_label
from oneshot_cli.data.splits import Selection
from oneshot_cli.errors import OneshotError

SIDE = 32
COUNTS = {"train": 73_257, "test": 26_032}


def load(
    data_dir: str | Path | None, selection: Selection, progress: Progress | None = None
) -> Drawings:
    """Load 73,257 training or 26,032 test pictures (N, 3, 32, 32), sorted by digit.

    Raises OneshotError if a file is missing, damaged or has other content.
    """
    paths = dict(zip(COUNTS, DATASETS["svhn"].obtain(data_dir, progress), strict=True))
    parts = tuple(COUNTS) if selection.part == "all" else (selection.part,)
    images, labels = zip(*(_read(paths[part], COUNTS[part]) for part in parts), strict=True)
    drawings = by_label(torch.cat(images), torch.cat(labels), alphabet="house numbers")
    return drawings.resized(selection.size)


def _read(path: Path, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (N, 3, 32, 32) and digits (N,). The file has (32, 32, 3, N), and 10 for zero."""
    what = f"a file of the {count:,} cropped digits of SVHN"
    content = loadmat(path, {"X": (SIDE, SIDE, 3, count), "y": (count, 1)}, what)
    images, labels = content["X"], content["y"]
    if images.dtype != np.uint8 or not ((labels >= 1) & (labels <= 10)).all():
        raise OneshotError(f"{path} is not {what}: bytes, labelled 1 to 10")
    pictures = np.ascontiguousarray(images.transpose(3, 2, 0, 1))
    digits = labels.reshape(-1).astype(np.int64) % 10
    return torch.from_numpy(pictures), torch.from_numpy(digits)
