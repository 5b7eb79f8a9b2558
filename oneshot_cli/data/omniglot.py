"""Omniglot (Lake et al. 2015): 1,623 characters of 50 alphabets, 20 drawings each, 105 x 105."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_cli.data.archives import opened_zip, zip_member
from oneshot_cli.data.cache import Packed, cached, fingerprint
from oneshot_cli.data.catalogue import DATASETS
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.fetch import Progress
from oneshot_cli.data.splits import OMNIGLOT_BACKGROUND, OMNIGLOT_EVALUATION, Selection
from oneshot_cli.errors import OneshotError
from oneshot_cli.files import read_file

SIZE = 105
DRAWINGS = 20
MAX_DRAWING_BYTES = 100_000
"""A drawing has some 300 bytes."""

PARTS = {"background": OMNIGLOT_BACKGROUND, "evaluation": OMNIGLOT_EVALUATION}


def load(
    data_dir: str | Path | None, selection: Selection, progress: Progress | None = None
) -> Drawings:
    """Load the drawings that `selection` keeps of all 32,460.

    The background set comes first, then the evaluation set, each sorted by name. The user's
    archives, or folders that they were unpacked to, are checked by their content instead of a hash,
    since the same pictures may be packed differently. Raises OneshotError if one is
    missing or damaged.
    """
    paths = DATASETS["omniglot"].obtain(data_dir, progress)
    packed = cached("omniglot", fingerprint(*paths), lambda: decode(paths, progress))
    return packed.drawings(selection)


def is_local(data_dir: str | Path | None = None) -> bool:
    """Whether the archives are on this machine and need no download."""
    return DATASETS["omniglot"].local_files(data_dir) is not None


def decode(paths: list[Path], progress: Progress | None = None) -> Packed:
    """Decode the background and the evaluation set, in this order: archives or folders."""
    bits: list[NDArray[np.uint8]] = []
    names: list[str] = []
    total = DRAWINGS * sum(sum(alphabets.values()) for alphabets in PARTS.values())
    for path, alphabets in zip(paths, PARTS.values(), strict=True):
        with _opened(path) as archive:
            for character, members in _members(path, archive, alphabets).items():
                names.append(character)
                bits.extend(_pixels(path, archive, member) for member in members)
                if progress:
                    progress("decoding Omniglot", len(bits), total)
    alphabet_names = tuple(name for alphabets in PARTS.values() for name in sorted(alphabets))
    number = {name: i for i, name in enumerate(alphabet_names)}
    return Packed(
        bits=np.stack(bits),
        size=SIZE,
        character=np.repeat(np.arange(len(names)), DRAWINGS),
        alphabet=np.array([number[name.split("/")[0]] for name in names]),
        characters=tuple(names),
        alphabets=alphabet_names,
    )


@dataclass(frozen=True)
class UnpackedArchive:
    """A folder that an archive was unpacked to, which is read like the archive."""

    path: Path

    def namelist(self) -> list[str]:
        """The files, with the name of the folder before theirs."""
        return [path.relative_to(self.path.parent).as_posix() for path in self.path.rglob("*.png")]

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises OneshotError."""
        return read_file(self.path.parent / name, MAX_DRAWING_BYTES)


Archive: TypeAlias = zipfile.ZipFile | UnpackedArchive


@contextmanager
def _opened(path: Path) -> Iterator[Archive]:
    """Open an archive. Damage that is found in the block is raised as an OneshotError."""
    if path.is_dir():
        yield UnpackedArchive(path)
        return
    with opened_zip(path) as archive:
        yield archive


def _members(path: Path, archive: Archive, alphabets: dict[str, int]) -> dict[str, list[str]]:
    """The names of each character's files, by names such as "Latin/character01".

    Raises OneshotError if a character or a drawing is missing.
    """
    found: dict[str, list[str]] = {}
    for member in sorted(archive.namelist()):
        parts = PurePosixPath(member).parts
        if len(parts) >= 3 and member.endswith(".png") and not parts[-1].startswith("."):
            found.setdefault("/".join(parts[-3:-1]), []).append(member)
    expected = [
        f"{alphabet}/character{number:02d}"
        for alphabet in sorted(alphabets)
        for number in range(1, alphabets[alphabet] + 1)
    ]
    for character in expected:
        count = len(found.get(character, ()))
        if count != DRAWINGS:
            what = f"{count} of the {DRAWINGS} drawings of" if count else "no drawing of"
            raise OneshotError(
                f"{path} has {what} {character}: the official archive has {len(expected)} "
                f"characters, {DRAWINGS} drawings each\nfetch it again"
            )
    return {character: found[character] for character in expected}


def _pixels(path: Path, archive: Archive, member: str) -> NDArray[np.uint8]:
    """One drawing with eight pixels a byte, ink 1."""
    return np.packbits(zipped_drawing(path, archive, member))


def zipped_drawing(path: Path, archive: Archive, member: str) -> NDArray[np.uint8]:
    """The drawing (105, 105) in the PNG `member` of the archive at `path`, ink 1.

    Files are black on white. Raises OneshotError if it is missing or no such picture.
    """
    if isinstance(archive, UnpackedArchive):
        data = archive.read(member)
    else:
        data = zip_member(archive, member, MAX_DRAWING_BYTES)
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            if image.size != (SIZE, SIZE):
                raise OneshotError(
                    f"{path}: {member} is {image.width} x {image.height} pixels, "
                    f"not {SIZE} x {SIZE}"
                )
            grey = np.asarray(image.convert("L"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OneshotError(f"{path}: {member} is not a readable picture ({error})") from None
    return (grey <= 127).astype(np.uint8)
