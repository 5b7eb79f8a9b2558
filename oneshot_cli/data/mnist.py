"""MNIST (LeCun et al. 1998) from the four original idx files; each digit is a character."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import replace
from hashlib import md5
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
"""Of the uncompressed bytes, which are the same however a copy is compressed."""


def load(
    data_dir: str | Path | None,
    selection: Selection,
    progress: Progress | None = None,
    *,
    binarization: str = "dynamic",
) -> Drawings:
    """60,000 digits to train on, 10,000 to test on, sorted by digit.

    `binarization`: see `binarized`. The static one of Salakhutdinov and Murray is a data set of
    its own, mnist-static. Raises OneshotError for a file that is not the original.
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
    """Images of 256 levels, sorted by label (N,): one alphabet, a character for each label."""
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


def binarized(drawings: Drawings, how: str, *, test: bool) -> Drawings:
    """Grey drawings made binary.

    "dynamic": each visit draws ink with the grey value's probability (Burda et al. 2015); a test
    set is drawn once, with a fixed seed. "threshold": ink from grey 128 on. "none": left grey, for
    models of grey values. A figure has to say which. Raises OneshotError for another.
    """
    if how not in BINARIZATIONS:
        raise OneshotError(
            f"there is no binarization {how!r}\nbinarizations: {', '.join(BINARIZATIONS)}"
        )
    if how == "none":
        return drawings
    if how == "threshold":
        return replace(drawings, images=(drawings.images >= 128).to(torch.uint8), levels=2)
    dynamic = replace(drawings, dynamic=True)
    return dynamic.fixed() if test else dynamic


def read_idx(path: Path, expected: str) -> NDArray[np.uint8]:
    """The array of bytes in an idx file, gzipped or not, whose uncompressed md5 is `expected`."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (EOFError, zlib.error, OSError) as error:
        raise OneshotError(f"{path} is damaged or unreadable ({error})\nfetch it again") from None
    if md5(data, usedforsecurity=False).hexdigest() != expected:
        raise OneshotError(
            f"{path} is not the original MNIST file (its md5 differs)\nfetch it again"
        )
    dimensions = data[3]
    shape = np.frombuffer(data, ">u4", count=dimensions, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy()
