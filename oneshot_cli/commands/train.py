"""`oneshot train`: a run in a folder, from nothing or from where it stopped."""

from __future__ import annotations

import re
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneshot_cli.commands.common import (
    DataDirOption,
    Device,
    DeviceOption,
    JsonOption,
    QuietOption,
    Screen,
    VerboseOption,
)
from oneshot_cli.errors import OneshotError

if TYPE_CHECKING:
    from oneshot_cli.data.drawings import Drawings
    from oneshot_cli.model import ModelConfig
    from oneshot_cli.training.config import TrainConfig
    from oneshot_cli.training.folder import RunFolder
    from oneshot_cli.training.loop import Trainer


class Canvas(str, Enum):
    """f_c of the paper."""

    additive = "additive"
    gated = "gated"


class Split(str, Enum):
    """Which characters are held out."""

    weak = "weak"
    strong_30_20 = "strong-30-20"
    strong_40_10 = "strong-40-10"
    strong_45_5 = "strong-45-5"


MODEL, TRAINING, RUN = "Model", "Training", "Run"


def seconds(text: str) -> float:
    """A length of time: "90", "90s", "45m", "2h" or "1h30m". Raises BadParameter."""
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text.strip())
    if not match or not any(match.groups()):
        raise typer.BadParameter(f"{text!r} is no length of time; write 90s, 45m, 2h or 1h30m")
    hours, minutes, rest = (int(group or 0) for group in match.groups())
    return 3600.0 * hours + 60 * minutes + rest


