"""The files of a data set: in the user's folder, or downloaded and verified."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from oneshot_cli.errors import OneshotError

Progress = Callable[[str, int, int], None]
"""Called as `progress(what, done, total)` during long work; a total of 0 means unknown."""

TIMEOUT = 30.0
"""Seconds without a byte after which a server is given up."""

MAX_BYTES = 1_000_000_000
"""A download with more bytes is given up; the largest official file has 182 million."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a data set: its official name and, if it is public, its addresses and its hash.

    `known_hash` is "md5:..." or "sha256:..."; a file without one is never downloaded. `other_names`
    are names that the user's copy may have instead, `unpacked` that of a folder with its content.
    """

    name: str
    urls: tuple[str, ...] = ()
    known_hash: str = ""
    other_names: tuple[str, ...] = ()
    unpacked: str = ""

    def within(self, folder: Path) -> Path | None:
        """The path of the file in `folder` under any of its names, or of its content, or None."""
        paths = (folder / name for name in (self.name, *self.other_names))
        found = next((path for path in paths if path.is_file()), None)
        if found is None and self.unpacked and (folder / self.unpacked).is_dir():
            return folder / self.unpacked
        return found


def cache_folder() -> Path:
    """`$ONESHOT_CACHE`, or the system's folder for caches."""
    chosen = os.environ.get("ONESHOT_CACHE")
    return Path(chosen).expanduser() if chosen else user_cache_path("oneshot", appauthor=False)


def data_folder(data_dir: str | Path | None) -> Path | None:
    """The user's data folder, from `data_dir` or `$ONESHOT_DATA`; None if neither is given."""
    chosen = data_dir or os.environ.get("ONESHOT_DATA")
    return Path(chosen).expanduser() if chosen else None


def find(
    files: Sequence[RemoteFile], folders: Sequence[str], data_dir: str | Path | None = None
) -> list[Path] | None:
    """The paths of all files in the user's folder or in one of its `folders`, else None.

    If the user named no folder, the folder of downloads is searched.
    """
    root = data_folder(data_dir) or cache_folder()
    for place in (root, *(root / folder for folder in folders)):
        paths = [file.within(place) for file in files]
        if all(paths):
            return [path for path in paths if path]
    return None


def fullest(files: Sequence[RemoteFile], folders: Sequence[str], root: Path) -> Path:
    """Of `root` and its `folders` the one with most of the files; the first folder if all lack."""
    places = [root / folders[0], root, *(root / folder for folder in folders[1:])]
    return max(places, key=lambda place: sum(bool(file.within(place)) for file in files))


def obtain(
    files: Sequence[RemoteFile],
    folders: Sequence[str],
    data_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """The paths of the files in the user's folder, or, if none is named, of downloaded files.

    Raises OneshotError if the user's folder lacks a file. It is never replaced by a download.
    """
    root = data_folder(data_dir)
    if root is None:
        return download(files, cache_folder() / folders[0], progress)
    paths = find(files, folders, root)
    if paths is None:
        place = fullest(files, folders, root)
        missing = [file.name for file in files if not file.within(place)]
        others = len(missing) < len(files)
        where = f"{place}, beside the others" if others else f"{root} or {root / folders[0]}"
        raise OneshotError(
            f"{', '.join(missing)} not found in {where}\nput the official files there, or name no "
            "folder (--data-dir, ONESHOT_DATA) to download them"
        )
    return paths


def download(
    files: Sequence[RemoteFile], folder: Path, progress: Progress | None = None
) -> list[Path]:
    """Download the files that `folder` lacks and verify their hashes. Returns the paths.

    Pooch writes to a temporary name and renames a file only if its hash is right. An existing file
    with another hash is downloaded again. Raises OneshotError if no address serves a file.
    """
    return [_first_served(file, folder, progress) for file in files]


def _first_served(file: RemoteFile, folder: Path, progress: Progress | None) -> Path:
    """The file from the first of its addresses that serves it completely."""
    why = "it has no address that can be verified"
    for url in file.urls if file.known_hash else ():
        try:
            return _retrieve(url, file, folder, progress)
        except ValueError:  # noqa: PERF203 (one of two addresses, not a hot loop)
            why = f"what {url} serves is not the official file (its hash differs)"
        except OneshotError as error:
            why = str(error)
        except OSError as error:  # errors of requests, or a folder that cannot be written
            why = str(error) if error.filename else f"{url} cannot be reached"
    raise OneshotError(
        f"could not download {file.name}: {why}\n"
        "get the file by other means, put it in a folder, and give that with --data-dir"
    )


def _retrieve(url: str, file: RemoteFile, folder: Path, progress: Progress | None) -> Path:
    import pooch

    pooch.get_logger().setLevel(logging.ERROR)
    bar = _Bar(url, file.name, progress or _no_progress)
    downloader = pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 16, timeout=TIMEOUT)
    return Path(pooch.retrieve(url, file.known_hash, file.name, folder, downloader=downloader))


def _no_progress(what: str, done: int, total: int) -> None:
    pass


class _Bar:
    """The interface of a tqdm bar, as pooch expects it, which reports to a Progress."""

    def __init__(self, url: str, name: str, progress: Progress) -> None:
        self.url, self.name, self.progress = url, name, progress
        self.total, self.done = 0, 0

    def update(self, count: int) -> None:
        """Report `count` more bytes. Raises OneshotError if they are too many."""
        self.done += count
        if self.done > MAX_BYTES:
            raise OneshotError(f"{self.url} serves more than {MAX_BYTES:,} bytes")
        done = min(self.done, self.total) if self.total else self.done
        self.progress(f"downloading {self.name}", done, self.total)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        pass
