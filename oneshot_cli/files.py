"""Files that are either whole or not there: written beside their place, synced, renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from oneshot_cli.errors import OneshotError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder (same ending); rename it onto `path` on success.

    Whatever interrupts the block, `path` holds either its old content or the whole new one.
    """
    path = Path(path)
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
    """Raise OneshotError if one of `paths` exists and `force` was not given."""
    if force:
        return
    for path in paths:
        if path.exists():
            raise OneshotError(
                f"{path} exists already\ngive --force to overwrite, or another --output"
            )


def require_folder(path: Path) -> Path:
    """`path`, made if missing; OneshotError if a file stands in its place."""
    if path.exists() and not path.is_dir():
        raise OneshotError(f"{path} is a file, but a folder is needed there")
    path.mkdir(parents=True, exist_ok=True)
    return path
