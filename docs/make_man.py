"""Generates docs/oneshot.1, the manual page, from the program: `make man`.

A test checks that it is current. The wheel installs it where `man oneshot` finds it.

Typer may carry a Click of its own, so tools that read Click's commands (click-man) find no options.
Docutils writes the page.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path

from docutils import nodes
from docutils.core import publish_from_doctree
from docutils.utils import new_document
from make_commands import Parameter, commands, parameters, usage

from oneshot_cli import __version__
from oneshot_cli.cli.app import app
from oneshot_cli.cli.examples import EXAMPLES

HERE = Path(__file__).parent
EXIT_CODES = {
    "0": "It worked.",
    "1": "It failed, for the reason that is printed on stderr.",
    "2": "The command line is wrong.",
    "130": "It was stopped by Ctrl-C.",
}
ENVIRONMENT = {
    "ONESHOT_DATA": "The folder of the data sets, as --data-dir.",
    "ONESHOT_CACHE": "The folder of downloaded and decoded data sets.",
    "NO_COLOR": "Print tables without colour.",
}


def page() -> str:
    """The manual page, in roff."""
    document = new_document("oneshot.1")
    document += nodes.title("", "oneshot")
    document += nodes.subtitle("", str(app.info.help).partition(":")[2].strip())
    document += nodes.docinfo("", _field("manual section", "1"), nodes.version("", __version__))
    document += _section("Synopsis", nodes.paragraph("", "oneshot COMMAND [ARGUMENTS] [OPTIONS]"))
    about = [
        str(app.info.help),
        "oneshot help COMMAND shows what follows for one command. With --json a command prints one "
        "JSON document on stdout, of its result or its error.",
    ]
    document += _section("Description", *_paragraphs(about))
    for name in commands():
        document += _command(name)
    document += _section("Exit status", _definitions(EXIT_CODES.items()))
    document += _section("Environment", _definitions(ENVIRONMENT.items()))
    made = publish_from_doctree(document, writer="manpage", settings_overrides={"datestamp": None})
    return made.decode()


def _command(name: str) -> nodes.section:
    function = commands()[name]
    each = list(parameters(function))
    about = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    parts: list[nodes.Node] = [
        nodes.paragraph("", _plain(usage(name, each))),
        *_paragraphs(" ".join(paragraph.split()) for paragraph in about),
        _definitions((_plain(one.spelled), _explained(one)) for one in each),
    ]
    if examples := EXAMPLES.get(name):
        parts.append(nodes.paragraph("", "Examples:"))
        parts.append(_definitions((example.command, example.about) for example in examples))
    return _section(f"oneshot {name}", *parts)


def _explained(parameter: Parameter) -> str:
    usual = _plain(parameter.usual)
    default = f" Default: {usual}." if usual and usual != "required" else ""
    return f"{parameter.info.help or ''}{default}".strip()


def _plain(markdown: str) -> str:
    """The words of the reference without its marks."""
    return markdown.replace("`", "").replace("\\|", "|")


def _paragraphs(texts: Iterable[str]) -> list[nodes.Node]:
    return [nodes.paragraph("", text) for text in texts]


def _section(title: str, *parts: nodes.Node) -> nodes.section:
    section = nodes.section(ids=[nodes.make_id(title)])
    section += nodes.title("", title)
    section.extend(parts)
    return section


def _definitions(pairs: Iterable[tuple[str, str]]) -> nodes.definition_list:
    items = [
        nodes.definition_list_item(
            "", nodes.term("", term), nodes.definition("", nodes.paragraph("", text))
        )
        for term, text in pairs
    ]
    return nodes.definition_list("", *items)


def _field(name: str, value: str) -> nodes.field:
    body = nodes.field_body("", nodes.paragraph("", value))
    return nodes.field("", nodes.field_name("", name), body)


if __name__ == "__main__":
    (HERE / "oneshot.1").write_text(page())
