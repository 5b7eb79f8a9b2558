"""The files that ship with the package, and paths for display."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oneshot_cli.errors import OneshotError

FLAGSHIP = "omniglot.safetensors"

CHARACTERS = ("pen-photo.jpg", "chalk-transparent.png", "omniglot-tibetan-02.png")
"""The example of `vary` and `animate`: a photo, white on transparency, a drawing of Omniglot."""

LETTERS = tuple(f"futhorc-{number:02}.png" for number in (1, 2, 3))
"""The example of `alphabet`: letters of one alphabet that the flagship never saw."""

PACKAGE = Path(__file__).parent


def flagship() -> Path:
    """The path of the checkpoint that ships with the package, installed or in a checkout.

    Raises OneshotError if it is missing.
    """
    found = _shipped(FLAGSHIP, PACKAGE / "checkpoints", PACKAGE.parent / "checkpoints")
    if found is None:
        raise OneshotError(
            f"the flagship checkpoint, {FLAGSHIP}, is not in this installation\n"
            "give another with --checkpoint"
        )
    return found


def examples(names: Sequence[str]) -> list[Path]:
    """The paths of pictures of CHARACTERS or LETTERS, which ship with the package.

    Raises OneshotError if one is missing.
    """
    docs = PACKAGE.parent / "docs"
    paths = []
    for name in names:
        found = _shipped(name, PACKAGE / "examples", docs / "exemplars", docs / "letters")
        if found is None:
            raise OneshotError(f"the example {name} is not in this installation; install it again")
        paths.append(found)
    return paths


def _shipped(name: str, *folders: Path) -> Path | None:
    """The file called `name` in the first of the folders that has it."""
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def display_path(path: Path | None) -> str:
    """A path for messages and documents, relative to the working folder if it is inside."""
    here = Path.cwd()
    return str(path.relative_to(here) if path and path.is_relative_to(here) else path)


def printable(text: str) -> str:
    """`text` with `_` for what is not printed, such as line feeds, escapes and broken UTF-8."""
    return "".join(c if c.isprintable() else "_" for c in text)
