"""`oneshot animate`: a film of the model drawing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oneshot_cli.cli.options import (
    DRAWN,
    CheckpointOption,
    ClosenessOption,
    Device,
    DeviceOption,
    ForceOption,
    JsonOption,
    QuietOption,
    Screen,
    SeedOption,
    SizeOption,
    SpreadOption,
    VerboseOption,
    refuse_to_overwrite,
)


def animate(
    exemplars: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Pictures of characters, a row of the film for each; without any, free samples.",
            show_default=False,
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, max=100, help="Drawings side by side.")] = 5,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="A .gif, .webp, .png or .apng (animated), or .mp4 (needs the extra 'video').",
        ),
    ] = Path("out/animation.gif"),
    size: SizeOption = DRAWN,
    seed: SeedOption = 0,
    spread: SpreadOption = None,
    closeness: ClosenessOption = None,
    reconstruct: Annotated[
        bool,
        typer.Option(
            "--reconstruct",
            help="Draw each exemplar itself, as the posterior sees it: a closeness of 1 and a "
            "spread of 0.",
        ),
    ] = False,
    windows: Annotated[
        bool, typer.Option(help="Show where the model reads and writes, as coloured frames.")
    ] = True,
    fade: Annotated[
        bool, typer.Option("--fade", help="Fresh strokes in colour, fading to black.")
    ] = False,
    fps: Annotated[float, typer.Option(min=0.5, max=50, help="Steps a second.")] = 8.0,
    hold: Annotated[
        float, typer.Option(min=0.1, max=60, help="Seconds that the last frame is held.")
    ] = 2.0,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = Device.auto,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show the model drawing: the canvas after every step, as an animation.

    A coloured frame shows where each drawing is being written; a frame of the same colour, on the
    exemplar at the left, where the model is looking meanwhile. The finished drawings are those of
    vary, or sample, with the same seed, spread and closeness, and --pen off. A film shows the
    canvas itself: the centre lines of an unfinished drawing would jump from step to step.
    """
    from oneshot_cli.imaging.animation import Strip, film, save_film
    from oneshot_cli.workflows.jobs import pictures_in

    if reconstruct and not exemplars:
        raise typer.BadParameter("--reconstruct needs an exemplar")
    refuse_to_overwrite([output], force)

    from oneshot_cli.drawing.oneshot import load
    from oneshot_cli.imaging.exemplar import drawing
    from oneshot_cli.imaging.rendering import of_mask

    screen = Screen(json, quiet, verbose)
    found = [path for _, path in pictures_in(exemplars or [])]
    if n * max(1, len(found)) > 400:
        raise typer.BadParameter(f"{n * len(found)} drawings are too many for one film")
    model = load(checkpoint, device.value)
    strips = []
    with screen.progress("drawing", max(1, len(found))) as advance:
        each: list[Path | None] = [*found] or [None]
        for path in each:
            made = model.draw(
                path,
                n,
                seed=seed,
                spread=spread,
                closeness=closeness,
                size=size,
                reconstruct=reconstruct,
            )
            strips.append(
                Strip(
                    canvases=model.render(made.frames, pen=0),
                    writing=made.write_windows if windows else None,
                    seen=None if path is None else of_mask(drawing(path, model.size).mask, size),
                    reading=(made.target_windows if reconstruct else made.read_windows)
                    if windows
                    else None,
                )
            )
            advance(1)
    frames = film(strips, fade=fade)
    save_film(frames, output, fps=fps, hold=hold)
    screen.document(
        {
            "checkpoint": model.path,
            "animation": output,
            "exemplars": found,
            "drawings": n * len(strips),
            "frames": len(frames),
            "width": frames[0].width,
            "height": frames[0].height,
            "bytes": output.stat().st_size,
            "seed": seed,
        }
    )
    screen.result(str(output))
    screen.note(
        f"{len(frames)} frames of {frames[0].width} x {frames[0].height} pixels, "
        f"{output.stat().st_size / 1000:,.0f} kB"
    )
