"""MNIST (LeCun et al. 1998), from the four original idx files. Each digit is a character."""

from __future__ import annotations

from dataclasses import replace
from hashlib import md5
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oneshot_cli.data.archives import gunzipped
from oneshot_cli.data.catalogue import DATASETS
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.fetch import Progress
from oneshot_cli.data.splits import Selection
from oneshot_cli.errors import OneshotError

BINARIZATIONS = ("dynamic", "threshold", "none")
MD5 = {
    "train-images": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels": "a25bea736e30d166cdddb491f175f624",
    "t10k-images": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels": "27ae3e4e09519cfbb04c329615203637",
}
"""Hashes of the uncompressed bytes, which do not depend on how a copy is compressed."""

MAX_UNPACKED = 16 + 60_000 * 28 * 28
"""The uncompressed bytes of the largest file."""


def load(
    data_dir: str | Path | None,
    selection: Selection,
    progress: Progress | None = None,
    *,
    binarization: str = "dynamic",
) -> Drawings:
    """Load 60,000 training or 10,000 test digits, sorted by digit.

    `binarization` is explained in `binarized`. The fixed binarization of Salakhutdinov and Murray
    is a separate data set, mnist-static. Raises OneshotError if a file is not the original.
    """
    parts = {"train": ("train",), "test": ("t10k",), "all": ("train", "t10k")}[selection.part]
    paths = dict(zip(MD5, DATASETS["mnist"].obtain(data_dir, progress), strict=True))
    images = [read_idx(paths[f"{part}-images"], MD5[f"{part}-images"]) for part in parts]
    labels = [read_idx(paths[f"{part}-labels"], MD5[f"{part}-labels"]) for part in parts]
    return binarized(
        by_label(
            torch.from_numpy(np.concatenate(images)),
            torch.from_numpy(np.concatenate(labels)).long(),
            alphabet="digits",
        ).resized(selection.size),
        binarization,
        test=selection.part == "test",
    )


def by_label(images: Tensor, labels: Tensor, alphabet: str) -> Drawings:
    """Images of 256 levels sorted by label: one alphabet, with a character for each label."""
    order = torch.argsort(labels, stable=True)
    names = labels.unique(sorted=True)
    return Drawings(
        images=images[order],
        character=torch.searchsorted(names, labels[order]),
        alphabet=torch.zeros(len(names), dtype=torch.long),
        characters=tuple(f"{alphabet}/{name}" for name in names.tolist()),
        alphabets=(alphabet,),
        levels=256,
    )


def binarized(drawings: Drawings, binarization: str, *, test: bool) -> Drawings:
    """Binarize grey drawings.

    "dynamic": each visit samples ink with the probability of the grey value (Burda et al. 2015). A
    test set is sampled once, with a fixed seed. "threshold": ink if the grey value is 128 or more.
    "none": grey values are kept, for models of grey values. Bounds on differently binarized images
    cannot be compared. Raises OneshotError for other names.
    """
    if binarization not in BINARIZATIONS:
        raise OneshotError(
            f"there is no binarization {binarization!r}\nbinarizations: {', '.join(BINARIZATIONS)}"
        )
    if binarization == "none":
        return drawings
    if binarization == "threshold":
        return replace(drawings, images=(drawings.images >= 128).to(torch.uint8), levels=2)
    dynamic = replace(drawings, dynamic=True)
    return dynamic.fixed() if test else dynamic


def read_idx(path: Path, expected: str) -> NDArray[np.uint8]:
    """Read an idx file, gzipped or not: its array of bytes.

    Raises OneshotError if it is damaged or its uncompressed md5 is not `expected`.
    """
    data = gunzipped(path, MAX_UNPACKED)
    if md5(data, usedforsecurity=False).hexdigest() != expected:
        raise OneshotError(
            f"{path} is not the original MNIST file (its md5 differs)\nfetch it again"
        )
    dimensions = data[3]
    shape = np.frombuffer(data, ">u4", count=dimensions, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy()
