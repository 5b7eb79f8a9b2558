"""`oneshot animate`: an animation of the model drawing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oneshot_cli.cli.options import (
    Box,
    BoxOption,
    CheckpointOption,
    ClosenessOption,
    Device,
    DeviceOption,
    EachOption,
    ExampleOption,
    FilmFormat,
    ForceOption,
    FrameOption,
    JsonOption,
    QuietOption,
    SeedOption,
    SizeOption,
    SpreadOption,
    VerboseOption,
    exemplars_or_example,
    refuse_json_too,
)
from oneshot_cli.cli.screen import Screen, counted, loading_program
from oneshot_cli.drawing.defaults import DEFAULT_SIZE, FPS, HOLD
from oneshot_cli.paths import CHARACTERS


def animate(
    exemplars: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Pictures of characters, one row each; without any, unconditional samples. - is "
            "standard input.",
            show_default=False,
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, max=100, help="Drawings in a row.")] = 5,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A .gif, .webp, .png or .apng (animated), .mp4 or .webm (these need the extra "
            "'video'). - is standard output.",
            show_default="in a new folder in out",
        ),
    ] = None,
    format: Annotated[
        FilmFormat | None,
        typer.Option(
            "--format",
            help="The format of the film.",
            show_default="by the ending of --output, else gif",
        ),
    ] = None,
    size: SizeOption = DEFAULT_SIZE,
    seed: SeedOption = 0,
    spread: SpreadOption = None,
    closeness: ClosenessOption = None,
    reconstruct: Annotated[
        bool,
        typer.Option(
            "--reconstruct",
            help="Redraw each exemplar with the posterior's mean, as at a closeness of 1 and a "
            "spread of 0.",
        ),
    ] = False,
    windows: Annotated[
        bool, typer.Option(help="Show where the model reads and writes, as coloured frames.")
    ] = True,
    fade: Annotated[
        bool, typer.Option("--fade", help="Show new strokes in colour, fading to black.")
    ] = False,
    fps: Annotated[float, typer.Option(min=0.5, max=50, help="Steps per second.")] = FPS,
    hold: Annotated[
        float, typer.Option(min=0.1, max=60, help="Seconds that the last frame is shown.")
    ] = HOLD,
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
    """Animate the drawing: the canvas after every step of the model.

    A coloured frame on each drawing shows where the model writes. A frame of the same colour on the
    exemplar at the left shows where it reads. The last frame shows the drawings of vary or sample
    with the same seed, spread and closeness. The frames before it are drawn without the pen,
    because the centre lines of an unfinished drawing would change abruptly from step to step.
    """
    refuse_json_too(output, json)

    with loading_program(quiet):
        from oneshot_cli.workflows import animate as workflow

    screen = Screen(json, quiet, verbose)
    result = workflow.animate(
        exemplars_or_example(exemplars, example, CHARACTERS),
        output,
        n=n,
        size=size,
        seed=seed,
        spread=spread,
        closeness=closeness,
        reconstruct=reconstruct,
        windows=windows,
        fade=fade,
        fps=fps,
        hold=hold,
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
    if result.animation:
        screen.result(str(result.animation))
    screen.note(
        f"{counted(result.frames, 'frame')} of {result.width} x {result.height} pixels, "
        f"{result.bytes / 1000:,.0f} kB"
    )
    if result.failed:
        raise typer.Exit(1)
