"""The path of the flagship checkpoint, and paths for display."""

from __future__ import annotations

from pathlib import Path

from oneshot_cli.errors import OneshotError

FLAGSHIP = "omniglot.safetensors"


def flagship() -> Path:
    """The path of the checkpoint that ships with the package, installed or in a checkout.

    Raises OneshotError if it is missing.
    """
    package = Path(__file__).parent
    for folder in (package / "checkpoints", package.parent / "checkpoints"):
        if (folder / FLAGSHIP).is_file():
            return folder / FLAGSHIP
    raise OneshotError(
        f"the flagship checkpoint, {FLAGSHIP}, is not in this installation\n"
        "give another with --checkpoint"
    )


def display_path(path: Path | None) -> str:
    """A path for messages and documents, relative to the working folder if it is inside."""
    here = Path.cwd()
    return str(path.relative_to(here) if path and path.is_relative_to(here) else path)


def printable(text: str) -> str:
    """`text` with `_` for what is not printed, such as line feeds, escapes and broken UTF-8."""
    return "".join(c if c.isprintable() else "_" for c in text)
