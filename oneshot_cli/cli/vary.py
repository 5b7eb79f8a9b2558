"""`oneshot vary`: new drawings of the character that an exemplar shows."""

from __future__ import annotations

from dataclasses import asdict
from enum import Enum
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
    OutputOption,
    PenOption,
    QuietOption,
    Screen,
    SeedOption,
    SizeOption,
    SpreadOption,
    VerboseOption,
    pen_width,
    refuse_to_overwrite,
)


class Layout(str, Enum):
    """How the grid is laid out."""

    sheet = "sheet"
    paper = "paper"
    none = "none"


def vary(
    exemplars: Annotated[
        list[Path],
        typer.Argument(help="Pictures of a character, or folders of them.", show_default=False),
    ],
    n: Annotated[int, typer.Option("-n", min=1, max=1000, help="Variations of each.")] = 10,
    output: OutputOption = None,
    size: SizeOption = DRAWN,
    seed: SeedOption = 0,
    spread: SpreadOption = None,
    closeness: ClosenessOption = None,
    pen: PenOption = None,
    together: Annotated[
        bool, typer.Option("--together", help="All exemplars are drawings of one character.")
    ] = False,
    keep_best: Annotated[
        int | None,
        typer.Option(
            "--keep-best",
            metavar="K",
            min=1,
            help="Draw n, keep the K that the exemplar makes likelier by most, best "
            "first: by log p(x | exemplar) - log p(x).",
            show_default=False,
        ),
    ] = None,
    layout: Annotated[
        Layout,
        typer.Option(help="The grid: a labelled sheet, the paper's figure 9, or none."),
    ] = Layout.sheet,
    show_input: Annotated[
        bool, typer.Option("--show-input", help="Also write what the model saw of each exemplar.")
    ] = False,
    skip_existing: Annotated[
        bool,
        typer.Option("--skip-existing", help="Pass over exemplars whose variations are all there."),
    ] = False,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = Device.auto,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Draw variations of each exemplar: the same character, as other hands would draw it.

    An exemplar is any picture of one drawn character: a photo, a scan, an icon; dark on light or
    light on dark. Every variation becomes a PNG, dark on white, and a grid shows them together.

    A picture depends on the exemplar, the seed and its own number, and on nothing else. Without
    --spread and --closeness, variations are about as diverse as people's drawings (the checkpoint
    says at which).

    With a closeness above 0, what the model redraws is the exemplar deformed, for each variation
    anew: place, size, slant and bend differ as they do between people's drawings of one character.
    Of several exemplars of one character (--together) each is redrawn in turn.

    Some exemplars are more than the model can vary: several characters, a filled shape, detail that
    is too fine, or what it cannot redraw. Then a line on stderr says so, and --json has it under
    "concerns".
    """
    from oneshot_cli.workflows.jobs import Target, jobs

    if keep_best is not None and keep_best > n:
        raise typer.BadParameter(f"the best {keep_best} of {n} cannot be kept")
    width = pen_width(pen)
    found, target = jobs(exemplars, together), Target.of(output)

    from oneshot_cli.distributed import HOURS, joined
    from oneshot_cli.drawing.oneshot import load
    from oneshot_cli.workflows.vary import Settings, Variations

    work = Variations(found, target, keep_best or n, layout.value, show_input, width)
    with joined(device.value, HOURS) as world:
        if not skip_existing:
            world.from_main(lambda: refuse_to_overwrite(work.files(), force))
        screen = Screen(json, quiet or not world.is_main, verbose)
        model = load(checkpoint, str(world.device))
        settings = Settings(
            n=n,
            seed=seed,
            spread=model.spread if spread is None else spread,
            closeness=model.closeness if closeness is None else closeness,
            size=size,
            keep_best=keep_best,
        )
        screen.detail(f"on {model.device}: {settings}")
        report = work.make(screen, model, settings, skip_existing=skip_existing, world=world)
    if world.is_main:
        document = {"checkpoint": model.path, **asdict(settings), "pen": model.pen(size, width)}
        screen.document(document | report.document())
        report.tell(screen)
    if report.failed:
        raise typer.Exit(1)
