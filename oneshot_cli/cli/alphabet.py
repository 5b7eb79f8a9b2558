"""`oneshot alphabet`: new characters in the style of some."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oneshot_cli.cli.options import (
    DRAWN,
    CheckpointOption,
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

MOST = 100
"""Pictures that are taken for one alphabet."""


def alphabet(
    exemplars: Annotated[
        list[Path],
        typer.Argument(
            help="Pictures of different characters of one alphabet, or a folder of them.",
            show_default=False,
        ),
    ],
    n: Annotated[int, typer.Option("-n", min=1, max=200, help="New characters.")] = 20,
    output: OutputOption = None,
    size: SizeOption = DRAWN,
    seed: SeedOption = 0,
    spread: SpreadOption = None,
    pen: PenOption = None,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = Device.auto,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Draw new characters in the style of an alphabet: further letters, not copies.

    Characters that come too near to one that was given, or to one drawn before, are drawn again.
    How near each came is told: the mean distance from the ink of one to the ink of the other, in
    pixels of the model's picture. Two people's drawings of one character are usually 0.8 apart,
    different characters 1.5. The usual --spread is 0.8.
    """
    from oneshot_cli.workflows.jobs import Target, pictures_in

    width = pen_width(pen)
    found, target = list(pictures_in(exemplars)), Target.of(output)
    if len(found) > MOST:
        raise typer.BadParameter(f"{len(found)} pictures; {MOST} say enough about an alphabet")
    files, grid = target.numbered("character", n), target.grid("alphabet")
    refuse_to_overwrite([*files, grid], force)

    from PIL import Image

    from oneshot_cli.drawing.oneshot import ALPHABET_SPREAD, load
    from oneshot_cli.imaging.exemplar import drawing
    from oneshot_cli.imaging.grid import Group, sheet
    from oneshot_cli.imaging.rendering import of_mask, save_picture

    screen = Screen(json, quiet, verbose)
    model = load(checkpoint, device.value)
    made = model.new_characters([p for _, p in found], n, seed=seed, spread=spread, size=size)
    greys = list(model.render(made.pictures, width))
    for file, grey in zip(files, greys, strict=False):
        save_picture(Image.fromarray(grey), file)
    given = [of_mask(drawing(path, model.size).mask, size) for _, path in found]
    distance, nearest = made.distance.min(1)
    groups = [
        Group("given", given, labels=[name for name, _ in found], given=True),
        Group("new", greys, labels=[f"{i + 1}" for i in range(n)]),
    ]
    save_picture(sheet(groups), grid)
    screen.document(
        {
            "checkpoint": model.path,
            "seed": seed,
            "spread": ALPHABET_SPREAD if spread is None else spread,
            "size": size,
            "pen": model.pen(size, width),
            "given": [path for _, path in found],
            "characters": [
                {
                    "file": files[i] if files else None,
                    "distances": [round(d, 4) for d in made.distance[i].tolist()],
                    "nearest": found[int(nearest[i])][1],
                    "distance": round(float(distance[i]), 4),
                }
                for i in range(n)
            ],
            "grid": grid,
        }
    )
    if files:
        screen.result(f"{files[0]} ... {files[-1].name}" if n > 1 else str(files[0]))
    screen.result(str(grid))
    closest = int(distance.argmin())
    screen.note(
        f"distance to what was given: {float(distance.median()):.2f} pixels in the median; "
        f"nearest is number {closest + 1}, {float(distance[closest]):.2f} from "
        f"{found[int(nearest[closest])][0]}"
    )
