"""The class of all commands, which reports errors."""

from __future__ import annotations

import errno
import math
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperCommand

from oneshot_cli.errors import OneshotError, UsageError


class Command(TyperCommand):
    """A command that prints expected failures in one or two lines on stderr and exits with 1.

    Ctrl-C exits with 130. With `--verbose` the traceback is shown.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            _refuse_not_finite(ctx.params)
            return super().invoke(ctx)
        except UsageError as error:
            raise typer.BadParameter(str(error)) from error
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)
            raise typer.Exit(130) from None
        except Exception as error:
            if ctx.params.get("verbose") or not _is_failure(error):
                raise
            typer.echo(f"error: {_explain(error)}", err=True)
            raise typer.Exit(1) from None


def _refuse_not_finite(given: Mapping[str, Any]) -> None:
    """Raise BadParameter for nan and inf, which pass the limits of Typer's number options."""
    for name, value in given.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise typer.BadParameter(f"--{name.replace('_', '-')} {value} is not a finite number")


def _is_failure(error: Exception) -> bool:
    """Whether `error` is a failure to report here. Typer handles exits and usage errors."""
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
