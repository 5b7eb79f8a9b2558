"""What every command shares: option types, how it speaks, how it fails, what it may overwrite.

Nothing here imports torch, numpy or rich at module level: `oneshot --help` has to be instant.
"""

from __future__ import annotations

import errno
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from oneshot_cli.errors import OneshotError
from oneshot_cli.ranges import MOST_SEED

if TYPE_CHECKING:
    from rich.console import Console


DRAWN = 112
"""The usual --size: the model's own pictures are small for a person to look at."""


WIDTHS = (0.01, 0.2)
"""The finest and the widest --pen, as parts of the frame."""


class Device(str, Enum):
    """Where the model runs; `auto` takes CUDA, then Apple's MPS, then the CPU."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


CheckpointOption = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        "-c",
        metavar="FILE",
        help="A .safetensors checkpoint; without it, the flagship that ships with oneshot.",
        show_default=False,
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="A folder; or, if it ends like a picture, the file of the grid, which is then all "
        "that is written.",
        show_default="out",
    ),
]
SeedOption = Annotated[
    int, typer.Option("--seed", help="The same seed gives the same pictures.", min=0, max=MOST_SEED)
]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where the model runs.")]
SizeOption = Annotated[
    int,
    typer.Option("--size", min=28, max=512, help="Height and width of what is drawn, in pixels."),
]
SpreadOption = Annotated[
    float | None,
    typer.Option(
        "--spread",
        min=0.0,
        max=2.0,
        help="Temperature of all that is random: 0 draws the same again and again, 1 is the "
        "model as trained; less is closer and cleaner, more is more diverse.",
        show_default=False,
    ),
]
ClosenessOption = Annotated[
    float | None,
    typer.Option(
        "--closeness",
        min=0.0,
        max=1.0,
        help="How near variations come to the exemplar: 0 draws from the prior alone, as in the "
        "paper; 1 redraws the exemplar, deformed a little; without it, as the checkpoint says.",
        show_default=False,
    ),
]
PenOption = Annotated[
    str | None,
    typer.Option(
        "--pen",
        metavar="WIDTH",
        help="The strokes are drawn anew with a round pen of this width, 0.01 to 0.2 of the frame; "
        "'off' keeps the outline of what the model drew. Without it, 0.05 above the model's own "
        "size if it draws after exemplars, off otherwise.",
        show_default=False,
    ),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="FOLDER",
        envvar="ONESHOT_DATA",
        help="Where the data sets are, or go; without it, a cache folder of the user.",
        show_default=False,
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", "-f", help="Overwrite files that exist.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Only results and errors.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="More detail, and tracebacks when something fails.")
]


class Command(TyperCommand):
    """A command whose expected failures are a line or two on stderr and exit code 1.

    Ctrl-C exits with 130. With `--verbose` the traceback is let through.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            _refuse_endless(ctx.params)
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)
            raise typer.Exit(130) from None
        except Exception as error:
            if ctx.params.get("verbose") or not _is_failure(error):
                raise
            typer.echo(f"error: {_explain(error)}", err=True)
            raise typer.Exit(1) from None


def _refuse_endless(given: Mapping[str, Any]) -> None:
    """Raise BadParameter for nan and inf, which pass every limit of an option that is a number."""
    for name, value in given.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise typer.BadParameter(f"--{name.replace('_', '-')} {value} is not a finite number")


def _is_failure(error: Exception) -> bool:
    """Whether `error` is a failure to explain; exits and usage errors belong to Typer."""
    if isinstance(error, OSError):
        return error.errno != errno.EPIPE
    return not isinstance(error, typer.Exit | typer.Abort) and not hasattr(error, "exit_code")


def _explain(error: Exception) -> str:
    if isinstance(error, OneshotError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory; try a smaller --size or batch, or --device cpu"
    return (
        f"{type(error).__name__}: {error}\n"
        "this is a bug in oneshot; --verbose shows where it happened"
    )


@dataclass(frozen=True)
class Screen:
    """How a command speaks: results to stdout, progress and notes to stderr.

    With `json_only`, stdout carries exactly one document and nothing else.
    """

    json_only: bool = False
    quiet: bool = False
    verbose: bool = False

    def result(self, text: str) -> None:
        """A line that the person asked for."""
        if not self.json_only:
            typer.echo(text)

    def note(self, text: str) -> None:
        """A line beside the result; gone with `--quiet`."""
        if not self.quiet:
            typer.echo(text, err=True)

    def error(self, text: str) -> None:
        """A failure that does not stop the work."""
        typer.echo(f"error: {text}", err=True)

    def detail(self, text: str) -> None:
        """A line for `--verbose`."""
        if self.verbose:
            typer.echo(text, err=True)

    def document(self, content: Mapping[str, Any]) -> None:
        """The JSON document, if one was asked for; paths become strings."""
        if self.json_only:
            typer.echo(json.dumps(content, indent=2, default=str, ensure_ascii=False))

    @cached_property
    def console(self) -> Console:
        """A rich console on stdout, plain without a terminal or with NO_COLOR."""
        from rich.console import Console

        return Console(highlight=False)

    @contextmanager
    def progress(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """A bar on stderr while the block runs; yields what advances it.

        Without a terminal, or with `--quiet`, nothing is shown.
        """
        if self.quiet or not sys.stderr.isatty():
            yield lambda steps: None
            return
        from rich import progress
        from rich.console import Console

        columns = (
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(),
        )
        with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(label, total=total)
            yield lambda steps: bar.advance(task, steps)


def pen_width(given: str | None) -> float | None:
    """The width that `--pen` gives; 0 for "off", None without the option.

    Raises BadParameter for anything else.
    """
    if given is None:
        return None
    if given.lower() == "off":
        return 0.0
    try:
        width = float(given)
    except ValueError:
        width = 0.0
    if not WIDTHS[0] <= width <= WIDTHS[1]:
        raise typer.BadParameter(
            f"--pen is a width from {WIDTHS[0]} to {WIDTHS[1]} of the frame, or off, not {given}"
        )
    return width


def refuse_to_overwrite(paths: Iterable[Path], force: bool) -> None:
    """Raise OneshotError if one of `paths` exists and `force` was not given."""
    if force:
        return
    for path in paths:
        if path.exists():
            raise OneshotError(
                f"{path} exists already\ngive --force to overwrite, or another --output"
            )


def require_folder(path: Path) -> Path:
    """`path`, made if missing; OneshotError if a file stands in its place."""
    if path.exists() and not path.is_dir():
        raise OneshotError(f"{path} is a file, but a folder is needed there")
    path.mkdir(parents=True, exist_ok=True)
    return path


def peak_memory() -> int | None:
    """The most memory that this process has held so far, in MB; None where nobody counts it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(used / (1e6 if sys.platform == "darwin" else 1e3))
