"""`oneshot sample`: characters out of nothing."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from oneshot_cli.cli.options import (
    DRAWN,
    CheckpointOption,
    DataDirOption,
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
from oneshot_cli.errors import OneshotError


def sample(
    n: Annotated[int, typer.Option("-n", min=1, max=2000, help="How many.")] = 64,
    output: OutputOption = None,
    size: SizeOption = DRAWN,
    seed: SeedOption = 0,
    spread: SpreadOption = None,
    pen: PenOption = None,
    nearest: Annotated[
        bool,
        typer.Option(
            "--nearest",
            help="Beside each sample, the nearest drawing of the data that the model was "
            "trained on (which has to be at hand).",
        ),
    ] = False,
    data_dir: DataDirOption = None,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = Device.auto,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Draw characters of no alphabet: unconditional samples, and a grid of them.

    Without --spread they are exact samples of the model (a spread of 1). With --nearest the grid
    shows whether the model draws or recalls.
    """
    from oneshot_cli.workflows.jobs import Target

    width = pen_width(pen)
    target = Target.of(output)
    files, grid = target.numbered("sample", n), target.grid("samples")
    refuse_to_overwrite([*files, grid], force)

    from PIL import Image

    from oneshot_cli.drawing.oneshot import load
    from oneshot_cli.imaging.grid import Group, beside, sheet
    from oneshot_cli.imaging.rendering import save_picture

    screen = Screen(json, quiet, verbose)
    model = load(checkpoint, device.value)
    temperature = 1.0 if spread is None else spread
    if nearest and model.model.config.channels != 1:
        raise OneshotError("--nearest compares ink; this model draws in colour")
    drawn = model.render(model.sample(n, seed=seed, spread=temperature, size=size), width)
    for file, levels in zip(files, drawn, strict=False):
        save_picture(Image.fromarray(levels), file)
    columns = math.ceil(n**0.5)
    picture = sheet([Group("samples" if nearest else "", list(drawn))], columns)
    document: dict[str, Any] = {"checkpoint": model.path, "n": n, "seed": seed}
    document |= {
        "spread": temperature,
        "size": size,
        "pen": model.pen(size, width),
        "samples": files,
        "grid": grid,
    }
    if nearest:
        from oneshot_cli.imaging.likeness import nearest_drawings

        drawings = model.trained_on.load(size=model.size, data_dir=data_dir)
        inks = model.sample(n, seed=seed, spread=temperature)[:, 0] > 0.5
        half = 0.5 * int(drawings.images.max())
        index, distance = nearest_drawings(inks, drawings.images > half)
        found = model.render(drawings.images[index, None] / (2 * half))
        label = "the nearest training drawings"
        picture = beside(picture, sheet([Group(label, list(found))], columns))
        document["nearest"] = [
            {"character": drawings.characters[int(drawings.character[i])], "distance": round(d, 4)}
            for i, d in zip(index.tolist(), distance.tolist(), strict=True)
        ]
    save_picture(picture, grid)
    screen.document(document)
    if files:
        screen.result(f"{files[0]} ... {files[-1].name}" if n > 1 else str(files[0]))
    screen.result(str(grid))
