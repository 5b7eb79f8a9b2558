"""`oneshot export`: a checkpoint as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oneshot_cli.cli import completion
from oneshot_cli.cli.options import ForceOption, JsonOption, QuietOption, VerboseOption
from oneshot_cli.cli.screen import Screen


def export(
    checkpoint: Annotated[
        Path | None,
        typer.Argument(
            help="A .safetensors checkpoint; without it, the flagship that ships with oneshot.",
            show_default=False,
            autocompletion=completion.checkpoints,
        ),
    ] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Write ONNX, the one format there is.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file to write.",
            show_default="the checkpoint's name with .onnx",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=28,
            max=512,
            help="Height and width of the drawings in pixels.",
            show_default="the model's own",
        ),
    ] = None,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Write a model as an ONNX file, which draws in other programs, without torch.

    The graph takes exemplars as the model reads them, and random numbers, and returns the
    probability of ink of every pixel. docs/export.md lists its inputs and has an example. The
    package's extra "onnx" has to be installed.
    """
    if not onnx:
        raise typer.BadParameter("say in which format: --onnx is the one there is")

    from oneshot_cli.workflows import export as workflow

    screen = Screen(json, quiet, verbose)
    with screen.progress("translating the model", None):
        result = workflow.export(checkpoint, output, size=size, force=force)
    screen.document(result.document())
    screen.result(str(result.file))
    axes = ", ".join(f"{name} {_shape(shape)}" for name, shape in result.inputs.items())
    screen.note(f"takes {axes}")
    screen.note(f"gives ink {_shape(result.outputs['ink'])}")


def _shape(shape: list[str | int]) -> str:
    return f"({', '.join(str(axis) for axis in shape)})"
