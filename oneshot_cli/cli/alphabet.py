"""`oneshot alphabet`: new characters in the style of some."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oneshot_cli.cli.options import (
    CheckpointOption,
    Device,
    DeviceOption,
    ForceOption,
    JsonOption,
    OutputOption,
    PenOption,
    QuietOption,
    SeedOption,
    SizeOption,
    SpreadOption,
    VerboseOption,
    pen_width,
)
from oneshot_cli.cli.screen import Screen, span
from oneshot_cli.drawing.defaults import DEFAULT_SIZE


def alphabet(
    exemplars: Annotated[
        list[Path],
        typer.Argument(
            help="Pictures of different characters of one alphabet, or a folder of them.",
            show_default=False,
        ),
    ],
    n: Annotated[int, typer.Option("-n", min=1, max=200, help="New characters.")] = 20,
    output: OutputOption = None,
    size: SizeOption = DEFAULT_SIZE,
    seed: SeedOption = 0,
    spread: SpreadOption = None,
    pen: PenOption = None,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = Device.auto,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Draw new characters in the style of an alphabet: further letters, not copies.

    Characters that come too near to one that was given, or to one drawn before, are drawn again.
    How near each came is told: the mean distance from the ink of one to the ink of the other, in
    pixels of the model's picture. Two people's drawings of one character are usually 0.8 apart,
    different characters 1.5. The usual --spread is 0.8.
    """
    width = pen_width(pen)

    from oneshot_cli.workflows import alphabet as workflow

    screen = Screen(json, quiet, verbose)
    result = workflow.alphabet(
        exemplars,
        output,
        n=n,
        size=size,
        seed=seed,
        spread=spread,
        pen=width,
        checkpoint=checkpoint,
        device=device.value,
        force=force,
    )
    screen.document(result.document())
    if result.files:
        screen.result(span(result.files))
    screen.result(str(result.grid))
    distance, nearest = result.distance.min(1)
    closest = int(distance.argmin())
    screen.note(
        f"distance to what was given: {float(distance.median()):.2f} pixels in the median; "
        f"nearest is number {closest + 1}, {float(distance[closest]):.2f} from "
        f"{result.given[int(nearest[closest])][0]}"
    )
