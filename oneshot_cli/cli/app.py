"""The `oneshot` program: the Typer app and its commands.

A command's module has its options and its help. It imports its workflow in the function body, so
that `--help` is fast.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated

import typer

from oneshot_cli import __version__
from oneshot_cli.cli.alphabet import alphabet
from oneshot_cli.cli.animate import animate
from oneshot_cli.cli.command import Command, Program
from oneshot_cli.cli.data import data
from oneshot_cli.cli.eval_nll import eval_nll
from oneshot_cli.cli.examples import listed
from oneshot_cli.cli.export import export
from oneshot_cli.cli.help import help_of
from oneshot_cli.cli.info import info
from oneshot_cli.cli.pad import pad
from oneshot_cli.cli.sample import sample
from oneshot_cli.cli.score import score
from oneshot_cli.cli.train import train
from oneshot_cli.cli.vary import vary

DRAW, MEASURE, TRAIN, MORE = "Draw", "Measure", "Train and inspect", "More"

app = typer.Typer(
    name="oneshot",
    cls=Program,
    help="One-shot generalization: draws new variations of a character from one example.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def help_text(name: str, function: Callable[..., None]) -> str:
    """The help of a command: its docstring, a line for each paragraph, and its examples.

    The terminal breaks the lines; those of a docstring would be broken twice.
    """
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    unbroken = [" ".join(paragraph.split()) for paragraph in paragraphs]
    return "\n\n".join(part for part in (*unbroken, listed(name)) if part)


def add(name: str, function: Callable[..., None], panel: str) -> None:
    """Make `function` a command of the program."""
    app.command(name, cls=Command, help=help_text(name, function), rich_help_panel=panel)(function)


add("vary", vary, DRAW)
add("alphabet", alphabet, DRAW)
add("sample", sample, DRAW)
add("animate", animate, DRAW)
add("pad", pad, DRAW)
add("eval-nll", eval_nll, MEASURE)
add("score", score, MEASURE)
add("train", train, TRAIN)
add("info", info, TRAIN)
add("data", data, TRAIN)
add("export", export, TRAIN)
add("help", help_of, MORE)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"oneshot {__version__}")
        raise typer.Exit


@app.callback()
def oneshot(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """One-shot generalization: draws new variations of a character from one example."""


def main() -> None:
    """The entry point of `oneshot` and of `python -m oneshot_cli`."""
    app(prog_name="oneshot")
