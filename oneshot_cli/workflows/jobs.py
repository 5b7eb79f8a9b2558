"""The exemplars of the drawing commands: which pictures are meant, and what each is called."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from oneshot_cli.data.folder import sheets_among
from oneshot_cli.errors import OneshotError, UsageError
from oneshot_cli.files import files_below
from oneshot_cli.imaging.exemplar import AUTOMATIC, Drawing, Reading, count_characters, drawing
from oneshot_cli.imaging.reading import PICTURE_ENDINGS, Levels, is_url, read_picture
from oneshot_cli.paths import printable
from oneshot_cli.reporting import Reporter

STANDARD = Path("-")
"""Standard input as an exemplar, standard output as an output."""

STANDARD_INPUT = "standard input"

LONGEST_NAME = 200
"""Names of exemplars are cut to this many bytes: file systems allow 255, endings included."""

NAMED = 5
"""So many of the files that are left out are named in a note."""

RESERVED = frozenset({"grid"})
"""Names that exemplars do not get, because the grid of several exemplars has them."""


@dataclass(frozen=True)
class Source:
    """One picture to read: its `name`, its `path`, and what the reader takes.

    `picture` is the path itself, or the levels (H, W, C) of standard input or of a pipe, which can
    be read only once. `group` is the uppermost folder that the picture is in, seen from the folder
    that was given. `reading` says how the picture is read.
    """

    name: str
    path: Path
    picture: Path | Levels
    group: str
    reading: Reading = AUTOMATIC

    def __str__(self) -> str:
        return STANDARD_INPUT if self.path == STANDARD else str(self.path)

    @property
    def label(self) -> str:
        """The name of the file alone."""
        return STANDARD_INPUT if self.path == STANDARD else printable(self.path.name)

    def drawing(self, size: int) -> Drawing:
        """The drawing in the picture, see `imaging.exemplar.drawing`. Raises OneshotError."""
        try:
            return drawing(self.picture, size, self.reading)
        except OneshotError as error:
            if isinstance(self.picture, Path):
                raise
            raise OneshotError(f"{self}: {error}") from None

    def each(self) -> list[Source]:
        """A source for each character in the picture, or this one if there is only one."""
        try:
            count = count_characters(self.picture, self.reading)
        except OneshotError:  # told when it is read
            return [self]
        if count == 1:
            return [self]
        return [
            replace(self, name=f"{self.name}-{i}", reading=replace(self.reading, part=i))
            for i in range(1, count + 1)
        ]


@dataclass
class Found:
    """The pictures among some paths.

    `failed` has the paths that are no pictures, with the reasons. `left_out` are the files in
    folders that do not end like pictures or are sheets of drawings, such as grid.png, and folders
    that were not searched.
    """

    sources: list[Source] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)

    def fail(self, name: str, error: OneshotError | OSError) -> None:
        """Note that the path or picture `name` cannot be read."""
        text = str(error) if isinstance(error, OneshotError) else f"{name}: {error.strerror}"
        self.failed.append((name, text))

    def report(self, reporter: Reporter) -> None:
        """Report what failed and what was left out. Raises OneshotError if nothing is left."""
        if not self.sources and len(self.failed) == 1:
            raise OneshotError(self.failed[0][1])
        for _, text in self.failed:
            reporter.error(text)
        if not self.sources:
            raise OneshotError("none of these pictures can be read")
        if self.left_out:
            named = ", ".join(printable(str(path)) for path in self.left_out[:NAMED])
            more = len(self.left_out) - NAMED
            reporter.note(f"left out: {named}{f' and {more:,} more' if more > 0 else ''}")

    def drawings(self, size: int, reporter: Reporter) -> list[tuple[Source, Drawing]]:
        """The pictures that can be read, with their drawings; the others are reported as failed.

        Raises OneshotError if there are none.
        """
        read = []
        for source in self.sources:
            try:
                read.append((source, source.drawing(size)))
            except OneshotError as error:  # noqa: PERF203
                if len(self.sources) == 1:
                    raise
                reporter.error(str(error))
                self.fail(source.name, error)
        if not read:
            raise OneshotError("none of these pictures can be read")
        return read


def find(
    paths: Sequence[Path],
    output: Path | None = None,
    reading: Reading = AUTOMATIC,
    *,
    each: bool = False,
) -> Found:
    """The pictures in `paths`: files, folders of them, or `-` for standard input.

    A file has its name without the ending, a picture in a folder its path from there. In folders,
    hidden files and sheets of drawings are passed over, links to folders are followed, and the
    folder `output`, where drawings are written, is not searched. One path that cannot be read does
    not stop the others. All are read as `reading` says. With `each`, every character in a picture
    is a source.
    """
    found = Found()
    written = None if output is None else output.resolve()
    folders = [path for path in paths if not is_url(path) and _is_folder(path)]
    for path in paths:
        try:
            if path not in folders:
                found.sources.append(_file(path, reading))
                continue
            before = len(found.sources), len(found.failed)
            for picture in _pictures(path, written, found):
                below = picture.relative_to(path)
                single = path.resolve().name if len(folders) > 1 else below.stem
                group = below.parts[0] if len(below.parts) > 1 else single
                name = below.with_suffix("").as_posix()
                found.sources.append(Source(_name(name), picture, picture, _name(group), reading))
            if before == (len(found.sources), len(found.failed)):
                raise OneshotError(f"{path}: no pictures in this folder")
        except (OneshotError, OSError) as error:
            found.fail(str(path), error)
    if each:
        found.sources = [part for source in found.sources for part in source.each()]
    return found


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # unlike Path.is_dir, no error for a name that is too long


def _file(path: Path, reading: Reading) -> Source:
    """One picture that is named by the user. Raises OneshotError if it cannot be one."""
    if path == STANDARD:
        return Source("stdin", path, _streamed(path, reading), "stdin", reading)
    if is_url(path):
        url = re.sub(":/+", "://", str(path))  # a Path has one slash
        raise OneshotError(f"{url} is a URL, but pictures are read from files; download it first")
    name = _name(path.stem.lstrip(".") or "picture")
    picture = _streamed(path, reading) if path.is_fifo() else path
    return Source(name, path, picture, name, reading)


def _streamed(path: Path, reading: Reading) -> Levels:
    """The levels (H, W, C) of a picture from standard input or a pipe. Raises OneshotError."""
    shown = STANDARD_INPUT if path == STANDARD else str(path)
    if path == STANDARD and sys.stdin.isatty():
        raise UsageError(f"- reads a picture from {STANDARD_INPUT}, but that is a terminal")
    content = sys.stdin.buffer.read() if path == STANDARD else path.read_bytes()
    if not content:
        raise OneshotError(f"{shown} is empty, but a picture is needed there")
    return read_picture(content, reading.frame, name=shown)


def _pictures(folder: Path, written: Path | None, found: Found) -> list[Path]:
    """The pictures in a folder and those below it; `found` notes what is left out or fails."""

    def enters(folder: Path) -> bool:
        if folder.resolve() != written:
            return True
        found.left_out.append(folder)
        return False

    def failed(folder: Path, error: OSError) -> None:
        found.fail(str(folder), error)

    files = list(files_below(folder, failed, enters))
    pictures = [p for p in files if p.suffix.lower() in PICTURE_ENDINGS and os.path.isfile(p)]
    wanted = set(pictures) - sheets_among(pictures)
    found.left_out += [path for path in files if path not in wanted]
    return [path for path in pictures if path in wanted]


def _name(text: str) -> str:
    """A name that every file system takes, also with a number and an ending behind it."""
    folder, slash, last = printable(text).rpartition("/")
    while len(last.encode()) > LONGEST_NAME:
        last = last[:-1]
    return folder + slash + last


@dataclass(frozen=True)
class Job:
    """Exemplars of one character, the name of the files drawn from them, and their number."""

    name: str
    sources: tuple[Source, ...]
    n: int


def jobs(found: Found, n: int, paths: Sequence[Path], *, together: bool = False) -> list[Job]:
    """A job of n variations for each picture that was found in `paths`, or one job for all."""
    if together:
        return [Job(title(paths), tuple(found.sources), n)]
    return _named([Job(source.name, (source,), n) for source in found.sources])


def jobs_per_class(found: Found, n: int) -> list[Job]:
    """Jobs that give each class n variations in all, in a folder of its name.

    A class is a `Source.group`. Its variations are shared among its pictures: the first ones have
    one more where n cannot be divided.
    """
    size = Counter(source.group for source in found.sources)
    seen: Counter[str] = Counter()
    made = []
    for source in found.sources:
        each, more = divmod(n, size[source.group])
        count = each + (seen[source.group] < more)
        seen[source.group] += 1
        if count:
            below = source.name.removeprefix(f"{source.group}/")
            name = _name(f"{source.group}/{below.replace('/', '-')}")
            made.append(Job(name, (source,), count))
    return _named(made)


def _named(made: Sequence[Job]) -> list[Job]:
    """The jobs, those whose name another one has, or the grid, with a number behind theirs."""
    taken = {job.name for job in made} | RESERVED
    used = set(RESERVED) if len(made) > 1 else set()
    named = []
    for job in made:
        name, number = job.name, 1
        while name in used or (number > 1 and name in taken):
            number += 1
            name = f"{job.name}-{number}"
        used.add(name)
        named.append(replace(job, name=name))
    return named


def title(paths: Sequence[Path]) -> str:
    """What drawings from these paths are called together: the name of the first."""
    if paths[0] == STANDARD:
        return "stdin"
    name = paths[0].resolve().name if _is_folder(paths[0]) else paths[0].stem
    return _name(name.lstrip(".") or "exemplars")
