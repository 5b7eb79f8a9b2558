"""Files are written whole or not at all, and only regular files of a known size are read.

Writing goes to a temporary file in the same folder, which is synced and then renamed. A failure to
write names the file and says what is wrong, such as a full disk.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from oneshot_cli.errors import OneshotError

try:
    import fcntl
except ImportError:  # Windows has no such locks: there abandoned files are left alone
    fcntl = None  # type: ignore[assignment]

PARTIAL = ".partial-"
"""How the names of temporary files begin."""

TEMPORARY = re.compile(re.escape(PARTIAL) + r"[a-z0-9_]{8}(\.[^.]*)?")
"""The names of temporary files."""

NO_SPACE = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than the limit for files",
}


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder and rename it to `path` at the end of the block.

    If the block is interrupted, `path` keeps its old content. A link stays; its file is written.
    A file that exists keeps its permissions; a new one has those that the umask leaves. Temporary
    files of processes that were killed are removed. Raises OneshotError for a device or a pipe, and
    if the file cannot be written.
    """
    path = Path(path)
    with write_errors(path):
        if path.is_symlink():
            path = path.resolve()
        if path.exists() and not path.is_file():
            raise OneshotError(f"{path} is no file that can be replaced")
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path.parent.resolve())
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
        with _temporary_file(path) as temporary:
            if mode is not None:
                temporary.chmod(mode | stat.S_IRUSR | stat.S_IWUSR)
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            if mode is not None:
                temporary.chmod(mode)
            temporary.replace(path)


def atomic_write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all. Raises as `atomic_write`."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def write_errors(path: str | Path) -> Iterator[None]:
    """Turn errors of the system while `path` is written into an OneshotError that names it.

    Those of safetensors have the system's number in their text. A closed pipe stays what it is.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritable(path, error.errno, error.strerror or str(error)) from error
    except Exception as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is None:
            raise
        code = int(number[1])
        raise _unwritable(path, code, os.strerror(code)) from error


def _unwritable(path: str | Path, code: int | None, reason: str) -> OneshotError:
    if code in NO_SPACE:
        return OneshotError(
            f"{path} cannot be written: {NO_SPACE[code]}\n"
            "make room there, or write somewhere else; what was written before is whole"
        )
    return OneshotError(f"{path} cannot be written: {reason}")


@contextmanager
def _temporary_file(path: Path) -> Iterator[Path]:
    """A new file beside `path`, which is removed after the block unless it was renamed.

    It is locked during the block. A lock ends with its process, so a file without one is abandoned.
    """
    handle, temporary = None, None
    try:
        while temporary is None:
            name = path.parent / f"{PARTIAL}{secrets.token_hex(4)}{path.suffix}"
            with suppress(FileExistsError):
                handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            if handle is None:
                continue
            if _locked(handle) and name.exists():
                temporary = name
            if temporary is None or fcntl is None:
                os.close(handle)
                handle = None
        yield temporary
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)


def _locked(handle: int) -> bool:
    """Lock a file of this process. False if another process has taken it for abandoned."""
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # the file system has no locks
        pass
    return True


@cache
def _remove_abandoned(folder: Path) -> None:
    """Remove temporary files that no process has locked: theirs was killed. Once a process."""
    if fcntl is None:
        return
    with suppress(OSError):
        for name in os.listdir(folder):
            if TEMPORARY.fullmatch(name):
                _remove_if_unlocked(folder / name)


def _remove_if_unlocked(file: Path) -> None:
    if file.is_symlink() or not file.is_file():
        return
    with suppress(OSError):  # another process has locked or removed it, or there are no locks
        handle = os.open(file, os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.unlink()
        finally:
            os.close(handle)


def refuse_to_overwrite(paths: Iterable[Path], force: bool, read: Iterable[Path] = ()) -> None:
    """Raise OneshotError if one of `paths` exists, unless `force` is true.

    Also, whatever `force` is, if two of them are the same file, or if one is among those that are
    `read`.
    """
    inputs, outputs = {path.resolve() for path in read}, set[Path]()
    for path in paths:
        if path.resolve() in inputs:
            raise OneshotError(f"{path} is read, and would be overwritten\ngive another file")
        if path.resolve() in outputs:
            raise OneshotError(f"{path} is named for two results\ngive each its own file")
        outputs.add(path.resolve())
        if path.exists() and not force:
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


def files_below(
    folder: Path,
    failed: Callable[[Path, OSError], None],
    enters: Callable[[Path], bool] = lambda folder: True,
    _above: tuple[Path, ...] = (),
) -> Iterator[Path]:
    """What is in a folder and its subfolders except folders, in the order of names.

    Hidden files and folders are left out. Links to folders are followed, except to one that they
    are in. `enters` says of each subfolder whether it is searched. `failed` is called with each
    folder that cannot be read and the reason; if it returns, the search goes on.
    """
    here = folder.resolve()
    if here in _above:
        return
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        failed(folder, error)
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if not os.path.isdir(entry):  # unlike Path.is_dir, no error for a name that is too long
            yield entry
        elif enters(entry):
            yield from files_below(entry, failed, enters, (*_above, here))
