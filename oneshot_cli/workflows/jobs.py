"""Which pictures come in and which files go out: the naming rules of the drawing commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from oneshot_cli.errors import OneshotError
from oneshot_cli.imaging.reading import PICTURE_ENDINGS

GRID_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"})
"""What a grid can be written as."""

DEFAULT_FOLDER = Path("out")


@dataclass(frozen=True)
class Job:
    """Exemplars that are read together, and the name of what is made of them."""

    name: str
    paths: tuple[Path, ...]


def pictures_in(paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Each picture of `paths`, with a name: folders are searched, theirs are named from there.

    Raises OneshotError for a folder without pictures. A file that is missing is named as it is;
    reading it says so.
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
    """One job a picture, or one for all of them; names that come twice are numbered."""
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
    """Where pictures go: a folder, or, if `--output` ends like a picture, one grid and no more."""

    folder: Path
    grid_file: Path | None = None

    @classmethod
    def of(cls, output: Path | None) -> Target:
        """The target that `--output` names. Raises OneshotError for an ending not known."""
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
        """The files of `count` pictures: name-01.png and so on; none if only a grid is written."""
        if self.grid_file:
            return []
        digits = max(2, len(str(count)))
        return [self.folder / f"{name}-{i:0{digits}}.png" for i in range(1, count + 1)]

    def grid(self, name: str, page: int = 0, pages: int = 1) -> Path:
        """The file of the grid, or of one page of it."""
        number = f"-{page + 1:03}" if pages > 1 else ""
        if self.grid_file:
            return self.grid_file.with_stem(self.grid_file.stem + number)
        return self.folder / f"{name}{number}.png"
