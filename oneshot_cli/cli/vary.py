"""`oneshot vary`: new drawings of the character that an exemplar shows."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneshot_cli.cli.options import (
    CheckpointOption,
    ClosenessOption,
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

if TYPE_CHECKING:
    from oneshot_cli.workflows.vary import Made

LISTED = 20
"""With more exemplars than this, results are counted instead of listed."""


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
    size: SizeOption = DEFAULT_SIZE,
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
    width = pen_width(pen)

    from oneshot_cli.distributed import is_main_process
    from oneshot_cli.workflows import vary as workflow

    screen = Screen(json, quiet or not is_main_process(), verbose)
    result = workflow.vary(
        exemplars,
        output,
        n=n,
        size=size,
        seed=seed,
        spread=spread,
        closeness=closeness,
        pen=width,
        together=together,
        keep_best=keep_best,
        layout=layout.value,
        show_input=show_input,
        skip_existing=skip_existing,
        checkpoint=checkpoint,
        device=device.value,
        force=force,
        reporter=screen,
    )
    if is_main_process():
        screen.document(result.document())
        _print(screen, result.made, result.seconds)
    if result.made.failed:
        raise typer.Exit(1)


def _print(screen: Screen, made: Made, seconds: float) -> None:
    """The files, the concerns, and a line about the work."""
    from oneshot_cli.devices import peak_memory

    for each in made.made if len(made.made) <= LISTED else []:
        if files := each["variations"]:
            screen.result(span(files))
        if "input" in each:
            screen.result(str(each["input"]))
    if made.grids:
        screen.result(span(made.grids))
    for concern in made.concerns[:LISTED]:
        screen.note(f"note: {concern}")
    if len(made.concerns) > LISTED:
        screen.note(f"note: and {len(made.concerns) - LISTED:,} more, see --json")
    count = len(made.made)
    parts = [f"{made.pictures:,} variations of {count:,} exemplar{'' if count == 1 else 's'}"]
    parts += [f"{made.skipped:,} skipped"] if made.skipped else []
    parts += [f"{len(made.failed):,} failed"] if made.failed else []
    rate = made.pictures / max(seconds, 1e-9)
    memory = peak_memory()
    used = f", peak memory {memory:,} MB" if memory else ""
    screen.note(f"{', '.join(parts)} in {seconds:.1f} s ({rate:,.0f} a second{used})")
