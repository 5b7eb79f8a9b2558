"""`oneshot help`: the help of the program, or of a command."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from oneshot_cli.cli import completion


def help_of(
    context: typer.Context,
    command: Annotated[
        str | None,
        typer.Argument(
            help="The command; without it, the program.",
            show_default=False,
            autocompletion=completion.commands,
        ),
    ] = None,
) -> None:
    """Show the help of a command, as its --help does.

    Without a command, list all of them, as oneshot --help does.
    """
    program = context.find_root()
    shown = program
    if command is not None:
        name, found, _ = cast(Any, program.command).resolve_command(program, [command])
        shown = type(program)(found, info_name=name, parent=program)
    typer.echo(shown.get_help())
