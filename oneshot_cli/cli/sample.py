"""`oneshot sample`: unconditional samples."""

from __future__ import annotations

from typing import Annotated

import typer

from oneshot_cli.cli.options import (
    CheckpointOption,
    DataDirOption,
    Device,
    DeviceOption,
    ForceOption,
    FormatOption,
    JsonOption,
    OutputOption,
    PenOption,
    QuietOption,
    SeedOption,
    SizeOption,
    SpreadOption,
    VerboseOption,
    pen_width,
    refuse_json_too,
)
from oneshot_cli.cli.screen import Screen, loading_program, span
from oneshot_cli.drawing.defaults import DEFAULT_SIZE


def sample(
    n: Annotated[int, typer.Option("-n", min=1, max=2000, help="Number of samples.")] = 64,
    output: OutputOption = None,
    format: FormatOption = None,
    size: SizeOption = DEFAULT_SIZE,
    seed: SeedOption = 0,
    spread: SpreadOption = None,
    pen: PenOption = None,
    nearest: Annotated[
        bool,
        typer.Option(
            "--nearest",
            help="Also show the training picture nearest to each sample. The training data have to "
            "be on this machine.",
        ),
    ] = False,
    data_dir: DataDirOption = None,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = Device.auto,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Draw unconditional samples, and a grid of them.

    By default they are exact samples of the model (a spread of 1). --nearest helps to see whether
    the model copies training drawings.
    """
    width = pen_width(pen)
    refuse_json_too(output, json)

    with loading_program(quiet):
        from oneshot_cli.workflows import sample as workflow

    screen = Screen(json, quiet, verbose)
    result = workflow.sample(
        output,
        n=n,
        size=size,
        seed=seed,
        spread=spread,
        pen=width,
        format=format.value if format else None,
        nearest=nearest,
        data_dir=data_dir,
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
