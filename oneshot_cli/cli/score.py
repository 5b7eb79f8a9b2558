"""`oneshot score`: how human is the generalization?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oneshot_cli.cli.options import (
    CheckpointOption,
    ClosenessOption,
    DataDirOption,
    Device,
    DeviceOption,
    ForceOption,
    JsonOption,
    QuietOption,
    VerboseOption,
)
from oneshot_cli.cli.screen import Screen
from oneshot_cli.ranges import MOST_SEED

OUTPUT, PARTS, OTHER = "What is written", "What is measured", "Instead of a checkpoint"


def score(
    checkpoint: Annotated[
        Path | None,
        typer.Argument(
            help="A .safetensors checkpoint; without it, the flagship that ships with oneshot.",
            show_default=False,
        ),
    ] = None,
    named: CheckpointOption = None,
    n: Annotated[
        int, typer.Option("-n", min=2, help="Variations of each.", rich_help_panel=PARTS)
    ] = 20,
    limit: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Only so many characters, spread over the alphabets.",
            show_default="all 150",
            rich_help_panel=PARTS,
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=8,
            max=512,
            help="Side of what is drawn, before it is brought to 28 pixels.",
            show_default="the model's own",
            rich_help_panel=PARTS,
        ),
    ] = None,
    closeness: ClosenessOption = None,
    classify: Annotated[
        bool,
        typer.Option(
            "--classify/--no-classify",
            help="One-shot classification by the model.",
            rich_help_panel=PARTS,
        ),
    ] = True,
    runs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Omniglot's all_runs.zip; without it, the one beside the data, or runs from the "
            "seed.",
            show_default=False,
            rich_help_panel=PARTS,
        ),
    ] = None,
    particles: Annotated[
        int,
        typer.Option(min=1, help="Importance samples in classification.", rich_help_panel=PARTS),
    ] = 5,
    memorization: Annotated[
        bool,
        typer.Option(
            "--memorization/--no-memorization",
            help="The nearest training drawings.",
            rich_help_panel=PARTS,
        ),
    ] = True,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Score pictures that another program made: a folder per character, with "
            "exemplar.png and its variations inside.",
            show_default=False,
            rich_help_panel=OTHER,
        ),
    ] = None,
    train_critics: Annotated[
        bool,
        typer.Option(
            "--train-critics",
            help="Train the two critics anew, into --output or the package (20 minutes).",
            rich_help_panel=OTHER,
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="A folder for score.json, scatter.png, nearest.png and report.html.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Recognizability against diversity, as a PNG.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="One self-contained HTML page with figures and drawings.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    data_dir: DataDirOption = None,
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEED, help="The same seed gives the same figures.")
    ] = 0,
    device: DeviceOption = Device.auto,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Score one-shot generalization: are variations recognized, and do they differ as people's do?

    On the 150 test characters of Omniglot's weak split. Recognizability: a prototypical network
    finds the exemplar among 20 for so large a share of the variations. Diversity: their spread
    in a SimCLR feature space, 1 for unrelated characters. Overlap: ink in common with the exemplar,
    after the best shift and in place, 1 for copies. The headline is recognizability and overlap at
    people's diversity, read off the curve over temperatures; people, copies and other characters
    are scored beside it. Intervals are 95 %, over characters.

    Variations are drawn as vary draws them by default; --closeness 0 measures the prior alone.

    Strokes are measured beside people's: parts, loose ends, widths, blobs and fog.

    Then the model classifies: which of 20 training images explains a test image best? And its
    drawings are held against all training drawings: does it draw, or recall?
    """
    if checkpoint is not None and named is not None:
        raise typer.BadParameter("the checkpoint is named twice")
    if (images is not None) + train_critics + ((checkpoint or named) is not None) > 1:
        raise typer.BadParameter("score a checkpoint, or --images, or --train-critics: one of them")
    screen = Screen(json, quiet, verbose)

    from oneshot_cli.cli import score_tables as show
    from oneshot_cli.workflows import score as workflow

    if train_critics:
        trained = workflow.train_critics(output, data_dir=data_dir, reporter=screen)
        for path in trained.files:
            screen.result(str(path))
        screen.document(trained.document())
        show.pictures(screen, "", trained)
        return
    if images is not None:
        scored = workflow.score_images(
            images,
            seed=seed,
            output=output,
            plot=plot,
            data_dir=data_dir,
            force=force,
            reporter=screen,
        )
        screen.document(scored.document())
        show.pictures(screen, str(images), scored)
        return
    result = workflow.score(
        checkpoint or named,
        n=n,
        limit=limit,
        size=size,
        closeness=closeness,
        classify=classify,
        runs=runs,
        particles=particles,
        memorization=memorization,
        seed=seed,
        output=output,
        plot=plot,
        report=report,
        data_dir=data_dir,
        device=device.value,
        force=force,
        reporter=screen,
    )
    screen.document(result.document())
    show.checkpoint(screen, result)
    for path in result.files:
        screen.result(str(path))
    screen.note(f"measured in {result.seconds:.0f} s")
