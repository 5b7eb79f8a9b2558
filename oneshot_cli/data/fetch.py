"""Where the files of a data set are: in a folder of the user, or downloaded and verified."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from oneshot_cli.errors import OneshotError

Progress = Callable[[str, int, int], None]
"""Called as `progress(what, done, total)` while something long goes on; total 0 is unknown."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a data set: its official name and, where it is public, its addresses and hash.

    `known_hash` ("md5:..." or "sha256:...") is of the official file; one without a hash is never
    downloaded. `other_names` are other names that the user's own copy may have.
    """

    name: str
    urls: tuple[str, ...] = ()
    known_hash: str = ""
    other_names: tuple[str, ...] = ()

    def within(self, folder: Path) -> Path | None:
        """The file in `folder`, by any of its names, if it is there."""
        paths = (folder / name for name in (self.name, *self.other_names))
        return next((path for path in paths if path.is_file()), None)


def cache_folder() -> Path:
    """`$ONESHOT_CACHE`, or the place that the system has for caches."""
    chosen = os.environ.get("ONESHOT_CACHE")
    return Path(chosen).expanduser() if chosen else user_cache_path("oneshot", appauthor=False)


def data_folder(data_dir: str | Path | None) -> Path | None:
    """The folder that the user named, here or as `$ONESHOT_DATA`; None if there is none."""
    chosen = data_dir or os.environ.get("ONESHOT_DATA")
    return Path(chosen).expanduser() if chosen else None


def find(
    files: Sequence[RemoteFile], folders: Sequence[str], data_dir: str | Path | None = None
) -> list[Path] | None:
    """The files, all in the user's folder or one of its `folders`; None if they are not there.

    Where the user named no folder, it is looked for among the downloads.
    """
    root = data_folder(data_dir) or cache_folder()
    for place in (root, *(root / folder for folder in folders)):
        paths = [file.within(place) for file in files]
        if all(paths):
            return [path for path in paths if path]
    return None


def obtain(
    files: Sequence[RemoteFile],
    folders: Sequence[str],
    data_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """The files from the user's folder if one was named, otherwise downloaded once.

    Raises OneshotError naming what is not there: a folder that was asked for is never silently
    replaced by a download.
    """
    root = data_folder(data_dir)
    if root is None:
        return download(files, cache_folder() / folders[0], progress)
    paths = find(files, folders, root)
    if paths is None:
        places = [root, *(root / folder for folder in folders)]
        missing = [f.name for f in files if not any(f.within(place) for place in places)]
        raise OneshotError(
            f"{', '.join(missing or [f.name for f in files])} not found in {root} or "
            f"{root / folders[0]}\nput the official files there, or name no folder (--data-dir, "
            "ONESHOT_DATA) to download them"
        )
    return paths


def download(
    files: Sequence[RemoteFile], folder: Path, progress: Progress | None = None
) -> list[Path]:
    """Download what is not yet in `folder`, verified by hash; a broken download is discarded.

    Pooch writes to a temporary name and renames a file only when its hash is right; a file that
    lies there with another hash is fetched again. Raises OneshotError if no address serves it.
    """
    return [_first_served(file, folder, progress) for file in files]


def _first_served(file: RemoteFile, folder: Path, progress: Progress | None) -> Path:
    """The file from the first of its addresses that serves it whole."""
    why = "it has no address that can be verified"
    for url in file.urls if file.known_hash else ():
        try:
            return _retrieve(url, file, folder, progress)
        except ValueError:  # noqa: PERF203 (one of two addresses, not a hot loop)
            why = f"what {url} serves is not the official file (its hash differs)"
        except OSError as error:  # what requests raises, and a folder that cannot be written
            why = str(error) if error.filename else f"{url} cannot be reached"
    raise OneshotError(
        f"could not download {file.name}: {why}\n"
        "get it by other means, put it in a folder, and name that with --data-dir"
    )


def _retrieve(url: str, file: RemoteFile, folder: Path, progress: Progress | None) -> Path:
    import pooch

    pooch.get_logger().setLevel(logging.ERROR)
    bar = _Bar(file.name, progress) if progress else False
    downloader = pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 16, timeout=30)
    return Path(pooch.retrieve(url, file.known_hash, file.name, folder, downloader=downloader))


class _Bar:
    """The face of a tqdm bar that pooch expects, passing its figures on to a Progress."""

    def __init__(self, name: str, progress: Progress) -> None:
        self.name, self.progress = name, progress
        self.total, self.done = 0, 0

    def update(self, count: int) -> None:
        self.done += count
        done = min(self.done, self.total) if self.total else self.done
        self.progress(f"downloading {self.name}", done, self.total)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        pass
