"""Options that several commands share.

Nothing here imports torch or numpy: `oneshot --help` has to be instant.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from oneshot_cli.drawing.defaults import PEN_WIDTHS
from oneshot_cli.ranges import MOST_SEED


class Device(str, Enum):
    """Where the model runs; `auto` takes CUDA, then Apple's MPS, then the CPU."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


CheckpointOption = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        "-c",
        metavar="FILE",
        help="A .safetensors checkpoint; without it, the flagship that ships with oneshot.",
        show_default=False,
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="A folder; or, if it ends like a picture, the file of the grid, which is then all "
        "that is written.",
        show_default="out",
    ),
]
SeedOption = Annotated[
    int, typer.Option("--seed", help="The same seed gives the same pictures.", min=0, max=MOST_SEED)
]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where the model runs.")]
SizeOption = Annotated[
    int,
    typer.Option("--size", min=28, max=512, help="Height and width of what is drawn, in pixels."),
]
SpreadOption = Annotated[
    float | None,
    typer.Option(
        "--spread",
        min=0.0,
        max=2.0,
        help="Temperature of all that is random: 0 draws the same again and again, 1 is the "
        "model as trained; less is closer and cleaner, more is more diverse.",
        show_default=False,
    ),
]
ClosenessOption = Annotated[
    float | None,
    typer.Option(
        "--closeness",
        min=0.0,
        max=1.0,
        help="How near variations come to the exemplar: 0 draws from the prior alone, as in the "
        "paper; 1 redraws the exemplar, deformed a little; without it, as the checkpoint says.",
        show_default=False,
    ),
]
PenOption = Annotated[
    str | None,
    typer.Option(
        "--pen",
        metavar="WIDTH",
        help="The strokes are drawn anew with a round pen of this width, 0.01 to 0.2 of the frame; "
        "'off' keeps the outline of what the model drew. Without it, 0.05 above the model's own "
        "size if it draws after exemplars, off otherwise.",
        show_default=False,
    ),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="FOLDER",
        envvar="ONESHOT_DATA",
        help="Where the data sets are, or go; without it, a cache folder of the user.",
        show_default=False,
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", "-f", help="Overwrite files that exist.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Only results and errors.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="More detail, and tracebacks when something fails.")
]


def pen_width(given: str | None) -> float | None:
    """The width that `--pen` gives; 0 for "off", None without the option.

    Raises BadParameter for anything else.
    """
    if given is None:
        return None
    if given.lower() == "off":
        return 0.0
    try:
        width = float(given)
    except ValueError:
        width = 0.0
    if not PEN_WIDTHS[0] <= width <= PEN_WIDTHS[1]:
        raise typer.BadParameter(
            f"--pen is a width from {PEN_WIDTHS[0]} to {PEN_WIDTHS[1]} of the frame, or off, "
            f"not {given}"
        )
    return width
