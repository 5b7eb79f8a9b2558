"""Reading arrays of numbers from MATLAB files of version 5, plain or compressed.

SciPy reads more, but its compiled code ends the process on some damaged files, and it unpacks
whatever a file holds.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from oneshot_cli.errors import OneshotError
from oneshot_cli.files import regular_file

Shape: TypeAlias = tuple[int, ...]

MAX_BYTES = 1_000_000_000
MAX_ELEMENTS = 100
HEAD = 128
"""Bytes before the first element."""
NAMED = 1_000
"""An array's flags, shape and name are within this many bytes."""

INT8, INT32, UINT32, MATRIX, COMPRESSED = 1, 5, 6, 14, 15
NUMBERS = {
    **{1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4"},
    **{7: "f4", 9: "f8", 12: "i8", 13: "u8"},
}
"""NumPy's names of the types of stored numbers."""
NUMERIC = range(6, 16)
"""Classes of arrays: double, single, and integers with and without sign."""
COMPLEX = 0x0800


def loadmat(path: Path, shapes: Mapping[str, Shape], what: str) -> dict[str, NDArray[Any]]:
    """The arrays of numbers `shapes` of the file `path`, by name, in the type that they are stored.

    Nothing else is unpacked. Raises OneshotError if an array is missing or has another shape, so
    that the file is not `what`, or if the file is damaged.
    """
    regular_file(path, MAX_BYTES)
    found: dict[str, NDArray[Any]] = {}
    try:
        with path.open("rb") as file:
            for element in _elements(file):
                name, shape, after = _described(element.read(NAMED))
                if name not in shapes or name in found:
                    continue
                if shape != shapes[name]:
                    raise OneshotError(
                        f"{path} is not {what}: {name} is {shape}, not {shapes[name]}"
                    )
                data = element.read(after + 16 + 8 * prod(shape))
                found[name] = _numbers(data, after).reshape(shape, order="F")
    except (ValueError, IndexError, OSError, zlib.error) as error:
        raise OneshotError(
            f"{path} is damaged or not a MATLAB file of version 5 ({error})"
        ) from None
    for name in shapes:
        if name not in found:
            raise OneshotError(f"{path} is not {what}: it has no array {name}")
    return found


class _Element:
    """An array in a file, of which the first bytes can be read."""

    def __init__(self, file: IO[bytes], size: int, compressed: bool) -> None:
        self.file, self.start, self.size, self.compressed = file, file.tell(), size, compressed

    def read(self, count: int) -> bytes:
        """The first `count` bytes, unpacked; fewer if it is shorter."""
        self.file.seek(self.start)
        if not self.compressed:
            return self.file.read(min(count, self.size))
        unpack = zlib.decompressobj()
        found, left = bytearray(), self.size
        while len(found) < count and left > 0 and (block := self.file.read(min(left, 1 << 16))):
            left -= len(block)
            found += unpack.decompress(block, count - len(found))
        return bytes(found)


def _elements(file: IO[bytes]) -> Iterator[_Element]:
    """The arrays of a file. Raises ValueError if it is not a MATLAB file."""
    if file.read(HEAD)[126:] != b"IM":
        raise ValueError("its header is another")
    for _ in range(MAX_ELEMENTS):
        tag = file.read(8)
        if not tag:
            return
        kind, size = (int.from_bytes(half, "little") for half in (tag[:4], tag[4:]))
        if kind not in (MATRIX, COMPRESSED) or len(tag) < 8:
            raise ValueError(f"an element is of type {kind}")
        start = file.tell()
        yield _Element(file, size, kind == COMPRESSED)
        file.seek(start + size)


def _part(data: bytes, at: int) -> tuple[int, bytes, int]:
    """The type and the bytes of the part of an array that begins at `at`, and where the next does.

    Raises ValueError if it ends early.
    """
    kind, size = (int.from_bytes(data[i : i + 4], "little") for i in (at, at + 4))
    start = at + 8
    if kind >> 16:  # up to four bytes are in the tag itself
        kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
    if start + size > len(data):
        raise ValueError("an array ends early")
    return kind, data[start : start + size], start + (4 if start == at + 4 else -(-size // 8) * 8)


def _described(data: bytes) -> tuple[str, Shape, int]:
    """The name and shape of an array, and where its numbers begin. The name is "" without numbers.

    Raises ValueError if it is damaged.
    """
    at = 8 if int.from_bytes(data[:4], "little") == MATRIX else 0
    kind, flags, at = _part(data, at)
    if kind != UINT32 or len(flags) < 4:
        raise ValueError("an array has no flags")
    word = int.from_bytes(flags[:4], "little")
    if word & 0xFF not in NUMERIC or word & COMPLEX:
        return "", (), 0
    kind, sides, at = _part(data, at)
    if kind != INT32 or len(sides) % 4:
        raise ValueError("an array has no shape")
    shape = tuple(np.frombuffer(sides, "<i4").tolist())
    kind, name, at = _part(data, at)
    if kind != INT8:
        raise ValueError("an array has no name")
    return name.decode("latin-1"), shape, at


def _numbers(data: bytes, at: int) -> NDArray[Any]:
    """The numbers (N,) of an array. Raises ValueError if they are none."""
    kind, stored, _ = _part(data, at)
    if kind not in NUMBERS:
        raise ValueError(f"numbers of type {kind}")
    return np.frombuffer(stored, f"<{NUMBERS[kind]}")
