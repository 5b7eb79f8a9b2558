"""Where the drawing commands write: a new folder, a given one, one file, or standard output."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from oneshot_cli.distributed import ALONE, World
from oneshot_cli.errors import OneshotError, UsageError
from oneshot_cli.files import (
    atomic_write_bytes,
    refuse_to_overwrite,
    require_folder,
    write_errors,
)
from oneshot_cli.imaging.formats import require_pdf
from oneshot_cli.imaging.reading import URL
from oneshot_cli.workflows.jobs import STANDARD

PICTURE_FORMATS = ("png", "webp", "svg")
"""Formats of single pictures, and of the grid beside them."""

ONE_FILE_FORMATS = ("pdf", "npz")
"""Formats that hold all pictures in one file."""

FORMATS = (*PICTURE_FORMATS, *ONE_FILE_FORMATS)

GRID_ENDINGS = {
    **{f".{name}": name for name in (*FORMATS, "bmp")},
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".tif": "tiff",
    ".tiff": "tiff",
}
"""The endings of an output that is one file, and their formats."""

DEFAULT_FOLDER = Path("out")
"""Where new folders are made."""


@dataclass(frozen=True)
class Target:
    """Where pictures are written, and in which format.

    With a `file` only the grid is written, to that file; or, to standard output, the picture, if
    it is only one (`single`). Otherwise everything is written to `folder`.
    """

    folder: Path
    format: str = "png"
    file: Path | None = None
    single: bool = False

    @classmethod
    def of(cls, output: str | Path, format: str | None = None) -> Target:
        """The target of `--output`: a file if it ends like one, else a folder.

        What ends with a slash is a folder. Raises UsageError for a format that its ending
        contradicts, OneshotError for a folder that is a file.
        """
        path = Path(output)
        refuse_url(output)
        if path == STANDARD:
            refuse_terminal()
            return cls(Path(), format or "png", STANDARD)
        meant = GRID_ENDINGS.get(path.suffix.lower())
        if meant is None or str(output).endswith(("/", os.sep)) or path.is_dir():
            if path.exists() and not path.is_dir():
                raise OneshotError(f"{path} is a file, but a folder is needed there")
            return cls(path, format or "png")
        if format not in (None, meant):
            raise UsageError(f"--format {format} does not fit the ending of {path}")
        return cls(path.parent, meant, path)

    @property
    def streamed(self) -> bool:
        """Whether the output is standard output."""
        return self.file == STANDARD

    @property
    def one_file(self) -> bool:
        """Whether all pictures are written to one file of a format that holds them all."""
        return self.format in ONE_FILE_FORMATS

    def of_pictures(self, count: int) -> Target:
        """The target if there are so many pictures."""
        return replace(self, single=self.streamed and count == 1 and not self.one_file)

    def numbered(self, name: str, count: int) -> list[Path]:
        """The paths of `count` pictures, name-01.png and so on. Empty if only a grid is written."""
        if self.single:
            return [STANDARD]
        if self.file or self.one_file:
            return []
        digits = max(2, len(str(count)))
        return [self.beside(f"{name}-{i:0{digits}}") for i in range(1, count + 1)]

    def beside(self, name: str) -> Path:
        """The path of a picture of this name."""
        return self.folder / f"{name}.{self.format}"

    def grid(self, name: str, page: int = 0, pages: int = 1) -> Path | None:
        """The path of the grid, or of one of its pages; None if there is none."""
        if self.single:
            return None
        number = f"-{page + 1:03}" if pages > 1 and not self.one_file else ""
        if self.file:
            return self.file if self.streamed else self.file.with_stem(self.file.stem + number)
        return self.beside(f"{name}{number}")


def write(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all; or write to standard output, if `path` is `-`."""
    if path == STANDARD:
        with write_errors("standard output"):
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
    else:
        atomic_write_bytes(path, content)


def refuse_url(output: str | Path) -> None:
    """Raise UsageError if an output is a URL."""
    if URL.match(str(output)):
        raise UsageError(f"{output} is a URL, but pictures are written to files")


def refuse_terminal() -> None:
    """Raise UsageError if standard output, to which a picture is to be written, is a terminal."""
    if sys.stdout.isatty():
        raise UsageError("-o - writes a picture to standard output, which is a terminal")


@contextmanager
def opened(
    output: str | Path | None, format: str | None, title: str, world: World = ALONE
) -> Iterator[Target]:
    """The target of `--output` for the block; without an output, a new folder of its own.

    The folder is out/TITLE-1, or the next number that is free. If nothing was written, it is
    removed again.
    """
    if format == "pdf" or str(output).lower().endswith(".pdf"):
        require_pdf()
    if output is not None:
        yield Target.of(output, format)
        return
    folder = world.from_main(lambda: _new_folder(title))
    try:
        yield Target(folder, format or "png")
    finally:
        for empty in (folder, folder.parent) if world.is_main else ():
            with suppress(OSError):
                empty.rmdir()


def _new_folder(title: str) -> Path:
    """Make a folder in `out` that did not exist, after the highest number of this title."""
    require_folder(DEFAULT_FOLDER)
    form = re.compile(re.escape(title) + r"-(\d{1,9})")
    matches = (form.fullmatch(path.name) for path in DEFAULT_FOLDER.iterdir())
    number = max((int(match[1]) for match in matches if match), default=0)
    while True:
        number += 1
        folder = DEFAULT_FOLDER / f"{title}-{number}"
        with suppress(FileExistsError):  # another process was faster
            folder.mkdir()
            return folder


def refuse_conflicts(files: Iterable[Path], exemplars: Iterable[Path], *, overwrite: bool) -> None:
    """Raise OneshotError if one of `files` is an exemplar; or if it exists, without `overwrite`."""
    given = {path.resolve() for path in exemplars}
    written = [file for file in files if file != STANDARD]
    for file in written:
        if file.resolve() in given:
            raise OneshotError(
                f"{file} is one of the exemplars and would be overwritten\ngive another --output"
            )
    refuse_to_overwrite(dict.fromkeys(written), overwrite)  # a PDF is that of every page
