"""The user's own pictures, in a folder with or without subfolders for alphabets and characters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.fetch import Progress, data_folder
from oneshot_cli.data.resampling import resampled
from oneshot_cli.data.splits import Selection
from oneshot_cli.errors import OneshotError

ENDINGS = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".pbm", ".ppm")
)

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
    pictures = sorted(path for path in _files(root) if path.suffix.lower() in ENDINGS)
    sheets = {path for path in pictures if SHEET.fullmatch(path.stem)}
    first = [path for path in pictures if FIRST_DRAWING.fullmatch(path.stem)]
    drawn = {folder for path in first if path not in sheets for folder in path.parents}
    return [path for path in pictures if path not in sheets or path.parent not in drawn]


def _files(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """The files below a folder that are not hidden. `above` are the folders that contain it."""
    real = folder.resolve()
    if real in above:  # links can form a circle
        return
    try:
        inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise OneshotError(f"{folder} cannot be read: {error.strerror}") from None
    for path in inside:
        if path.is_dir():
            yield from _files(path, above | {real})
        else:
            yield path


def load(
    data_dir: str | Path | None, selection: Selection, progress: Progress | None = None
) -> Drawings:
    """Load the pictures below `data_dir` that `selection` keeps, sorted by name.

    They are in `alphabet/character/*.png` (higher folders are part of the alphabet's name), in
    `character/*.png` (one alphabet, named after the folder), or directly in the folder (each
    picture is a character). Ink may be dark on light or light on dark. A picture that is not square
    is centred in a square. Raises OneshotError if there are no pictures or one cannot be read.
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
    ink = torch.from_numpy(_ink(path))[None]
    return resampled(ink, selection.size, selection.resample)


def _ink(path: Path) -> NDArray[np.uint8]:
    """A square binary image, ink 1.

    Ink is what differs from the tone of the border by more than half of the range of tones.
    """
    try:
        with Image.open(path) as image:
            rgba = ImageOps.exif_transpose(image).convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OneshotError(f"{path} is not a readable picture ({error})") from None
    paper = Image.new("RGBA", rgba.size, "white")
    grey = np.asarray(Image.alpha_composite(paper, rgba).convert("L")).astype(np.int16)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    tone = int(np.median(border))
    middle = (int(grey.min()) + int(grey.max()) + 1) / 2
    ink = grey < middle if tone >= middle else grey > middle
    height, width = ink.shape
    spare = max(height, width) - np.array([height, width])
    before = spare // 2
    pads = [(int(b), int(s - b)) for b, s in zip(before, spare, strict=True)]
    return np.pad(ink, pads).astype(np.uint8)
