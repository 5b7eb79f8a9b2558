"""Small intact files of the data sets, and their readers made to expect them."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from scipy.io import savemat

from benchmarks.reliability.fuzz import Seed
from benchmarks.reliability.picture_corpus import checked_png, drawn, encoded
from oneshot_cli.data import burda, cifar10, folder, mnist, mnist_static, omniglot, svhn
from oneshot_cli.data.splits import Selection

COUNT = 4
"""Pictures in a batch of the small data sets."""


@contextmanager
def small_data_sets() -> Iterator[None]:
    """The readers of data sets expect few pictures while the block runs."""
    with ExitStack() as stack:
        changes: tuple[tuple[Any, str, Any], ...] = (
            (cifar10, "BATCH", COUNT),
            (svhn, "COUNTS", {"train": COUNT, "test": COUNT}),
            (burda, "COUNTS", {"": COUNT, "test": COUNT}),
            (mnist_static, "COUNTS", dict.fromkeys(("train", "valid", "test"), COUNT)),
            (omniglot, "PARTS", {"background": {"Latin": 1}}),
        )
        for module, name, value in changes:
            stack.enter_context(patch.object(module, name, value))
        yield


def small(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """`read`, with small data sets."""

    def reader(path: Path) -> Any:
        with small_data_sets():
            return read(path)

    return reader


def zipped(name: str, others: dict[str, bytes], data: bytes) -> bytes:
    """A zip archive with `data` in the file `name`, beside the files `others`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in {**others, name: data}.items():
            archive.writestr(member, content)
    return buffer.getvalue()


def omniglot_seeds() -> list[Seed]:
    square = encoded(drawn("1", (105, 105)), "PNG")
    files = {f"images/Latin/character01/{n:02d}.png": square for n in range(omniglot.DRAWINGS)}
    first = next(iter(files))
    whole = zipped(first, files, square)
    odd = [_odd_zip(files, kind) for kind in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)]
    return [
        Seed(whole),
        Seed(whole),
        Seed(square, partial(zipped, first, files)),
        Seed(square, lambda data: zipped(first, files, checked_png(data))),
        *(Seed(other, intact=False) for other in odd),
    ]


def _odd_zip(files: dict[str, bytes], kind: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def runs_seeds() -> list[Seed]:
    square = encoded(drawn("1", (105, 105)), "PNG")
    pairs = [(f"run01/test/{n}.png", f"run01/training/{n}.png") for n in range(3)]
    labels = "\n".join(f"{a} {b}" for a, b in pairs).encode()
    files = {name: square for pair in pairs for name in pair}
    name = "run01/class_labels.txt"
    whole = zipped(name, files, labels)
    first = pairs[0][0]
    return [
        Seed(whole),
        Seed(labels, partial(zipped, name, files)),
        Seed(square, partial(zipped, first, {**files, name: labels})),
    ]


def cifar_seeds() -> list[Seed]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("readme-ä.html", *cifar10.TEST):
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = COUNT * cifar10.RECORD
            archive.addfile(info, io.BytesIO(bytes(info.size)))
        for kind, name in ((tarfile.SYMTYPE, "a"), (tarfile.LNKTYPE, "b")):
            link = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            link.type, link.linkname = kind, cifar10.TEST[0]
            archive.addfile(link)
    plain = buffer.getvalue()
    return [
        Seed(plain, checked_tar),
        Seed(plain),
        Seed(plain, gzip.compress),
        Seed(_gzipped(plain)),
    ]


def _gzipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def checked_tar(data: bytes) -> bytes:
    """A damaged tar archive whose blocks that look like headers have right checksums."""
    found = bytearray(data)
    for at in range(0, len(found) - 511, 512):
        block = found[at : at + 512]
        if block[257:262] == b"ustar":
            block[148:156] = b" " * 8
            found[at + 148 : at + 156] = b"%06o\0 " % sum(block)
    return bytes(found)


def matlab(content: dict[str, Any], *, compressed: bool) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, content, do_compression=compressed)
    return buffer.getvalue()


def packed_matlab(data: bytes) -> bytes:
    """An uncompressed MATLAB file with each of its elements compressed."""
    found, at = bytearray(data[:128]), 128
    while at + 8 <= len(data):
        _, size = struct.unpack("<II", data[at : at + 8])
        element = zlib.compress(data[at : at + 8 + size], 1)
        found += struct.pack("<II", 15, len(element)) + element
        at += 8 + size
    return bytes(found)


def matlab_seeds(content: dict[str, Any]) -> list[Seed]:
    plain = matlab(content, compressed=False)
    return [Seed(plain), Seed(plain, packed_matlab), Seed(matlab(content, compressed=True))]


def svhn_seeds() -> list[Seed]:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3, COUNT), dtype=np.uint8)
    return matlab_seeds({"X": pixels, "y": np.arange(1, COUNT + 1)[:, None]})


def burda_seeds() -> list[Seed]:
    images = np.random.default_rng(0).random((784, COUNT))
    alphabets = np.eye(burda.ALPHABETS)[:, [4, 1, 1, 2]]
    return matlab_seeds(
        {"data": images, "target": alphabets, "targetchar": np.array([[2, 9, 3, 1]])}
    )


def read_burda(path: Path) -> None:
    burda.load(path.parent, Selection(part="train"))


def idx_seeds() -> list[Seed]:
    return [Seed(_idx()), Seed(_idx(), gzip.compress), Seed(_gzipped(_idx()))]


def _idx() -> bytes:
    return bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]) + bytes(range(24))


def read_idx(path: Path) -> None:
    from hashlib import md5

    mnist.read_idx(path, md5(_idx(), usedforsecurity=False).hexdigest())


def amat_seeds() -> list[Seed]:
    return [Seed(b"".join(b"1 0 " * (28 * 14) + b"\n" for _ in range(COUNT)))]


def read_folder(path: Path) -> None:
    """The picture in a folder of a user's own, beside an intact one."""
    beside = path.parent / "intact.png"
    if not beside.exists():
        beside.write_bytes(encoded(drawn(), "PNG"))
    folder.load(path.parent, Selection(part="all"))
