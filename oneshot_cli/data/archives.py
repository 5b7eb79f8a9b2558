"""Compressed files and archives, of which no more is read than is wanted."""

from __future__ import annotations

import gzip
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, Any

from oneshot_cli.errors import OneshotError
from oneshot_cli.files import read_file, regular_file

GZIP = b"\x1f\x8b"
MAX_MEMBERS = 1_000
"""Members of a tar archive that are looked at."""

MAX_ARCHIVE = 1_000_000_000
"""Archives with more bytes are refused before they are read."""


class Bounded:
    """A binary file of which only the first `limit` bytes can be read.

    tarfile reads headers of whatever length they claim.
    """

    def __init__(self, file: IO[bytes] | gzip.GzipFile, limit: int) -> None:
        self.file, self.limit = file, limit

    def read(self, size: int) -> bytes:
        """The next `size` bytes. Raises OneshotError if they end after the limit."""
        self._check(self.file.tell() + size)
        return self.file.read(size)

    def seek(self, offset: int) -> int:
        """Move to `offset`. Raises OneshotError if it is after the limit."""
        self._check(offset)
        return self.file.seek(offset)

    def tell(self) -> int:
        return self.file.tell()

    def _check(self, end: int) -> None:
        if end > self.limit:
            raise OneshotError(f"it holds more than {self.limit:,} bytes")


def gunzipped(path: Path, limit: int) -> bytes:
    """The content of a file that may be compressed by gzip, of at most `limit` bytes.

    Raises OneshotError if it is damaged, or has more bytes.
    """
    data = read_file(path, limit + 1_000_000)
    if data[:2] != GZIP:
        return data
    try:
        with gzip.open(path) as file:
            content = file.read(limit + 1)
    except (EOFError, zlib.error, OSError) as error:
        raise OneshotError(f"{path} is damaged or unreadable ({error})\nfetch it again") from None
    if len(content) > limit:
        raise OneshotError(f"{path} holds more than {limit:,} bytes\nfetch it again")
    return content


def tar_members(path: Path, sizes: Mapping[str, int], limit: int) -> dict[str, bytes]:
    """The regular files of a tar archive, plain or gzipped, whose names are in `sizes`.

    Folders in the names are left out. `sizes` has the only size in bytes that each file may have;
    others are left out. Links are not followed. No more than `limit` bytes of the unpacked archive
    are read. Raises OneshotError if it is damaged or longer.
    """
    found: dict[str, bytes] = {}
    regular_file(path, MAX_ARCHIVE)
    try:
        with ExitStack() as stack:
            file = stack.enter_context(path.open("rb"))
            packed = file.read(2) == GZIP
            file.seek(0)
            plain = stack.enter_context(gzip.GzipFile(fileobj=file)) if packed else file
            bounded: Any = Bounded(plain, limit)
            archive = stack.enter_context(tarfile.open(fileobj=bounded, mode="r:"))
            for member in islice(archive, MAX_MEMBERS):
                name = PurePosixPath(member.name).name
                if member.isreg() and not member.issparse() and sizes.get(name) == member.size:
                    content = archive.extractfile(member)
                    found[name] = content.read() if content else b""
    except OneshotError as error:
        raise OneshotError(f"{path}: {error}\nfetch it again") from None
    except Exception as error:  # tarfile raises many kinds of errors on damaged headers
        raise OneshotError(
            f"{path} is damaged or not a tar archive ({error})\nfetch it again"
        ) from None
    return found


@contextmanager
def opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip archive. Damage that is found in the block is raised as an OneshotError."""
    regular_file(path, MAX_ARCHIVE)
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise OneshotError(
            f"{path} is damaged or not a zip archive ({error})\nfetch it again"
        ) from None
    except OSError as error:
        raise OneshotError(f"{path} cannot be read ({error})") from None


def zip_member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """The file `name` of a zip archive, of at most `limit` bytes.

    Raises OneshotError if it is missing, encrypted, longer, or compressed in an unusual way, and
    as zipfile does if it is damaged.
    """
    where = f"{os.fspath(archive.filename or 'the archive')}: {name}"
    try:
        member = archive.getinfo(name)
    except KeyError:
        raise OneshotError(f"{where} is missing") from None
    if member.flag_bits & 1:
        raise OneshotError(f"{where} is encrypted; pack it without a password")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise OneshotError(
            f"{where} is compressed in an unusual way; pack it as zip does (deflate)"
        )
    with archive.open(member) as file:
        content = file.read(limit + 1)  # the size in the header may be wrong
    if len(content) > limit:
        raise OneshotError(f"{where} has more than {limit:,} bytes")
    return content
