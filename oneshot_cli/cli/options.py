"""Options that several commands share.

Nothing here imports torch or numpy, so that `oneshot --help` is fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from oneshot_cli.cli import completion
from oneshot_cli.drawing.defaults import PEN_WIDTHS
from oneshot_cli.paths import examples
from oneshot_cli.ranges import MOST, MOST_SEED


class Device(str, Enum):
    """The device of the model. `auto` takes CUDA, else Apple's MPS, else the CPU."""

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
        help="A .safetensors checkpoint, or the folder of a run, which stands for its best one; "
        "without it, the flagship that ships with oneshot.",
        show_default=False,
        autocompletion=completion.checkpoints,
    ),
]


class PictureFormat(str, Enum):
    """Formats of pictures. PDF and NPZ hold all of them in one file."""

    png = "png"
    webp = "webp"
    svg = "svg"
    pdf = "pdf"
    npz = "npz"


class FilmFormat(str, Enum):
    """Formats of animations."""

    gif = "gif"
    webp = "webp"
    apng = "apng"
    mp4 = "mp4"
    webm = "webm"


class Box(str, Enum):
    """What may become of a box around a drawing."""

    auto = "auto"
    keep = "keep"
    remove = "remove"


OutputOption = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="A folder. If it ends like a picture file, only the grid is written, to that file. - "
        "is standard output, for the grid, or for the picture if it is only one.",
        show_default="a new folder in out",
    ),
]
FrameOption = Annotated[
    int | None,
    typer.Option(
        "--frame",
        metavar="N",
        min=1,
        max=MOST,
        help="The frame of an animation or the page of a TIFF to read, from 1.",
        show_default="the first; if it is blank, the last of an animation or the next page",
    ),
]
BoxOption = Annotated[
    Box,
    typer.Option(
        "--box",
        help="Whether a box around the drawing is part of it: keep it, remove it, or remove it if "
        "its lines are finer or fainter than the strokes inside (auto).",
    ),
]
ExampleOption = Annotated[
    bool, typer.Option("--example", help="Take pictures that ship with oneshot as exemplars.")
]
EachOption = Annotated[
    bool, typer.Option("--each", help="Take each character in a picture as an exemplar.")
]
FormatOption = Annotated[
    PictureFormat | None,
    typer.Option(
        "--format",
        help="The format of pictures and grid. A pdf has the grid alone; an npz has arrays of all "
        "pictures, for NumPy.",
        show_default="by the ending of --output, else png",
    ),
]
SeedOption = Annotated[
    int, typer.Option("--seed", help="The same seed gives the same pictures.", min=0, max=MOST_SEED)
]
DeviceOption = Annotated[Device, typer.Option("--device", help="The device of the model.")]
SizeOption = Annotated[
    int,
    typer.Option("--size", min=28, max=512, help="Height and width of the drawings in pixels."),
]
SpreadOption = Annotated[
    float | None,
    typer.Option(
        "--spread",
        min=0.0,
        max=2.0,
        help="Temperature of the random numbers: 0 always gives the same drawing, 1 is the model "
        "as trained. Lower values are closer and cleaner, higher ones more diverse.",
        show_default=False,
    ),
]
ClosenessOption = Annotated[
    float | None,
    typer.Option(
        "--closeness",
        min=0.0,
        max=1.0,
        help="Closeness of variations to the exemplar: 0 draws from the prior, as in the paper; 1 "
        "redraws the exemplar, slightly deformed. The default is in the checkpoint.",
        show_default=False,
    ),
]
PenOption = Annotated[
    str | None,
    typer.Option(
        "--pen",
        metavar="WIDTH",
        help="Redraw the strokes with a round pen of this width, 0.01 to 0.2 of the frame; 'off' "
        "keeps the outline that the model drew. The default is 0.05 for a conditional model above "
        "its own size, else off.",
        show_default=False,
    ),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="FOLDER",
        envvar="ONESHOT_DATA",
        help="The folder of the data sets; without it, the user's cache folder.",
        show_default=False,
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", "-f", help="Overwrite existing files.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print a JSON document on stdout, and nothing else.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print only results and errors.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print more details, and tracebacks of errors.")
]


def exemplars_or_example(
    given: Sequence[Path] | None, example: bool, names: Sequence[str]
) -> Sequence[Path]:
    """The pictures that are given, or with `--example` those that ship under these names.

    Raises BadParameter for both.
    """
    if example and given:
        raise typer.BadParameter("--example goes without pictures of your own")
    return examples(names) if example else given or ()


def required(exemplars: Sequence[Path]) -> Sequence[Path]:
    """The exemplars. Raises BadParameter if there are none."""
    if not exemplars:
        raise typer.BadParameter("name a picture; --example takes some that ship with oneshot")
    return exemplars


def refuse_json_too(output: str | None, json: bool) -> None:
    """Raise BadParameter if standard output is to have both a picture and a JSON document."""
    if output == "-" and json:
        raise typer.BadParameter("--json and -o - both write to standard output")


def pen_width(given: str | None) -> float | None:
    """Parse `--pen`: its width, 0 for "off", or None without the option.

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
            f"--pen takes a width from {PEN_WIDTHS[0]} to {PEN_WIDTHS[1]} of the frame, or off, "
            f"not {given}"
        )
    return width
