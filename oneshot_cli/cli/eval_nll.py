"""`oneshot eval-nll`: bounds on the likelihood, compared with published ones."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from oneshot_cli.cli import completion
from oneshot_cli.cli.options import (
    DataDirOption,
    Device,
    DeviceOption,
    ForceOption,
    JsonOption,
    QuietOption,
    VerboseOption,
)
from oneshot_cli.cli.screen import Screen, loading_program
from oneshot_cli.data.splits import OFFICIAL, SPLITS
from oneshot_cli.ranges import MOST, MOST_SEED

DATA, OUTPUT = "Data", "Output files"


class Part(str, Enum):
    """The drawings that are evaluated."""

    test = "test"
    train = "train"
    both = "both"


def parse_counts(text: str, least: int, what: str) -> list[int]:
    """Numbers separated by commas, such as "1,50", each from `least`. Raises BadParameter."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{what} {text!r}: give numbers, such as 1,50") from None
    for number in numbers:
        if not least <= number <= MOST:
            raise typer.BadParameter(f"{what} has to be {least} to {MOST:,}, not {number}")
    return numbers


def eval_nll(
    checkpoints: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="CHECKPOINT...",
            help="One or more .safetensors checkpoints; without one, the flagship.",
            show_default=False,
            autocompletion=completion.checkpoints,
        ),
    ] = None,
    part: Annotated[
        Part, typer.Option("--part", "--split", help="Test drawings, training drawings, or both.")
    ] = Part.test,
    particles: Annotated[
        str, typer.Option(metavar="K,...", help="Numbers of importance samples; 1 is the ELBO.")
    ] = "1,10",
    context: Annotated[
        str | None,
        typer.Option(
            metavar="M,...",
            help="Numbers of context images; 0 is unconditional.",
            show_default="1, or 0 for digits",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST,
            help="Largest number of images, taken at even distances.",
            show_default="all test images, 3000 training images",
        ),
    ] = None,
    refine: Annotated[
        int,
        typer.Option(
            metavar="STEPS",
            min=0,
            max=MOST,
            help="Add rows of bounds with the posterior of each image fitted by STEPS of gradient "
            "ascent, such as 50. A step takes as long as some 12 particles.",
        ),
    ] = 0,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="The data set. Without --dataset, --data-split and --resample, all are those of "
            "the checkpoint.",
            show_default=False,
            autocompletion=completion.datasets,
            rich_help_panel=DATA,
        ),
    ] = None,
    data_split: Annotated[
        str | None,
        typer.Option(
            help=f"{', '.join(SPLITS)} or {OFFICIAL}.",
            show_default=False,
            rich_help_panel=DATA,
        ),
    ] = None,
    resample: Annotated[
        str | None,
        typer.Option(
            help="Resampling: area, the default protocol, or max, the protocol of 26 x 26.",
            show_default=False,
            rich_help_panel=DATA,
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            min=1,
            max=512,
            help="Height and width, for a model of several sizes.",
            show_default="the smallest",
            rich_help_panel=DATA,
        ),
    ] = None,
    data_dir: DataDirOption = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the rows as CSV.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Plot the bounds and the KL of each step, as a PNG.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    batch: Annotated[
        int,
        typer.Option(
            min=1, max=MOST, help="Images times particles in a batch; does not change results."
        ),
    ] = 250,
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEED, help="The same seed gives the same results.")
    ] = 0,
    device: DeviceOption = Device.auto,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Bound the negative log-likelihood of held-out drawings, in nats per image; lower is better.

    Reports the ELBO (reconstruction and KL) and the tighter IWAE bound for each number of
    particles. Standard errors are clustered by the characters or alphabets that the split holds
    out. The context of a drawing is other drawings of its character. Published results on the same
    data are shown for comparison.

    With several checkpoints, the paired difference of each from the first is also given. With
    --limit, the IWAE bound of all images is estimated: their ELBO, minus the mean gap between ELBO
    and IWAE on the measured images. It is left out where the ELBO of all images would take longer
    than the measurement itself.

    One network computes the posteriors of all images. With --refine the posterior of each image is
    also fitted for itself, which usually gives tighter bounds of the same model.
    """
    numbers = parse_counts(particles, 1, "--particles")
    contexts = None if context is None else parse_counts(context, 0, "--context")

    with loading_program(quiet):
        from oneshot_cli.distributed import is_main_process
        from oneshot_cli.workflows.nll import nll

    screen = Screen(json, quiet or not is_main_process(), verbose)
    result = nll(
        checkpoints or (None,),
        parts=["test", "train"] if part is Part.both else [part.value],
        particles=numbers,
        contexts=contexts,
        limit=limit,
        refine=refine,
        dataset=dataset,
        split=data_split,
        resample=resample,
        size=size,
        data_dir=data_dir,
        batch=batch,
        seed=seed,
        csv=csv,
        plot=plot,
        device=device.value,
        force=force,
        reporter=screen,
    )
    if not is_main_process():
        return
    screen.document(result.document())
    if not json:
        from oneshot_cli.cli.nll_tables import bounds_table, latents_table, published_table

        screen.console.print(bounds_table(result.title, result.rows))
        screen.console.print(latents_table(result.rows))
        for table in result.published:
            screen.console.print(published_table(table, result.rows))
    for file in (csv, plot):
        if file is not None:
            screen.result(str(file))
    screen.note(f"measured in {result.seconds:.0f} s")
