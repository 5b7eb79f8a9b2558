"""`oneshot score`: scores of one-shot generalization, compared with people's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oneshot_cli.cli import completion
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
from oneshot_cli.cli.screen import Screen, loading_program
from oneshot_cli.ranges import MOST, MOST_SEED

OUTPUT, PARTS, OTHER = "Output files", "Measurements", "Instead of a checkpoint"


def score(
    checkpoint: Annotated[
        Path | None,
        typer.Argument(
            help="A .safetensors checkpoint; without it, the flagship that ships with oneshot.",
            show_default=False,
            autocompletion=completion.checkpoints,
        ),
    ] = None,
    named: CheckpointOption = None,
    n: Annotated[
        int,
        typer.Option(
            "-n", min=2, max=1000, help="Variations of each character.", rich_help_panel=PARTS
        ),
    ] = 20,
    limit: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=MOST,
            help="Largest number of characters, spread over the alphabets.",
            show_default="all 150",
            rich_help_panel=PARTS,
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=8,
            max=512,
            help="Height and width of the drawings, before they are resampled to 28 pixels.",
            show_default="the model's own",
            rich_help_panel=PARTS,
        ),
    ] = None,
    closeness: ClosenessOption = None,
    classify: Annotated[
        bool,
        typer.Option(
            "--classify/--no-classify",
            help="Measure one-shot classification, by a model that did not see those alphabets.",
            rich_help_panel=PARTS,
        ),
    ] = True,
    both_directions: Annotated[
        bool,
        typer.Option(
            "--both-directions/--one-direction",
            help="Use p(training | test), too, as BPL does. --one-direction takes half the time.",
            rich_help_panel=PARTS,
        ),
    ] = True,
    runs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Omniglot's all_runs.zip; without it, the one in the data folder, else runs drawn "
            "from the seed.",
            show_default=False,
            rich_help_panel=PARTS,
        ),
    ] = None,
    particles: Annotated[
        int,
        typer.Option(
            min=1,
            max=MOST,
            help="Importance samples for classification.",
            rich_help_panel=PARTS,
        ),
    ] = 5,
    memorization: Annotated[
        bool,
        typer.Option(
            "--memorization/--no-memorization",
            help="Find the nearest training drawings.",
            rich_help_panel=PARTS,
        ),
    ] = True,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Score pictures of another program: a folder with a folder for each character, "
            "which has exemplar.png and its variations.",
            show_default=False,
            rich_help_panel=OTHER,
        ),
    ] = None,
    train_critics: Annotated[
        bool,
        typer.Option(
            "--train-critics",
            help="Train the two critics again (20 minutes) from --seed, into --output or the "
            "package.",
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
            help="Plot recognizability against diversity, as a PNG.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a self-contained HTML page with results and drawings.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    data_dir: DataDirOption = None,
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEED, help="The same seed gives the same results.")
    ] = 0,
    seeds: Annotated[
        int,
        typer.Option(
            min=1,
            max=100,
            help="Measure the headline with this many seeds: other exemplars, other noise.",
            rich_help_panel=PARTS,
        ),
    ] = 1,
    critics: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Measure the headline by these critics, too: a folder of --train-critics. May be "
            "repeated.",
            show_default=False,
            rich_help_panel=PARTS,
        ),
    ] = None,
    device: DeviceOption = Device.auto,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Score one-shot generalization: are variations recognizable, and as diverse as people's?

    Variations of the 150 test characters of Omniglot's weak split are scored. Recognizability is
    the share of variations for which a prototypical network finds the exemplar among 20. Diversity
    is their spread in a SimCLR feature space, 1 for unrelated characters. Overlap is the share of
    ink in common with the exemplar, after the best shift and in place, 1 for copies. The headline
    is recognizability and overlap at people's diversity, interpolated on the curve over
    temperatures. People's drawings, copies and other characters are scored for comparison.
    Intervals are 95 %, over characters.

    Variations are drawn with the defaults of vary; --closeness 0 measures the prior alone.

    Strokes are compared with people's: the number of parts and of loose ends, the width, its
    evenness, and the share of uncertain pixels.

    One-shot classification finds, of 20 training images, the one that makes a test image most
    likely. It is measured only for models that saw no drawing of these alphabets, which are those
    of the split strong-30-20.

    Memorization: the distance from variations to the nearest training drawings.
    """
    if checkpoint is not None and named is not None:
        raise typer.BadParameter("the checkpoint is given twice")
    if (images is not None) + train_critics + ((checkpoint or named) is not None) > 1:
        raise typer.BadParameter("give only one of a checkpoint, --images and --train-critics")
    screen = Screen(json, quiet, verbose)

    with loading_program(quiet):
        from oneshot_cli.cli import score_tables as show
        from oneshot_cli.workflows import score as workflow

    if train_critics:
        from oneshot_cli.workflows.train_critics import train_critics as train

        trained = train(output, seed=seed, data_dir=data_dir, reporter=screen)
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
        both_directions=both_directions,
        runs=runs,
        particles=particles,
        memorization=memorization,
        seed=seed,
        seeds=seeds,
        critics=critics or (),
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
