"""Reading MATLAB files."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import io

from oneshot_cli.errors import OneshotError
from oneshot_cli.files import regular_file

Shape: TypeAlias = tuple[int, ...]

MAX_BYTES = 1_000_000_000
MAX_UNPACKED = 400_000_000
"""Bytes of all arrays of a file; SVHN's larger file has 226 million."""

HEADER = 128
COMPRESSED = 15
BLOCK = 1 << 20
NUMBERS = frozenset(("double", "single", "logical", *(f"int{n}" for n in (8, 16, 32, 64)))) | {
    f"uint{n}" for n in (8, 16, 32, 64)
}


def loadmat(path: Path, shapes: Mapping[str, Shape], what: str) -> dict[str, NDArray[Any]]:
    """The arrays of numbers `shapes` of the file `path`, by name.

    The shapes are compared before the arrays are read. Raises OneshotError if an array is missing
    or has another shape, so that the file is not `what`, or if it is damaged or too large.
    """
    regular_file(path, MAX_BYTES)
    try:
        _refuse_bombs(path)
        found = {name: (shape, kind) for name, shape, kind in io.whosmat(path)}
        for name, shape in shapes.items():
            if name not in found:
                raise OneshotError(f"{path} is not {what}: it has no array {name}")
            if found[name][0] != shape or found[name][1] not in NUMBERS:
                raise OneshotError(
                    f"{path} is not {what}: {name} is {found[name][1]} {found[name][0]}, "
                    f"not numbers {shape}"
                )
        content = io.loadmat(path, variable_names=list(shapes))
        arrays = {name: np.asarray(content[name]) for name in shapes}
        if any(arrays[name].shape != shape for name, shape in shapes.items()):
            raise ValueError("an array has another shape than its header says")
    except OneshotError:
        raise
    except Exception as error:  # SciPy raises many kinds of errors on damaged files
        raise OneshotError(f"{path} is damaged or not a MATLAB file ({error})") from None
    return arrays


def _refuse_bombs(path: Path) -> None:
    """Raise OneshotError if the compressed elements of a file unpack to too many bytes."""
    total = 0
    with path.open("rb") as file:
        order: Literal["big", "little"] = "big" if file.read(HEADER)[126:128] == b"MI" else "little"
        while len(tag := file.read(8)) == 8:
            kind, size = (int.from_bytes(half, order) for half in (tag[:4], tag[4:]))
            if kind != COMPRESSED:
                file.seek(size, 1)
                continue
            unpack = zlib.decompressobj()
            while size > 0 and (block := file.read(min(size, BLOCK))):
                size -= len(block)
                while block:
                    total += len(unpack.decompress(block, BLOCK))
                    block = unpack.unconsumed_tail
                    if total > MAX_UNPACKED:
                        raise OneshotError(f"{path} holds more than {MAX_UNPACKED:,} bytes")
