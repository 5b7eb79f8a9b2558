"""What the methods of `Oneshot` take: exemplars in any form, and numbers in their ranges."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterable, Iterator
from numbers import Integral
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image
from torch import Tensor

from oneshot_cli.data.folder import pictures_below
from oneshot_cli.errors import OneshotError, UsageError
from oneshot_cli.imaging.exemplar import Drawing, Picture
from oneshot_cli.ranges import MOST_SEED, SHARE, SPREAD, Range

Exemplars: TypeAlias = "Picture | Iterable[Picture]"
"""One picture, several in any iterable, or a folder of pictures."""

ARGUMENTS = {
    "n": Range(least=0, most=10**6),
    "seed": Range(least=0, most=MOST_SEED),
    "spread": SPREAD,
    "closeness": SHARE,
    "size": Range(least=1, most=512),
    "keep_best": Range(least=1, most=10**6),
    "pen": Range(least=0, most=0.2),
}
"""Ranges of the arguments of the methods of `Oneshot`."""

WHOLE = frozenset({"n", "seed", "size", "keep_best"})
"""The arguments that are whole numbers."""

REQUIRED = frozenset({"n", "seed"})
"""The arguments that cannot be None."""


def check(**given: Any) -> None:
    """Raise UsageError if an argument is no number or out of its range.

    None, for a default, passes except for `n` and `seed`. `keep_best` is at most `n`.
    """
    for name, value in given.items():
        optional = name not in REQUIRED
        if (optional and value is None) or _fits(value, ARGUMENTS[name], name in WHOLE):
            continue
        kind = "a whole number, " if name in WHOLE else ""
        raise UsageError(f"{name} is {reprlib.repr(value)}, but has to be {kind}{ARGUMENTS[name]}")
    if (given.get("keep_best") or 0) > given.get("n", 0):
        raise UsageError(f"keep_best is {given['keep_best']}, but only {given['n']} are drawn")


def _fits(value: Any, within: Range, whole: bool) -> bool:
    if whole and not isinstance(value, Integral):
        return False
    try:
        return not isinstance(value, bool | str) and value in within
    except (TypeError, ValueError, OverflowError, RuntimeError):  # no number, or none of Python's
        return False


def each_exemplar(given: Exemplars) -> list[Picture]:
    """The pictures in `given`. Raises OneshotError if there are none, or if it is no picture.

    Folders are replaced by the pictures in them (`pictures_below`), and arrays or tensors of four
    dimensions (M, C, H, W) by M pictures.
    """
    found = list(_expanded(given))
    if not found:
        raise OneshotError("no exemplar was given")
    return found


def _expanded(given: Any, *, nested: bool = False) -> Iterator[Picture]:
    if isinstance(given, str | os.PathLike):
        path = Path(given)
        yield from _in_folder(path) if path.is_dir() else [path]
    elif isinstance(given, np.ndarray | Tensor):
        yield from given if given.ndim == 4 else [given]
    elif isinstance(given, bytes | Image.Image | Drawing) or hasattr(given, "read"):
        yield given
    elif isinstance(given, Iterable) and not nested:
        for each in given:
            yield from _expanded(each, nested=True)
    else:
        raise UsageError(
            f"an exemplar is {type(given).__name__}, but has to be a picture: "
            "a path, bytes, an open file, a Pillow picture, an array or a tensor"
        )


def _in_folder(folder: Path) -> list[Path]:
    found = pictures_below(folder)
    if not found:
        raise OneshotError(f"{folder}: no pictures in this folder")
    return found
