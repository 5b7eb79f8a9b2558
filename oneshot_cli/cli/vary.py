"""`oneshot vary`: new drawings of the character in an exemplar."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from oneshot_cli.cli.screen import Screen, counted, loading_program, span
from oneshot_cli.drawing.defaults import DEFAULT_SIZE
from oneshot_cli.paths import CHARACTERS

if TYPE_CHECKING:
    from oneshot_cli.workflows.vary import VaryReport

MAX_LISTED = 20
"""If there are more exemplars, files are not listed."""


class Layout(str, Enum):
    """How the grid is laid out."""

    sheet = "sheet"
    paper = "paper"
    none = "none"


def vary(
    exemplars: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Pictures of a character, or folders of them. - is standard input.",
            show_default=False,
        ),
    ] = None,
    n: Annotated[
        int, typer.Option("-n", min=1, max=1000, help="Variations of each exemplar.")
    ] = 10,
    per_class: Annotated[
        int | None,
        typer.Option(
            "--per-class",
            metavar="N",
            min=1,
            max=100_000,
            help="Draw N variations of each class in all, instead of -n of each exemplar, in a "
            "folder with the name of the class. A class is a subfolder of the given folder, or a "
            "single picture.",
            show_default=False,
        ),
    ] = None,
    output: OutputOption = None,
    format: FormatOption = None,
    size: SizeOption = DEFAULT_SIZE,
    seed: SeedOption = 0,
    spread: SpreadOption = None,
    closeness: ClosenessOption = None,
    pen: PenOption = None,
    together: Annotated[
        bool, typer.Option("--together", help="Treat all exemplars as drawings of one character.")
    ] = False,
    keep_best: Annotated[
        int | None,
        typer.Option(
            "--keep-best",
            metavar="K",
            min=1,
            max=1000,
            help="Draw n and keep the K with the highest log p(x | exemplar) - log p(x), best "
            "first.",
            show_default=False,
        ),
    ] = None,
    layout: Annotated[
        Layout,
        typer.Option(
            help="The grid: a labelled sheet, a page like figure 9 of the paper, or none."
        ),
    ] = Layout.sheet,
    show_input: Annotated[
        bool,
        typer.Option(
            "--show-input", help="Also write what was made of each picture, step by step."
        ),
    ] = False,
    skip_existing: Annotated[
        bool,
        typer.Option("--skip-existing", help="Skip exemplars whose variations all exist."),
    ] = False,
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
    """Draw variations of each exemplar: the same character, as other people would draw it.

    An exemplar is a picture of one drawn character: a photo, a scan or an icon, dark on light or
    light on dark. Every variation is written as a PNG, dark on white, and a grid shows all of them.
    A folder of folders becomes a folder of the same shape, which torchvision's ImageFolder loads.

    With the same options and checkpoint, a picture depends only on the exemplar, the seed and its
    number. With the default --spread and --closeness, which are in the checkpoint, variations are
    about as diverse as people's drawings.

    At a closeness above 0, the model redraws a deformed exemplar. The deformation is different for
    each variation: place, size, slant and bend differ as in people's drawings of one character.
    Several exemplars of one character (--together) are redrawn in turn.

    The model cannot vary every exemplar: pictures of several characters, filled shapes, and details
    that are too fine or that it cannot redraw are problems. They are noted on stderr, and listed
    under "concerns" in the JSON document.
    """
    width = pen_width(pen)
    refuse_json_too(output, json)

    with loading_program(quiet):
        from oneshot_cli.distributed import is_main_process
        from oneshot_cli.workflows import vary as workflow

    screen = Screen(json, quiet or not is_main_process(), verbose)
    result = workflow.vary(
        required(exemplars_or_example(exemplars, example, CHARACTERS)),
        output,
        n=n,
        per_class=per_class,
        size=size,
        seed=seed,
        spread=spread,
        closeness=closeness,
        pen=width,
        together=together,
        keep_best=keep_best,
        layout=layout.value,
        format=format.value if format else None,
        show_input=show_input,
        skip_existing=skip_existing,
        each=each,
        frame=frame,
        box=box.value,
        checkpoint=checkpoint,
        device=device.value,
        force=force,
        reporter=screen,
    )
    if is_main_process():
        screen.document(result.document())
        _print(screen, result.report, result.seconds)
    if result.report.failed:
        raise typer.Exit(1)


def _print(screen: Screen, report: VaryReport, seconds: float) -> None:
    """Print the files, the concerns and a summary."""
    from oneshot_cli.devices import peak_memory

    for each in report.exemplars if len(report.exemplars) <= MAX_LISTED else []:
        if files := each["variations"]:
            screen.result(span(files))
        if "input" in each:
            screen.result(str(each["input"]))
    if report.grids:
        screen.result(span(report.grids))
    for concern in report.concerns[:MAX_LISTED]:
        screen.note(f"note: {concern}")
    if len(report.concerns) > MAX_LISTED:
        screen.note(f"note: and {len(report.concerns) - MAX_LISTED:,} more, see --json")
    exemplars = counted(len(report.exemplars), "exemplar")
    parts = [f"{counted(report.pictures, 'variation')} of {exemplars}"]
    parts += [f"{report.skipped:,} skipped"] if report.skipped else []
    parts += [f"{len(report.failed):,} failed"] if report.failed else []
    rate = report.pictures / max(seconds, 1e-9)
    memory = peak_memory()
    used = f", peak memory {memory:,} MB" if memory else ""
    screen.note(f"{', '.join(parts)} in {seconds:.1f} s ({rate:,.0f} a second{used})")
