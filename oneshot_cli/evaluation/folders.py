"""Variations by another program: a folder of pictures for each character."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation.critics import SIZE, binary_ink
from oneshot_cli.imaging.exemplar import Picture, drawing, plain_ink
from oneshot_cli.imaging.ink import BlankError


@dataclass(frozen=True)
class FolderVariations:
    """Pictures of C characters: exemplars (C, 1, 28, 28) and variations (C, n, 1, 28, 28).

    n is the largest number of variations of a character; `present` (C, n) is false where there are
    fewer. `notes` are sentences on what was left out, and why.
    """

    names: tuple[str, ...]
    exemplars: Tensor
    variations: Tensor
    present: Tensor
    notes: tuple[str, ...]


def read_folders(root: str | Path) -> FolderVariations:
    """Read `root`, which has a folder for each character with `exemplar.*` and its variations.

    Drawings in clean pictures are not centred or redrawn: the pictures are padded to squares and
    box-resampled to 28 x 28. Photos are read as exemplars are.
    Unreadable pictures, and characters without exemplar or variation, are left out with a note.
    Raises OneshotError if no character is left.
    """
    root = Path(root)
    if not root.is_dir():
        raise OneshotError(f"{root}: not a folder; give a folder with one folder per character")
    names: list[str] = []
    exemplars: list[Tensor] = []
    groups: list[Tensor] = []
    notes: list[str] = []
    for folder in sorted(child for child in root.iterdir() if child.is_dir()):
        exemplar, pictures = _read_character(folder, notes)
        if exemplar is None or not pictures:
            continue
        names.append(folder.name)
        exemplars.append(exemplar)
        groups.append(torch.stack(pictures))
    if not names:
        why = f": {notes[0]}" if notes else ""
        raise OneshotError(
            f"{root}: no character to score{why}\n"
            "make one folder per character, with exemplar.png and its variations inside"
        )
    most = max(map(len, groups))
    variations = torch.zeros(len(names), most, 1, SIZE, SIZE)
    present = torch.zeros(len(names), most, dtype=torch.bool)
    for row, pictures_of_one in enumerate(groups):
        variations[row, : len(pictures_of_one)] = pictures_of_one
        present[row, : len(pictures_of_one)] = True
    return FolderVariations(tuple(names), torch.stack(exemplars), variations, present, tuple(notes))


def _read_character(folder: Path, notes: list[str]) -> tuple[Tensor | None, list[Tensor]]:
    """The exemplar (or None) and the variations of one character; problems go to `notes`."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.name[0] != ".")
    named = [file for file in files if file.stem.lower() == "exemplar"]
    if len(named) != 1:
        problem = "no picture named exemplar.*" if not named else "several pictures named exemplar"
        notes.append(f"{folder}: {problem}; the character is left out")
        return None, []
    exemplar = _read(named[0], notes)
    if exemplar is None or not exemplar.any():
        notes.append(f"{folder}: no usable exemplar; the character is left out")
        return None, []
    read = [_read(file, notes) for file in files if file != named[0]]
    pictures = [picture for picture in read if picture is not None]
    if not pictures:
        notes.append(f"{folder}: no variation; the character is left out")
    elif len(pictures) == 1:
        notes.append(f"{folder}: a single variation; its diversity is undefined")
    return exemplar, pictures


def _read(file: Path, notes: list[str]) -> Tensor | None:
    """The picture as ink (1, 28, 28), or None, with a note, if it cannot be read."""
    try:
        return picture_ink(file)
    except OneshotError as error:
        notes.append(f"{error}; the picture is left out")
        return None


def picture_ink(picture: Picture) -> Tensor:
    """The ink (1, 28, 28), 0 or 1, of a picture of a drawing; none of a blank picture.

    A clean picture is taken as it stands. A photo is read as an exemplar is, see
    `imaging.exemplar`. Raises OneshotError for what is no picture.
    """
    try:
        mask = plain_ink(picture)
        if mask is None:
            mask = drawing(picture, SIZE).mask
    except BlankError:
        return torch.zeros(1, SIZE, SIZE)
    return binary_ink(torch.from_numpy(mask).float()[None, None])[0]
