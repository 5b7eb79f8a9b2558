"""Where the files that ship with the package lie."""

from __future__ import annotations

from pathlib import Path

from oneshot_cli.errors import OneshotError

FLAGSHIP = "omniglot.safetensors"


def flagship() -> Path:
    """The checkpoint that ships: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    for folder in (package / "checkpoints", package.parent / "checkpoints"):
        if (folder / FLAGSHIP).is_file():
            return folder / FLAGSHIP
    raise OneshotError(
        f"the flagship checkpoint, {FLAGSHIP}, is not in this installation\n"
        "name another with --checkpoint"
    )


def display_path(path: Path | None) -> str:
    """A path as it is told to people and files: from the working folder, where it lies in that."""
    here = Path.cwd()
    return str(path.relative_to(here) if path and path.is_relative_to(here) else path)
