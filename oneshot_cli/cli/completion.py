"""What the shell offers after --model, --dataset and --checkpoint, for the part that is typed.

Nothing here imports torch, so that the shell answers at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from oneshot_cli.errors import OneshotError

SUFFIX = ".safetensors"


def models(incomplete: str) -> list[str]:
    """Names of presets."""
    from oneshot_cli.presets import PRESETS

    return _beginning(incomplete, PRESETS)


def datasets(incomplete: str) -> list[str]:
    """Names of data sets."""
    from oneshot_cli.data.catalogue import DATASETS

    return _beginning(incomplete, DATASETS)


def commands(incomplete: str) -> list[str]:
    """Names of commands."""
    from oneshot_cli.cli.examples import EXAMPLES

    return _beginning(incomplete, EXAMPLES)


def checkpoints(incomplete: str) -> list[str]:
    """Paths of checkpoints: those of runs, those that ship, and those up to two folders below."""
    folder = incomplete.rpartition("/")[0] + "/" if "/" in incomplete else ""
    return _beginning(incomplete, [*_below(folder), *_runs(), *_shipped()])


def _below(folder: str) -> Iterator[str]:
    """Checkpoints in `folder` ("" or ending in a slash), and in the folders in it."""
    for pattern in (f"*{SUFFIX}", f"*/*{SUFFIX}"):
        with suppress(OSError):
            for path in Path(folder or ".").glob(pattern):
                yield f"{folder}{path.relative_to(folder or '.')}"


def _runs() -> Iterator[str]:
    return (str(path) for path in Path("runs").glob(f"*/*{SUFFIX}"))


def _shipped() -> Iterator[str]:
    from oneshot_cli.paths import display_path, flagship

    with suppress(OneshotError):
        for path in flagship().parent.glob(f"*{SUFFIX}"):
            yield display_path(path)


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})
