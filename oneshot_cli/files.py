"""Files are written whole or not at all, and only regular files of a known size are read.

Writing goes to a temporary file in the same folder, which is synced and then renamed.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from oneshot_cli.errors import OneshotError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder and rename it to `path` at the end of the block.

    If the block is interrupted, `path` keeps its old content. A link stays; its file is written.
    Raises OneshotError for a device or a pipe.
    """
    path = Path(path)
    if path.is_symlink():
        path = path.resolve()
    if path.exists() and not path.is_file():
        raise OneshotError(f"{path} is no file that can be replaced")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".partial-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def refuse_to_overwrite(paths: Iterable[Path], force: bool) -> None:
    """Raise OneshotError if one of `paths` exists, unless `force` is true."""
    if force:
        return
    for path in paths:
        if path.exists():
            raise OneshotError(
                f"{path} exists already\ngive --force to overwrite, or another --output"
            )


def require_folder(path: Path) -> Path:
    """Return the folder `path`, created if missing. Raises OneshotError if it is a file."""
    if path.exists() and not path.is_dir():
        raise OneshotError(f"{path} is a file, but a folder is needed there")
    path.mkdir(parents=True, exist_ok=True)
    return path


def regular_file(path: str | Path, limit: int | None = None) -> Path:
    """Return `path` if it is a regular file of at most `limit` bytes. Nothing is opened.

    A pipe or a device could block for ever or never end. Raises OneshotError.
    """
    path = Path(path)
    try:
        status = path.stat()
    except FileNotFoundError:
        raise OneshotError(f"{path}: no such file") from None
    except PermissionError:
        raise OneshotError(f"{path} cannot be read: permission denied") from None
    except (OSError, ValueError) as error:
        raise OneshotError(f"{path} cannot be read ({error})") from None
    if stat.S_ISDIR(status.st_mode):
        raise OneshotError(f"{path} is a folder, but a file is needed there")
    if not stat.S_ISREG(status.st_mode):
        raise OneshotError(f"{path} is not a regular file; save its content to one")
    if limit is not None and status.st_size > limit:
        raise OneshotError(f"{path} has more than {limit:,} bytes")
    return path


def read_file(path: str | Path, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes. Raises OneshotError."""
    path = regular_file(path, limit)
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)  # it may have grown
    except OSError as error:
        raise OneshotError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > limit:
        raise OneshotError(f"{path} has more than {limit:,} bytes")
    return content
