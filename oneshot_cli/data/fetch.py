"""Where the files of a data set are: in a folder of the user, or downloaded and verified."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from oneshot_cli.data.cache import cache_folder
from oneshot_cli.errors import OneshotError

Progress = Callable[[str, int, int], None]
"""Called as `progress(what, done, total)` while something long goes on; total 0 is unknown."""


@dataclass(frozen=True)
class Remote:
    """A file of a data set: its name and, where it can be downloaded, its addresses and hash.

    `known_hash` is of the official file ("md5:..."), in the form that pooch takes.
    """

    name: str
    urls: tuple[str, ...] = ()
    known_hash: str = ""


def find(
    files: Iterable[Remote], folders: Iterable[str], data_dir: str | Path | None
) -> list[Path]:
    """The files of a data set, looked for in `data_dir` (else `$ONESHOT_DATA`) and its `folders`.

    Without either, the downloaded ones. Raises OneshotError naming what is not there: a folder
    that was asked for is never silently replaced by another.
    """
    files = list(files)
    chosen = data_dir or os.environ.get("ONESHOT_DATA")
    root = Path(chosen).expanduser() if chosen else cache_folder()
    places = [root, *(root / folder for folder in folders)]
    for place in places:
        if all((place / file.name).is_file() for file in files):
            return [place / file.name for file in files]
    missing = [f.name for f in files if not any((place / f.name).is_file() for place in places)]
    raise FilesMissing(
        f"{', '.join(missing or [f.name for f in files])} not found in {root} "
        f"or its folder {next(iter(folders), '')}.",
        chosen=bool(chosen),
    )


class FilesMissing(OneshotError):
    """The files of a data set are not there; `chosen` if the user named the folder."""

    def __init__(self, message: str, chosen: bool) -> None:
        super().__init__(message)
        self.chosen = chosen


def obtain(
    files: Iterable[Remote],
    folders: tuple[str, ...],
    data_dir: str | Path | None,
    progress: Progress | None = None,
) -> list[Path]:
    """`find` the files; where no folder was named, download those that are not there yet."""
    files = list(files)
    try:
        return find(files, folders, data_dir)
    except FilesMissing as error:
        if error.chosen:
            raise OneshotError(
                f"{error} Put them there, or name no folder to download them."
            ) from None
    return download(files, cache_folder() / folders[0], progress)


def download(files: Iterable[Remote], folder: Path, progress: Progress | None = None) -> list[Path]:
    """Download what is not yet in `folder`, verified by hash; a broken download is discarded.

    Pooch writes to a temporary name and renames a file only when its hash is right; a file that
    lies there with another hash is fetched again. Raises OneshotError if no address serves it.
    """
    paths = []
    for file in files:
        errors = []
        for url in file.urls:
            try:
                paths.append(_retrieve(url, file, folder, progress))
                break
            except (OSError, ValueError) as error:  # requests' own errors are OSErrors
                errors.append(error)
        else:
            why = str(errors[-1]).split("\n")[0] if errors else "it has no public address"
            raise OneshotError(
                f"Could not download {file.name}: {why}\n"
                f"Get it by other means, put it in a folder, and name that with --data-dir."
            )
    return paths


def _retrieve(url: str, file: Remote, folder: Path, progress: Progress | None) -> Path:
    import pooch

    pooch.get_logger().setLevel(logging.ERROR)
    downloader = pooch.HTTPDownloader(
        progressbar=_Bar(file.name, progress) if progress else False, chunk_size=1 << 16, timeout=30
    )
    return Path(pooch.retrieve(url, file.known_hash, file.name, folder, downloader=downloader))


class _Bar:
    """The face of a tqdm bar that pooch expects, passing its figures on to a Progress."""

    def __init__(self, name: str, progress: Progress) -> None:
        self.name, self.progress = name, progress
        self.total, self.done = 0, 0

    def update(self, count: int) -> None:
        self.done += count
        self.progress(
            self.name, min(self.done, self.total) if self.total else self.done, self.total
        )

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        pass
