"""The user's own pictures, in a folder with or without subfolders for alphabets and characters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.fetch import Progress, data_folder
from oneshot_cli.data.splits import Selection
from oneshot_cli.errors import OneshotError
from oneshot_cli.files import files_below
from oneshot_cli.imaging.exemplar import drawing, plain_ink
from oneshot_cli.imaging.reading import PICTURE_ENDINGS
from oneshot_cli.imaging.resampling import resampled

SHEET = re.compile(r"(.+-)?grid(-\d{3})?|.+-input|alphabet|samples")
"""Names, without ending, of the sheets and inputs that the drawing commands write."""

FIRST_DRAWING = re.compile(r".+-0+1")
"""The name of the first of the numbered drawings that lie beside or below such a sheet."""


def pictures_below(root: Path) -> list[Path]:
    """The pictures in a folder and its subfolders, sorted by path.

    Hidden files and folders are left out, and so are the sheets that the drawing commands write
    beside their drawings, such as grid.png: they are no drawings of one character. Folders that
    are symbolic links are followed.
    """
    found = files_below(root, _unreadable)
    pictures = sorted(path for path in found if path.suffix.lower() in PICTURE_ENDINGS)
    sheets = sheets_among(pictures)
    return [path for path in pictures if path not in sheets]


def sheets_among(pictures: Sequence[Path]) -> set[Path]:
    """The sheets that the drawing commands wrote: named so, with numbered drawings beside them."""
    sheets = {path for path in pictures if SHEET.fullmatch(path.stem)}
    first = [path for path in pictures if FIRST_DRAWING.fullmatch(path.stem)]
    drawn = {folder for path in first if path not in sheets for folder in path.parents}
    return {path for path in sheets if path.parent in drawn}


def _unreadable(folder: Path, error: OSError) -> None:
    raise OneshotError(f"{folder} cannot be read: {error.strerror}") from error


def load(
    data_dir: str | Path | None, selection: Selection, progress: Progress | None = None
) -> Drawings:
    """Load the pictures below `data_dir` that `selection` keeps, sorted by name.

    They are in `alphabet/character/*.png` (higher folders are part of the alphabet's name), in
    `character/*.png` (one alphabet, named after the folder), or directly in the folder (each
    picture is a character). They are read as exemplars are: dark on light or light on dark, on
    transparency, photos, scans. Drawings in clean pictures keep their pen and their place in the
    square around the picture; those in photos and on lined paper are redrawn with Omniglot's pen
    and centred. Raises OneshotError if there are no pictures, or one is blank or cannot be read.
    """
    root = data_folder(data_dir)
    if root is None:
        raise OneshotError("give the folder of your own pictures with --data-dir")
    if not root.is_dir():
        raise OneshotError(f"{root} is not a folder")
    groups: dict[tuple[str, str], list[Path]] = {}
    for path in pictures_below(root):
        groups.setdefault(_names(root, path.relative_to(root)), []).append(path)
    if not groups:
        raise OneshotError(f"there are no pictures in {root} or its folders")
    ordered = sorted(groups.items())
    kept = selection.keeps(["/".join(names) for names, _ in ordered])
    chosen = [item for item, keep in zip(ordered, kept, strict=True) if keep]
    alphabets = sorted({alphabet for alphabet, _ in groups})
    total = sum(len(paths) for _, paths in chosen)
    images: list[Tensor] = []
    for _, paths in chosen:
        images.extend(_drawing(path, selection) for path in paths)
        if progress:
            progress(f"reading {root}", len(images), total)
    counts = torch.tensor([len(paths) for _, paths in chosen])
    return Drawings(
        images=torch.cat(images),
        character=torch.repeat_interleave(torch.arange(len(chosen)), counts),
        alphabet=torch.tensor([alphabets.index(alphabet) for (alphabet, _), _ in chosen]),
        characters=tuple("/".join(names) for names, _ in chosen),
        alphabets=tuple(alphabets),
    )


def _names(root: Path, inside: Path) -> tuple[str, str]:
    """The names of a picture's alphabet and character, from its path."""
    *folders, file = inside.parts
    if len(folders) >= 2:
        return "/".join(folders[:-1]), folders[-1]
    return root.resolve().name, folders[0] if folders else Path(file).stem


def _drawing(path: Path, selection: Selection) -> Tensor:
    """One picture as binary uint8 (1, size, size), ink 1."""
    mask = plain_ink(path)
    if mask is None:
        mask = drawing(path, selection.size).mask
    ink = torch.from_numpy(mask.astype(np.uint8))[None]
    return resampled(ink, selection.size, selection.resample)
