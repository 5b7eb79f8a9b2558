"""The classes of the program and of its commands, which report errors."""

from __future__ import annotations

import errno
import inspect
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast, get_args, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from oneshot_cli.cli.terminal import clean, say, say_json
from oneshot_cli.errors import OneshotError, UsageError
from oneshot_cli.files import NO_SPACE

ClickException = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[2])
"""The base of errors in what was typed. Typer may carry a Click of its own."""

WORDS = {int: "N", float: "X", Path: "PATH", str: "TEXT"}
"""What the help calls the value of an option of each type."""
KINDS = {"usage": 2, "failure": 1, "bug": 1, "stopped": 130}
"""The kinds of errors in JSON, and their exit codes."""


class Program(TyperGroup):
    """All commands. Reports errors in what was typed in JSON, too, if that has --json."""

    def main(self, args: Sequence[str] | None = None, *others: Any, **options: Any) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        self.json = "--json" in words
        return super().main(words, *others, **options)

    def get_params(self, ctx: Any) -> list[Any]:
        return with_plain_types(super().get_params(ctx), self.callback)

    def make_context(self, *given: Any, **options: Any) -> Any:
        with self._reported():
            return super().make_context(*given, **options)

    def invoke(self, ctx: Any) -> Any:
        with self._reported():
            return super().invoke(ctx)

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except ClickException as error:
            error.message = clean(error.message)  # it may have the name of a file
            if self.json:
                print_error("usage", error.format_message())
            raise


class Command(TyperCommand):
    """A command that prints expected failures in one or two lines on stderr and exits with 1.

    Ctrl-C exits with 130. With `--verbose` the traceback is shown. With `--json` the failure is
    also a JSON document on stdout.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        return with_plain_types(super().get_params(ctx), self.callback)

    def invoke(self, ctx: Any) -> Any:
        try:
            _refuse_not_finite(ctx.params)
            return super().invoke(ctx)
        except UsageError as error:
            raise typer.BadParameter(clean(str(error))) from error
        except KeyboardInterrupt:
            self._report(ctx, "stopped", "stopped")
            say("stopped", err=True)
            raise typer.Exit(KINDS["stopped"]) from None
        except Exception as error:
            if not _is_failure(error):
                raise
            kind, message = _explain(error)
            self._report(ctx, kind, message)
            if ctx.params.get("verbose"):
                raise
            say(f"error: {message}", err=True)
            raise typer.Exit(KINDS[kind]) from None

    def _report(self, ctx: Any, kind: str, message: str) -> None:
        if any("--json" in each.opts and ctx.params.get(each.name) for each in self.params):
            with suppress(OSError):  # if stdout itself failed, stderr says so
                print_error(kind, message)


def with_plain_types(params: list[Any], function: Callable[..., Any] | None) -> list[Any]:
    """The parameters of a command, which is `function`. Its help says types of options in a word.

    Typer's own words, such as <int range>, leave little room for the explanations beside them.
    """
    hints = get_type_hints(inspect.unwrap(function)) if function else {}
    for each in params:
        if each.metavar is None and each.opts[0].startswith("-"):
            hint = hints.get(each.name)
            kinds = {hint, *get_args(hint)}
            if getattr(each, "is_flag", False):
                each.metavar = ""
            else:
                each.metavar = next((word for kind, word in WORDS.items() if kind in kinds), None)
    return params


def print_error(kind: str, message: str) -> None:
    """Print an error of one of KINDS as a JSON document on stdout."""
    error = {"kind": kind, "message": message, "exit_code": KINDS[kind]}
    say_json(json.dumps({"error": error}, indent=2, ensure_ascii=False))


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


def _explain(error: Exception) -> tuple[str, str]:
    """The kind of a failure, and what to say of it."""
    if isinstance(error, OneshotError):
        return "failure", str(error)
    if _is_out_of_memory(error):
        return "failure", (
            "out of memory: this needs more than the machine or the process has left\n"
            "try fewer pictures (-n), a smaller --size or --batch, or --device cpu"
        )
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return "failure", f"{where}{NO_SPACE.get(error.errno or 0, error.strerror)}"
    return "bug", (
        f"{type(error).__name__}: {error}\n"
        "this is a bug in oneshot; --verbose shows where it happened"
    )


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: in Python, in the system, or in torch, which has several words."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    words = ("can't allocate memory", "out of memory", "Storage size calculation overflowed")
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return known or (isinstance(error, RuntimeError) and any(w in str(error) for w in words))
