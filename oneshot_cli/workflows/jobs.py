"""The input pictures of the drawing commands, and the names of their output files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from oneshot_cli.errors import OneshotError
from oneshot_cli.imaging.reading import PICTURE_ENDINGS

GRID_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"})
"""The file formats of grids."""

DEFAULT_FOLDER = Path("out")


@dataclass(frozen=True)
class Job:
    """Exemplars of one character, and the name of the files drawn from them."""

    name: str
    paths: tuple[Path, ...]


def pictures_in(paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """The names and paths of the pictures in `paths`, which are files or folders.

    A file has its name without the ending, a picture in a folder its path from there. Raises
    OneshotError for a folder without pictures. Missing files are not checked here.
    """
    for path in paths:
        if not path.is_dir():
            yield path.stem, path
            continue
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in PICTURE_ENDINGS)
        if not found:
            raise OneshotError(f"{path}: no pictures in this folder")
        for picture in found:
            yield picture.relative_to(path).with_suffix("").as_posix(), picture


def jobs(paths: Sequence[Path], together: bool = False) -> list[Job]:
    """A job for each picture, or one for all. Names that occur more than once are numbered."""
    found = list(pictures_in(paths))
    if together:
        name = paths[0].name if paths[0].is_dir() else found[0][0]
        return [Job(name or "exemplars", tuple(path for _, path in found))]
    seen: dict[str, int] = {}
    each = []
    for name, path in found:
        seen[name] = seen.get(name, 0) + 1
        each.append(Job(name if seen[name] == 1 else f"{name}-{seen[name]}", (path,)))
    return each


@dataclass(frozen=True)
class Target:
    """Where pictures are written: to a folder, or only a grid, to `grid_file`."""

    folder: Path
    grid_file: Path | None = None

    @classmethod
    def of(cls, output: Path | None) -> Target:
        """The target of `--output`: a grid if it ends like a picture, else a folder.

        Raises OneshotError for an unknown ending.
        """
        if output is None:
            return cls(DEFAULT_FOLDER)
        if output.is_dir() or not output.suffix:
            if output.is_file():
                raise OneshotError(f"{output} is a file, but a folder is needed there")
            return cls(output)
        if output.suffix.lower() not in GRID_ENDINGS:
            raise OneshotError(
                f"{output}: a grid is not written as {output.suffix}; "
                f"name a folder, or a file ending in {', '.join(sorted(GRID_ENDINGS))}"
            )
        return cls(output.parent, output)

    def numbered(self, name: str, count: int) -> list[Path]:
        """The paths of `count` pictures, name-01.png and so on. Empty if only a grid is written."""
        if self.grid_file:
            return []
        digits = max(2, len(str(count)))
        return [self.folder / f"{name}-{i:0{digits}}.png" for i in range(1, count + 1)]

    def grid(self, name: str, page: int = 0, pages: int = 1) -> Path:
        """The path of the grid, or of one of its pages."""
        number = f"-{page + 1:03}" if pages > 1 else ""
        if self.grid_file:
            return self.grid_file.with_stem(self.grid_file.stem + number)
        return self.folder / f"{name}{number}.png"
