"""The `oneshot` program: the Typer app and its commands.

A command's module has its options and its help. It imports its workflow in the function body, so
that `--help` is fast.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from oneshot_cli import __version__
from oneshot_cli.cli.alphabet import alphabet
from oneshot_cli.cli.animate import animate
from oneshot_cli.cli.command import Command
from oneshot_cli.cli.data import data
from oneshot_cli.cli.eval_nll import eval_nll
from oneshot_cli.cli.export import export
from oneshot_cli.cli.info import info
from oneshot_cli.cli.sample import sample
from oneshot_cli.cli.score import score
from oneshot_cli.cli.train import train
from oneshot_cli.cli.vary import vary

DRAW, MEASURE, TRAIN = "Draw", "Measure", "Train and inspect"

app = typer.Typer(
    name="oneshot",
    help="One-shot generalization: draws new variations of a character from one example.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
command = partial(app.command, cls=Command)
command("vary", rich_help_panel=DRAW)(vary)
command("alphabet", rich_help_panel=DRAW)(alphabet)
command("sample", rich_help_panel=DRAW)(sample)
command("animate", rich_help_panel=DRAW)(animate)
command("eval-nll", rich_help_panel=MEASURE)(eval_nll)
command("score", rich_help_panel=MEASURE)(score)
command("train", rich_help_panel=TRAIN)(train)
command("info", rich_help_panel=TRAIN)(info)
command("data", rich_help_panel=TRAIN)(data)
command("export", rich_help_panel=TRAIN)(export)


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
