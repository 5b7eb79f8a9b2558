"""Atomic writing: to a temporary file in the same folder, which is synced and then renamed."""

from __future__ import annotations

import os
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
