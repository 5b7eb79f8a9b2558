"""`oneshot alphabet`: new characters in the style of an alphabet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oneshot_cli.cli.options import (
    Box,
    BoxOption,
    CheckpointOption,
    Device,
    DeviceOption,
    EachOption,
    ExampleOption,
    ForceOption,
    FormatOption,
    FrameOption,
    JsonOption,
    OutputOption,
    PenOption,
    QuietOption,
    SeedOption,
    SizeOption,
    SpreadOption,
    VerboseOption,
    exemplars_or_example,
    pen_width,
    refuse_json_too,
    required,
)
from oneshot_cli.cli.screen import Screen, loading_program, span
from oneshot_cli.drawing.defaults import DEFAULT_SIZE
from oneshot_cli.paths import LETTERS


def alphabet(
    exemplars: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Pictures of different characters of one alphabet, or a folder of them. - is "
            "standard input.",
            show_default=False,
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, max=200, help="Number of new characters.")] = 20,
    output: OutputOption = None,
    format: FormatOption = None,
    size: SizeOption = DEFAULT_SIZE,
    seed: SeedOption = 0,
    spread: SpreadOption = None,
    pen: PenOption = None,
    example: ExampleOption = False,
    each: EachOption = False,
    frame: FrameOption = None,
    box: BoxOption = Box.auto,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = Device.auto,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Draw new characters in the style of an alphabet: more letters, not copies.

    A character that is too similar to a given one, or to an earlier new one, is replaced by another
    sample if possible. The distance of each new character to the given ones is printed: the mean
    distance from the ink of one to the ink of the other, in pixels at the model's size. It is about
    0.8 between two people's drawings of one character, and 1.5 between different characters. The
    default --spread is 0.8.
    """
    width = pen_width(pen)
    refuse_json_too(output, json)

    with loading_program(quiet):
        from oneshot_cli.workflows import alphabet as workflow

    screen = Screen(json, quiet, verbose)
    result = workflow.alphabet(
        required(exemplars_or_example(exemplars, example, LETTERS)),
        output,
        n=n,
        size=size,
        seed=seed,
        spread=spread,
        pen=width,
        format=format.value if format else None,
        each=each,
        frame=frame,
        box=box.value,
        checkpoint=checkpoint,
        device=device.value,
        force=force,
        reporter=screen,
    )
    screen.document(result.document())
    if result.files:
        screen.result(span(result.files))
    if result.grid:
        screen.result(str(result.grid))
    distance, nearest = result.distance.min(1)
    closest = int(distance.argmin())
    screen.note(
        f"distance to the given characters: median {float(distance.median()):.2f} pixels; "
        f"the smallest is {float(distance[closest]):.2f}, from number {closest + 1} to "
        f"{result.given[int(nearest[closest])].name}"
    )
    if result.failed:
        raise typer.Exit(1)
