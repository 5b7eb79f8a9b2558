"""`oneshot train`: a run in a folder, from nothing or from where it stopped."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from oneshot_cli.cli import completion
from oneshot_cli.cli.options import (
    DataDirOption,
    Device,
    DeviceOption,
    JsonOption,
    QuietOption,
    VerboseOption,
)
from oneshot_cli.cli.resuming import refuse_changes
from oneshot_cli.cli.screen import Screen, loading_program
from oneshot_cli.cli.train_options import (
    MODEL,
    PRESET,
    RUN,
    TRAINING,
    Engine,
    Objective,
    SymbolsOption,
    assignments,
    field,
    interval,
    seconds,
)
from oneshot_cli.data.splits import DEFAULT_VALIDATION_SHARE, MAX_VALIDATION_SHARE
from oneshot_cli.model.registry import ATTENTIONS, CANVASES, OUTPUTS, PRIORS
from oneshot_cli.presets import PRESETS
from oneshot_cli.ranges import MOST_SEED, MOST_THREADS


def train(
    dataset: Annotated[
        str | None,
        typer.Option(
            help="omniglot, glyphs (generated, no download) or another of `oneshot data`. The "
            "default is omniglot if it is on this machine, otherwise glyphs.",
            show_default=False,
            autocompletion=completion.datasets,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The run's folder.")
    ] = Path("runs/latest"),
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --output.")] = False,
    iterations: Annotated[
        int | None, typer.Option(min=1, help="Length of the run.", show_default=PRESET)
    ] = None,
    epochs: Annotated[
        float | None, typer.Option(min=0, help="Length of the run in passes over the data.")
    ] = None,
    max_time: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Stop and save after this time (90s, 45m, 2h)."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Which drawings are held out, see `oneshot data`.",
            show_default="the data set's usual one",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    validation: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=MAX_VALIDATION_SHARE,
            show_default=str(DEFAULT_VALIDATION_SHARE),
            help="Share of the training part that is kept for validation. best.safetensors is "
            "chosen by it. With 0 there is no validation, and the best weights are the last.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    binarization: Annotated[
        str | None,
        typer.Option(
            help="How grey data becomes binary: dynamic, threshold, static, or none for a model "
            "of grey values.",
            show_default="dynamic",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    resample: Annotated[
        str | None,
        typer.Option(
            metavar="area|max",
            help="How binary drawings are resized: a pixel is ink if half of its area is, or "
            "any of it (max: the few-shot density protocol, 26 pixels).",
            show_default="area",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    symbols: SymbolsOption = None,
    data_dir: DataDirOption = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Run the experiment of a run (its folder or config.json), of a checkpoint, or "
            "in a JSON file like config.json. Other options change it.",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="CHECKPOINT",
            help="Start with the model and the weights of a checkpoint, on the same or other data. "
            "--steps, --prior, --output-network and --image-encoder may differ.",
            rich_help_panel=MODEL,
            autocompletion=completion.checkpoints,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"What to train: {', '.join(PRESETS)}.",
            show_default="flagship",
            autocompletion=completion.models,
            rich_help_panel=MODEL,
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="N[,N]",
            help="Pixels of the images. Several, 28,52: batches of each in turn; the model then "
            "reads at the smallest size and draws at the largest.",
            show_default="that of --from, or the data set's usual one, mostly 28",
            rich_help_panel=MODEL,
        ),
    ] = None,
    steps: Annotated[str | None, field("N", "T, latent groups and writes.")] = None,
    latent: Annotated[str | None, field("N", "Latents a step; of a VAE: a layer, N,N.")] = None,
    hidden: Annotated[str | None, field("N", "LSTM units; of a VAE: of each layer, N,N.")] = None,
    attention: Annotated[
        str | None,
        field("KIND", f"How images are read and written: {ATTENTIONS.choices}."),
    ] = None,
    canvas: Annotated[str | None, field("KIND", f"How writes add up: {CANVASES.choices}.")] = None,
    prior: Annotated[
        str | None, field("KIND", f"Prior of a step's latents: {PRIORS.choices}.")
    ] = None,
    output_network: Annotated[
        str | None, field("KIND", f"From canvas to pixels: {OUTPUTS.choices}.")
    ] = None,
    glimpse: Annotated[str | None, field("N", "Side of the reading window.")] = None,
    patch: Annotated[str | None, field("N", "Side of the written patch.")] = None,
    image_encoder: Annotated[
        str | None, field("N", "Width of the convolutional encoder of whole images; 0: none.")
    ] = None,
    summary: Annotated[
        str | None, typer.Option("--summary", metavar="N", help="--image-encoder", hidden=True)
    ] = None,
    fields: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Any other field of the model's or the training's configuration, as config.json "
            "names them; may be repeated.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    task: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=3,
            help="Train for one task alone: 1 unconditional, 2 variations, 3 alphabets. "
            "The default is the model's own: for the flagship a mix of the three.",
            rich_help_panel=TRAINING,
            show_default=False,
        ),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, show_default=PRESET, rich_help_panel=TRAINING)
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(show_default=PRESET, rich_help_panel=TRAINING)
    ] = None,
    kl_warmup: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Iterations until the KL has its full weight.",
            show_default=f"{PRESET}; 0 with --from",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    objective: Annotated[
        Objective | None,
        typer.Option(
            help="The bound that is raised: iwae is L_K with K = --particles, the ELBO for K = 1; "
            "elbo is the mean of K ELBOs.",
            show_default="iwae",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    particles: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="K, posterior samples an image.",
            show_default=PRESET,
            rich_help_panel=TRAINING,
        ),
    ] = None,
    augment: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            show_default="0",
            help="Strength of random affine maps, shared by a drawing and its context. "
            "They fade out with the learning rate. A tenth of the drawings is not changed.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    turn: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            show_default="0",
            help="Share of the drawings that are rotated by 90, 180 or 270 degrees with their "
            "context, which makes new characters.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    clip: Annotated[
        float | None,
        typer.Option(help="Largest gradient norm.", show_default=PRESET, rich_help_panel=TRAINING),
    ] = None,
    bf16: Annotated[
        bool | None,
        typer.Option(
            "--bf16/--fp32",
            help="Matrix products in bfloat16 or in float32.",
            show_default="bfloat16 if the hardware has it",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    engine: Annotated[
        Engine | None,
        typer.Option(
            help="How gradients are computed: by written-out code, or plain, by autograd.",
            show_default="written where the model has such code",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile",
            help="Compile the model with torch.compile. No faster on a CPU; unmeasured on GPUs.",
            rich_help_panel=RUN,
        ),
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=MOST_SEED, show_default="0", rich_help_panel=TRAINING),
    ] = None,
    device: DeviceOption = Device.auto,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_THREADS, help="CPU threads.", show_default="all cores"),
    ] = None,
    eval_every: Annotated[int, interval("Iterations between evaluations.")] = 1_000,
    sample_every: Annotated[int, interval("Iterations between pictures.")] = 1_000,
    save_every: Annotated[int, interval("Iterations between saves.")] = 500,
    log_every: Annotated[int, interval("Iterations between metrics.")] = 50,
    eval_drawings: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Validation drawings evaluated.",
            show_default="600",
            rich_help_panel=RUN,
        ),
    ] = None,
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Also write TensorBoard events.", rich_help_panel=RUN),
    ] = False,
    json_only: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train a model: on Omniglot, on generated glyphs, or on your own pictures.

    The folder keeps config.json, metrics.jsonl and its curves.png, samples/, the state to resume
    from, and the checkpoints best.safetensors and last.safetensors. Ctrl-C saves and stops;
    --resume continues. Under torchrun, processes share each batch, see docs/scaling.md.
    """
    if resume:
        # --fp32 has never been refused: a script may give it to every command.
        refuse_changes(train, {**locals(), "bf16": bf16 or None})
    limit = seconds(max_time) if max_time is not None else None
    if iterations is not None and epochs is not None:
        raise typer.BadParameter("give --iterations or --epochs, not both")
    if config is not None and model is not None:
        raise typer.BadParameter("--config says what to train: leave out --model")
    given = {
        "batch": batch,
        "learning_rate": learning_rate,
        "kl_warmup": kl_warmup,
        "objective": objective.value if objective else None,
        "particles": particles,
        "clip": clip,
        "bf16": bf16,
        "seed": seed,
        "steps": steps,
        "latent": latent,
        "hidden": hidden,
        "attention": attention,
        "canvas": canvas,
        "prior": prior,
        "output": output_network,
        "glimpse": glimpse,
        "patch": patch,
        "image_encoder_units": summary if image_encoder is None else image_encoder,
        "engine": engine.value if engine else None,
        "evaluation_drawings": eval_drawings,
    }
    changed = {name: value for name, value in given.items() if value is not None}
    changed |= assignments(fields or [])

    with loading_program(quiet):
        import torch

        from oneshot_cli.cli.training_display import display, print_result
        from oneshot_cli.distributed import is_main_process, join_world
        from oneshot_cli.experiment import Experiment
        from oneshot_cli.training.folder import RunFolder
        from oneshot_cli.training.loop import Intervals
        from oneshot_cli.workflows import train as workflow
        from oneshot_cli.workflows.prepare import DataChoice, prepare

    if threads is not None:
        torch.set_num_threads(threads)
    screen = Screen(json_only, quiet or not is_main_process(), verbose)
    run_options = workflow.RunOptions(
        max_seconds=limit,
        data_dir=data_dir,
        device=device.value,
        intervals=Intervals(log_every, eval_every, save_every, sample_every),
        compiled=compiled,
        tensorboard=tensorboard,
        display=partial(display, quiet=screen.quiet, max_seconds=limit),
        reporter=screen,
    )
    with join_world(device.value) as world:
        if resume:
            result = workflow.resume(
                output,
                iterations=iterations,
                epochs=epochs,
                evaluation_drawings=eval_drawings,
                options=run_options,
            )
        else:
            world.from_main(lambda: workflow.refuse_existing_run(RunFolder(output)))
            experiment, loaded = prepare(
                model or "flagship",
                base=None if config is None else Experiment.read(config),
                start=start,
                data=DataChoice(dataset, split, size, binarization, resample, validation, symbols),
                fields=changed,
                task=task,
                augment=augment,
                turn=turn,
                iterations=iterations,
                epochs=epochs,
                data_dir=data_dir,
                device=device.value,
                reporter=screen,
            )
            result = workflow.train(
                experiment, output, start=start, loaded=loaded, options=run_options
            )
    if is_main_process():
        print_result(screen, result)
