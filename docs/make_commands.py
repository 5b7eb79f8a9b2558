"""Writes docs/commands.md from the program itself: `make docs`. A test compares the two."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo, OptionInfo

from oneshot_cli.cli.app import app

HERE = Path(__file__).parent
WORDS = {int: "NUMBER", float: "NUMBER", str: "TEXT", Path: "PATH"}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a command: its name in Python, type, Typer's description and default."""

    name: str
    kind: Any
    info: OptionInfo | ArgumentInfo
    default: Any

    @property
    def is_argument(self) -> bool:
        return isinstance(self.info, ArgumentInfo)

    @property
    def spelled(self) -> str:
        """How it is written: the argument's name, or the option's flags and what they take."""
        if self.is_argument:
            word = (self.info.metavar or self.name.upper()).strip("[]{}.")
            return f"{word}..." if self.takes_many else word
        # in Annotated, Typer keeps the first spelling where it would otherwise keep the default
        spellings = [
            s for s in (self.info.default, *(self.info.param_decls or ())) if isinstance(s, str)
        ]
        flags = [flag for spelling in spellings for flag in spelling.split("/")]
        if not flags:
            long = self.name.replace("_", "-")
            flags = [f"--{long}", f"--no-{long}"] if self.kind is bool else [f"--{long}"]
        names = ", ".join(f"`{flag}`" for flag in sorted(flags, key=len))
        return names if self.kind is bool else f"{names} {self.values}"

    @property
    def takes_many(self) -> bool:
        return get_origin(self.kind) is list

    @property
    def values(self) -> str:
        """What it takes: its choices, its range, or a word for it."""
        if isinstance(self.kind, type) and issubclass(self.kind, Enum):
            return " \\| ".join(str(member.value) for member in self.kind)
        if self.info.min is not None:
            up = f" to {self.info.max:g}" if self.info.max is not None else " or more"
            return f"{self.info.min:g}{up}"
        return self.info.metavar or WORDS.get(self.kind, "VALUE")

    @property
    def usual(self) -> str:
        """The default, as a person would type it."""
        if self.default is inspect.Parameter.empty:
            return "required"
        if isinstance(self.info.show_default, str):
            return f"`{self.info.show_default}`"
        if self.default is None or self.default is False:
            return ""
        if self.default is True:
            return "on"
        return f"`{getattr(self.default, 'value', self.default)}`"

    @property
    def row(self) -> str:
        name = f"`{self.spelled}`" if self.is_argument else self.spelled
        return f"| {name} | {self.usual} | {_text(self.info.help)} |"


def parameters(function: Callable[..., Any]) -> Iterator[Parameter]:
    """The parameters of a command, as its signature has them."""
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        kind, *extras = get_args(hints[name])
        info = next(extra for extra in extras if isinstance(extra, OptionInfo | ArgumentInfo))
        if get_origin(kind) in (Union, UnionType):
            kind = next(part for part in get_args(kind) if part is not NoneType)
        if not info.hidden:
            yield Parameter(name, kind, info, parameter.default)


def reference() -> str:
    """The command reference, in Markdown."""
    commands = {str(c.name): c.callback for c in app.registered_commands if c.callback}
    parts = [
        "# Commands",
        "Made from the program by `make docs`; `oneshot COMMAND --help` says the same.",
        "\n".join(
            f"- [`oneshot {name}`](#oneshot-{name}): "
            + _text(function.__doc__).partition("\n\n")[0]
            for name, function in commands.items()
        ),
    ]
    for name, function in commands.items():
        each = list(parameters(function))
        arguments = [p for p in each if p.is_argument]
        words = [
            p.spelled if p.default is inspect.Parameter.empty else f"[{p.spelled}]"
            for p in arguments
        ]
        parts.append(f"## oneshot {name}")
        parts.append(f"```\n{' '.join(['oneshot', name, *words, '[OPTIONS]'])}\n```")
        parts.append(_text(function.__doc__))
        options = [p for p in each if not p.is_argument]
        for kind, rows in (("argument", arguments), ("option", options)):
            if rows:
                table = [f"| {kind} | default | |", "|---|---|---|", *(p.row for p in rows)]
                parts.append("\n".join(table))
    return "\n\n".join(parts) + "\n"


def _text(help_text: str | None) -> str:
    """Help as running text: paragraphs without line breaks."""
    paragraphs = inspect.cleandoc(help_text or "").split("\n\n")
    return "\n\n".join(re.sub(r"\s+", " ", p).replace("|", "\\|") for p in paragraphs)


if __name__ == "__main__":
    (HERE / "commands.md").write_text(reference())