def train(
    dataset: Annotated[
        str | None,
        typer.Option(
            help="omniglot, glyphs (made up, no download) or another of `oneshot data`. Without "
            "it: omniglot where it is at hand, otherwise glyphs.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The run's folder.")
    ] = Path("runs/latest"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --output where it stopped.")
    ] = False,
    iterations: Annotated[
        int | None, typer.Option(min=1, help="Length of the run.", show_default="30000")
    ] = None,
    epochs: Annotated[
        float | None, typer.Option(min=0, help="Length of the run in passes over the data.")
    ] = None,
    max_time: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Stop after so long (90s, 45m, 2h), to be resumed or not."
        ),
    ] = None,
    split: Annotated[
        Split, typer.Option(help="Which characters are held out.", rich_help_panel=TRAINING)
    ] = Split.weak,
    data_dir: DataDirOption = None,
    size: Annotated[
        int, typer.Option(min=8, max=105, help="Pixels of the images.", rich_help_panel=MODEL)
    ] = 28,
    steps: Annotated[
        int, typer.Option(min=1, help="T, latent groups and writes.", rich_help_panel=MODEL)
    ] = 20,
    canvas: Annotated[
        Canvas, typer.Option(help="How writes add up.", rich_help_panel=MODEL)
    ] = Canvas.additive,
    latent: Annotated[int, typer.Option(min=1, help="Latents a step.", rich_help_panel=MODEL)] = 16,
    hidden: Annotated[int, typer.Option(min=1, help="LSTM units.", rich_help_panel=MODEL)] = 400,
    glimpse: Annotated[
        int, typer.Option(min=1, help="Side of the reading window.", rich_help_panel=MODEL)
    ] = 12,
    patch: Annotated[
        int, typer.Option(min=1, help="Side of the written patch.", rich_help_panel=MODEL)
    ] = 12,
    summary: Annotated[
        int,
        typer.Option(
            min=0, help="Width of the convolutional summary; 0: none.", rich_help_panel=MODEL
        ),
    ] = 256,
    task: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=3,
            help="Train for one task alone: 1 unconditional, 2 variations, 3 alphabets. "
            "Without it, a mix of the three.",
            rich_help_panel=TRAINING,
            show_default=False,
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, rich_help_panel=TRAINING)] = 64,
    learning_rate: Annotated[float, typer.Option(rich_help_panel=TRAINING)] = 1.5e-3,
    kl_warmup: Annotated[
        int,
        typer.Option(
            min=0, help="Iterations until the KL has its full weight.", rich_help_panel=TRAINING
        ),
    ] = 2_000,
    particles: Annotated[
        int, typer.Option(min=1, help="K of the IWAE objective.", rich_help_panel=TRAINING)
    ] = 1,
    augment: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Strength of random affine maps, shared by a drawing and its context.",
            rich_help_panel=TRAINING,
        ),
    ] = 0.0,
    clip: Annotated[
        float, typer.Option(help="Largest gradient norm.", rich_help_panel=TRAINING)
    ] = 200.0,
    bf16: Annotated[
        bool,
        typer.Option(
            "--bf16/--fp32", help="Matrix products in bfloat16.", rich_help_panel=TRAINING
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, rich_help_panel=TRAINING)] = 0,
    device: DeviceOption = Device.auto,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads.", show_default="all cores")
    ] = None,
    eval_every: Annotated[
        int, typer.Option(min=1, help="Iterations between evaluations.", rich_help_panel=RUN)
    ] = 1_000,
    sample_every: Annotated[
        int, typer.Option(min=1, help="Iterations between pictures.", rich_help_panel=RUN)
    ] = 1_000,
    save_every: Annotated[
        int, typer.Option(min=1, help="Iterations between saves.", rich_help_panel=RUN)
    ] = 500,
    log_every: Annotated[
        int, typer.Option(min=1, help="Iterations between metrics.", rich_help_panel=RUN)
    ] = 50,
    eval_drawings: Annotated[
        int, typer.Option(min=1, help="Held-out drawings evaluated.", rich_help_panel=RUN)
    ] = 600,
    json_only: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train a model: on real Omniglot, on glyphs that are made up, or on your own pictures.

    The folder keeps config.json, metrics.jsonl, samples/, the state to resume from, and the
    checkpoints best.safetensors and last.safetensors. Ctrl-C saves and stops; --resume goes on.
    """
    limit = seconds(max_time) if max_time is not None else None
    if iterations is not None and epochs is not None:
        raise typer.BadParameter("give --iterations or --epochs, not both")

    import torch

    from oneshot_cli.data.episodes import Augmentation, TaskMix
    from oneshot_cli.model import ModelConfig
    from oneshot_cli.training.config import TrainConfig
    from oneshot_cli.training.folder import RunFolder
    from oneshot_cli.training.loop import Rhythm

    screen = Screen(json_only, quiet, verbose)
    folder = RunFolder(output)
    if threads is not None:
        torch.set_num_threads(threads)
    rhythm = Rhythm(log_every, eval_every, save_every, sample_every, eval_drawings)
    if resume:
        model, config, data = _read(folder)
    else:
        _refuse_to_lose(folder)
        name = dataset or _default_dataset(data_dir, screen)
        model = ModelConfig(
            size=size,
            steps=steps,
            latent=latent,
            hidden=hidden,
            glimpse=glimpse,
            patch=patch,
            summary_units=summary,
            canvas=canvas.value,
        )
        config = _checked(
            TrainConfig,
            batch=batch,
            learning_rate=learning_rate,
            kl_warmup=kl_warmup,
            particles=particles,
            clip=clip,
            bf16=bf16,
            seed=seed,
            tasks=TaskMix() if task is None else TaskMix.of_task(task),
            augmentation=Augmentation(shared=0.1 * augment, own=0.03 * augment),
        )
        data = {"dataset": name, "split": split.value, "size": size}
    drawings, held_out, originals = _drawings(data, config, data_dir, screen)
    if iterations is not None:
        config = replace(config, iterations=iterations)
    elif epochs is not None:
        config = replace(config, iterations=max(1, round(epochs * len(drawings) / config.batch)))
    trainer = _trainer(
        folder, model, config, data, drawings, held_out, originals, device.value, rhythm
    )
    if resume:
        trainer.resume()
    folder.write_config({"model": model.to_dict(), "training": config.to_dict(), "data": data})
    _fit(trainer, limit, screen)


def _read(folder: RunFolder) -> tuple[ModelConfig, TrainConfig, dict[str, Any]]:
    """What config.json says of a run to be resumed."""
    from oneshot_cli.model import ModelConfig
    from oneshot_cli.training.config import TrainConfig

    saved = folder.read_config()
    try:
        model = ModelConfig.from_dict(saved["model"])
        return model, TrainConfig.from_dict(saved["training"]), dict(saved["data"])
    except (KeyError, TypeError, ValueError) as error:
        raise OneshotError(f"{folder.config}: does not describe a run ({error})") from error


def _refuse_to_lose(folder: RunFolder) -> None:
    """A new run does not overwrite an old one."""
    if folder.path.exists() and not folder.path.is_dir():
        raise OneshotError(f"{folder.path} is a file, but the run needs a folder there")
    if folder.state.exists() or folder.config.exists():
        raise OneshotError(
            f"{folder.path} already holds a run\n"
            "give --resume to go on with it, or another --output"
        )


def _checked(kind: type[TrainConfig], **fields: Any) -> TrainConfig:
    """A configuration, its complaints told as wrong use."""
    try:
        return kind(**fields)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _default_dataset(data_dir: Path | None, screen: Screen) -> str:
    """omniglot where it is at hand, otherwise glyphs, which needs no download."""
    from oneshot_cli.data import omniglot

    if omniglot.at_hand(data_dir):
        return "omniglot"
    screen.note("Omniglot is not at hand: training on made-up glyphs (--dataset omniglot fetches)")
    return "glyphs"


def _drawings(
    data: dict[str, Any], config: TrainConfig, data_dir: Path | None, screen: Screen
) -> tuple[Drawings, Drawings, Drawings | None]:
    """Training drawings, held-out drawings, and the originals that augmentation samples from."""
    from oneshot_cli import data as data_sets

    def load(part: str, size: int) -> Drawings:
        return data_sets.load(
            data["dataset"], data_dir=data_dir, split=data["split"], part=part, size=size
        )

    drawings = load("train", data["size"])
    screen.note(
        f"{data['dataset']}: {len(drawings)} drawings of {len(drawings.characters)} characters, "
        f"{data['size']} x {data['size']}, split {data['split']}"
    )
    originals = load("train", 105) if config.augmentation.any else None
    return drawings, load("test", data["size"]), originals


def _trainer(
    folder: RunFolder,
    model: ModelConfig,
    config: TrainConfig,
    data: dict[str, Any],
    drawings: Drawings,
    held_out: Drawings,
    originals: Drawings | None,
    device: str,
    rhythm: Any,
) -> Trainer:
    from oneshot_cli.data.episodes import Episodes
    from oneshot_cli.devices import resolve_device
    from oneshot_cli.training.loop import Trainer

    return Trainer(
        folder,
        model,
        config,
        Episodes(drawings, config.tasks, seed=config.seed, originals=originals),
        held_out,
        data,
        device=resolve_device(device),
        rhythm=rhythm,
    )


def _fit(trainer: Trainer, limit: float | None, screen: Screen) -> None:
    """Train with a display and pictures, and say how it ended."""
    import torch

    from oneshot_cli.imaging.progress import progress_sheet
    from oneshot_cli.imaging.rendering import save_picture
    from oneshot_cli.training.display import display
    from oneshot_cli.training.loop import Hooks

    folder, held_out = trainer.folder, trainer.held_out
    shown = held_out.images[torch.linspace(0, len(held_out) - 1, 11).long()][:, None].float()

    def draw(model: Any, step: int) -> None:
        sheet = progress_sheet(model, shown.to(trainer.device))
        save_picture(sheet, folder.samples / f"{step:07d}.png")

    with display(trainer.config.iterations, trainer.counters.step, quiet=screen.quiet) as view:
        trainer.hooks = Hooks(metrics=view, samples=draw)
        reason = trainer.fit(limit)
    counters, figures = trainer.counters, trainer.figures
    ending = {"done": "finished", "time": "out of time", "signal": "stopped"}[reason]
    screen.result(
        f"{ending} after {counters.step} iterations, {counters.seconds:.0f} s: "
        f"{-figures['held_out_bound']:.2f} +- {figures['held_out_error']:.2f} nats on "
        f"{figures['drawings']} held-out drawings"
    )
    screen.result(f"checkpoint: {folder.last}")
    if reason != "done":
        screen.note(f"go on with: oneshot train --resume -o {folder.path}")
    screen.document(
        {
            "ended": reason,
            "iterations": counters.step,
            "seconds": counters.seconds,
            "skipped": counters.skipped,
            "held_out": figures,
            "checkpoint": folder.last,
            "best": folder.best,
        }
    )
