"""Omniglot at 28 x 28 in grey, as Burda et al. 2015 prepared it: the file chardata.mat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from oneshot_cli.data.catalogue import DATASETS
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.fetch import Progress
from oneshot_cli.data.matlab import loadmat
from oneshot_cli.data.mnist import binarized
from oneshot_cli.data.splits import Selection
from oneshot_cli.errors import OneshotError

SIDE = 28
ALPHABETS = 50
WHAT = "Burda's chardata.mat with 24,345 and 8,070 drawings"
COUNTS = {"": 24_345, "test": 8_070}
"""Numbers of drawings, by the prefix of the arrays' names: "" in `data`, "test" in `testdata`."""


def load(
    data_dir: str | Path | None,
    selection: Selection,
    progress: Progress | None = None,
    *,
    binarization: str = "dynamic",
) -> Drawings:
    """Load 24,345 training or 8,070 test drawings, of the same characters.

    Raises OneshotError if the file is missing or has other content.
    """
    (path,) = DATASETS["omniglot-burda"].obtain(data_dir, progress)
    prefixes = {"train": ("",), "test": ("test",), "all": ("", "test")}[selection.part]
    content = loadmat(path, _shapes(prefixes), WHAT)
    try:
        drawings = _drawings(content, prefixes)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise OneshotError(f"{path} is not {WHAT}: {error}") from None
    return binarized(drawings.resized(selection.size), binarization, test=selection.part == "test")


def _shapes(prefixes: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays in the file, by name."""
    return {
        f"{prefix}{name}": (rows, COUNTS[prefix])
        for prefix in prefixes
        for name, rows in (("data", SIDE * SIDE), ("target", ALPHABETS), ("targetchar", 1))
    }


def _drawings(content: dict[str, Any], prefixes: tuple[str, ...]) -> Drawings:
    """The drawings sorted by alphabet, then character. The file has numbers instead of names."""
    images, alphabet, number = (
        np.concatenate([part(content, prefix) for prefix in prefixes])
        for part in (_images, _alphabet, _number)
    )
    order = np.lexsort((number, alphabet))
    labels, character = np.unique(
        np.stack([alphabet, number], 1)[order], axis=0, return_inverse=True
    )
    alphabets, alphabet_of = np.unique(labels[:, 0], return_inverse=True)
    return Drawings(
        images=torch.from_numpy(images[order]),
        character=torch.from_numpy(character.reshape(-1)),
        alphabet=torch.from_numpy(alphabet_of),
        characters=tuple(f"alphabet{a + 1:02d}/character{c:02d}" for a, c in labels.tolist()),
        alphabets=tuple(f"alphabet{a + 1:02d}" for a in alphabets.tolist()),
        levels=256,
    )


def _images(content: dict[str, Any], prefix: str) -> NDArray[np.uint8]:
    values = np.asarray(content[f"{prefix}data"], np.float64).T
    images = values.reshape(COUNTS[prefix], SIDE, SIDE).transpose(
        0, 2, 1
    )  # columns come first in the file
    if not ((images >= 0) & (images <= 1)).all():
        raise ValueError("grey values outside 0 to 1")
    return np.round(255 * images).astype(np.uint8)


def _alphabet(content: dict[str, Any], prefix: str) -> NDArray[np.int64]:
    return np.asarray(content[f"{prefix}target"]).argmax(0).astype(np.int64)


def _number(content: dict[str, Any], prefix: str) -> NDArray[np.int64]:
    return np.asarray(content[f"{prefix}targetchar"]).reshape(-1).astype(np.int64)
