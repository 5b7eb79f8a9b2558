"""A cache of decoded binary drawings, with eight pixels a byte and a checksum.

The folder is `$ONESHOT_CACHE` or the user's cache folder. It can be deleted at any time, since it
is rebuilt from the source. If it cannot be written, loading only takes longer.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.fetch import cache_folder
from oneshot_cli.data.splits import Selection
from oneshot_cli.errors import OneshotError
from oneshot_cli.files import atomic_write
from oneshot_cli.imaging.resampling import resampled

FORMAT = 1
CHUNK = 128
"""Drawings resampled in one chunk. Intermediate results fit in the processor's cache."""


@dataclass(frozen=True)
class Packed:
    """Binary S x S drawings: `bits` is uint8 (N, ceil(S * S / 8)); the rest as in Drawings."""

    bits: NDArray[np.uint8]
    size: int
    character: NDArray[np.int64]
    alphabet: NDArray[np.int64]
    characters: tuple[str, ...]
    alphabets: tuple[str, ...]

    def drawings(self, selection: Selection) -> Drawings:
        """The drawings of the characters that `selection` keeps, at its size.

        Works in chunks, so that the full-size images are never all in memory.
        """
        kept = np.array(selection.keeps(self.characters))
        renumber = np.cumsum(kept) - 1
        rows = np.flatnonzero(kept[self.character])
        return Drawings(
            images=torch.cat(
                [
                    resampled(self._images(rows[i : i + CHUNK]), selection.size, selection.resample)
                    for i in range(0, len(rows), CHUNK)
                ]
            ),
            character=torch.from_numpy(renumber[self.character[rows]]),
            alphabet=torch.from_numpy(self.alphabet[kept]),
            characters=tuple(n for n, k in zip(self.characters, kept, strict=True) if k),
            alphabets=self.alphabets,
        )

    def _images(self, rows: NDArray[np.int64]) -> Tensor:
        """The drawings `rows` (B,), unpacked: uint8 (B, S, S)."""
        pixels = np.unpackbits(self.bits[rows], axis=1, count=self.size * self.size)
        return torch.from_numpy(pixels).view(-1, self.size, self.size)


def fingerprint(*paths: Path) -> str:
    """A hash of the files' bytes, which identifies the source of a cache.

    Of a folder it is one of the names, sizes and times of its files, which may be many.
    """
    digest = blake2b(digest_size=16)
    for path in paths:
        if path.is_dir():
            digest.update(_listing(path).encode())
            continue
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _listing(folder: Path) -> str:
    """The files below `folder`, one in a line, with their sizes and times of change."""
    stats = {path: path.stat() for path in sorted(folder.rglob("*.png"))}
    return "\n".join(
        f"{path.relative_to(folder.parent).as_posix()} {stat.st_size} {stat.st_mtime_ns}"
        for path, stat in stats.items()
    )


def cached(name: str, source: str, build: Callable[[], Packed]) -> Packed:
    """The drawings of data set `name` from the cache, else from `build`, whose result is cached.

    `source` is the fingerprint of the files that they are decoded from.
    """
    path = cache_folder() / f"{name}-{source[:12]}.safetensors"
    packed = _read(path, source)
    if packed is None:
        packed = build()
        with suppress(OneshotError):  # a full disk or a read-only folder
            _write(path, source, packed)
    return packed


def _checksum(bits: NDArray[np.uint8]) -> int:
    return zlib.crc32(np.ascontiguousarray(bits).data)


def _write(path: Path, source: str, packed: Packed) -> None:
    header = {
        "format": FORMAT,
        "source": source,
        "size": packed.size,
        "checksum": _checksum(packed.bits),
        "characters": packed.characters,
        "alphabets": packed.alphabets,
    }
    arrays: dict[str, NDArray[Any]] = {
        "bits": packed.bits,
        "character": packed.character,
        "alphabet": packed.alphabet,
    }
    with atomic_write(path) as temporary:
        save_file(arrays, temporary, metadata={"oneshot": json.dumps(header)})


def _read(path: Path, source: str) -> Packed | None:
    """The cached drawings, or None if the file is missing, damaged or from another source."""
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})["oneshot"])
            if header["format"] != FORMAT or header["source"] != source:
                return None
            bits, character, alphabet = (
                file.get_tensor(name) for name in ("bits", "character", "alphabet")
            )
        characters, alphabets = tuple(header["characters"]), tuple(header["alphabets"])
        consistent = (
            len(bits) == len(character)
            and len(alphabet) == len(characters)
            and bits.shape[1] == (header["size"] ** 2 + 7) // 8
            and character.max() == len(characters) - 1
            and alphabet.max() == len(alphabets) - 1
            and _checksum(bits) == header["checksum"]
        )
    except (OSError, SafetensorError, LookupError, ValueError, TypeError):
        return None
    if not consistent:
        return None
    return Packed(bits, header["size"], character, alphabet, characters, alphabets)
