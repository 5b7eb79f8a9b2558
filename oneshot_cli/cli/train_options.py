"""Types of the options of `oneshot train`, and how their texts are parsed."""

from __future__ import annotations

import re
from enum import Enum
from typing import Annotated, Any

import typer

from oneshot_cli.ranges import MOST_STEPS, MOST_SYMBOLS


class Objective(str, Enum):
    """The bound that is raised."""

    elbo = "elbo"
    iwae = "iwae"


class Engine(str, Enum):
    """How gradients are computed."""

    written = "written"
    plain = "plain"


MOST_SECONDS = 10**9
MODEL, TRAINING, RUN = "Model", "Training", "Run"
PRESET = "the model's"


SymbolsOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=0,
        max=MOST_SYMBOLS,
        show_default="0",
        help="Add N invented symbols to the training drawings: circles, spirals, stars, hearts "
        "and the like, 8 drawings of each.",
        rich_help_panel=TRAINING,
    ),
]


def field(metavar: str, explanation: str) -> Any:
    """An option that overrides a field of the model's configuration."""
    return typer.Option(
        metavar=metavar, help=explanation, show_default=PRESET, rich_help_panel=MODEL
    )


def interval(explanation: str) -> Any:
    """An option that is a number of iterations."""
    return typer.Option(min=1, max=MOST_STEPS, help=explanation, rich_help_panel=RUN)


def seconds(text: str) -> float:
    """A length of time: "90", "90s", "45m", "2h" or "1h30m". Raises BadParameter."""
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text.strip())
    if not match or not any(match.groups()):
        raise typer.BadParameter(f"{text!r} is no length of time; write 90s, 45m, 2h or 1h30m")
    hours, minutes, rest = (int(group or 0) for group in match.groups())
    if max(hours, minutes, rest) > MOST_SECONDS:
        raise typer.BadParameter(f"--max-time has to be at most {MOST_SECONDS:,} seconds")
    return 3600.0 * hours + 60 * minutes + rest


def assignments(texts: list[str]) -> dict[str, str]:
    """Names and values of `--set NAME=VALUE`. Raises BadParameter."""
    pairs = [text.partition("=") for text in texts]
    for text, (name, sign, _) in zip(texts, pairs, strict=True):
        if not (name and sign):
            raise typer.BadParameter(f"--set {text}: write FIELD=VALUE")
    return {name.strip(): value.strip() for name, _, value in pairs}
