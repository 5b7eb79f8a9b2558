"""Commands and snippets of README.md and docs/*.md work as they are written.

```sh and ```python blocks of a page run one after the other in one folder, with one Python
namespace. Commands that take long are made short by options that are appended (`SHORT`). A block
below a comment `<!-- parse only: REASON -->` is only parsed: commands, options, values and imported
names have to exist. `make`, `python` and `torchrun` lines are always only parsed.
"""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from tiny import write_crosses
from typer.testing import CliRunner

from oneshot_cli.cli.app import app
from oneshot_cli.data.catalogue import DATASETS
from oneshot_cli.model import registry
from oneshot_cli.presets import PRESETS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MARKDOWN = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("checkpoints/*.md")]
EXEMPLARS = ROOT / "docs" / "exemplars"
BLOCK = re.compile(
    r"^(?:<!-- parse only: (?P<reason>[^\n]+) -->\n\n?)?```(?P<kind>sh|python)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
SHORT = {
    "vary": ["-n", "2"],
    "alphabet": ["-n", "2"],
    "sample": ["-n", "2"],
    "animate": ["-n", "1"],
    "train": shlex.split(
        "--dataset folder --data-dir crosses --iterations 2 --batch 2 --eval-drawings 4 --fp32"
    ),
    "eval-nll": ["--data-dir", "crosses", "--limit", "4", "--batch", "4", "--particles", "1"],
}
"""Options that make a command short: the last value of an option is the one that counts."""

USAGE_ERROR = typer.BadParameter.__mro__[1]
"""What Click raises for words that do not parse; Typer may carry a Click of its own."""


@dataclass(frozen=True)
class Block:
    """A fenced block: where it is, its language, its text, and why it is only parsed, if it is."""

    place: str
    kind: str
    text: str
    reason: str | None

    @property
    def commands(self) -> list[list[str]]:
        """The lines of a shell block as words, without comments and redirections."""
        lines = self.text.replace("\\\n", " ").splitlines()
        words = [shlex.split(line, comments=True) for line in lines]
        return [each[: each.index(">")] if ">" in each else each for each in words if each]


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(
            f"{page.name}:{text.count(chr(10), 0, found.start()) + 1}",
            found["kind"],
            found["text"],
            found["reason"],
        )
        for found in BLOCK.finditer(text)
    ]


def parse(words: list[str]) -> None:
    """Check that a command line could be run: its program, command, options and their values."""
    program, *rest = words
    if program == "oneshot":
        parse_oneshot(rest)
    elif program == "torchrun":
        from torch.distributed.run import get_args_parser

        launched = get_args_parser().parse_args(rest)
        assert launched.module, "python -m"
        parse(["python", "-m", launched.training_script, *launched.training_script_args])
    elif program == "python" and rest[0] == "-m":
        if rest[1] == "oneshot_cli":
            parse_oneshot(rest[2:])
        else:
            assert rest[1] in ("build", "venv") or find_spec(rest[1]) is not None, rest[1]
    elif program == "python":
        assert (ROOT / rest[0]).is_file(), rest[0]
    elif program == "make":
        targets = [word for word in rest if "=" not in word]
        for target in targets:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
    else:
        assert program in ("pip", "pre-commit", "export"), f"what is {program}?"


def parse_oneshot(words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    found = command.commands[words[0]]
    values = found.make_context(words[0], list(words[1:])).params
    assert values.get("model") in (None, *PRESETS)
    assert values.get("dataset") in (None, *DATASETS)


def run(words: list[str]) -> None:
    """Run an `oneshot` command, short; parse any other."""
    if words[0] != "oneshot":
        parse(words)
        return
    parse(words)
    _, name, *rest = words
    more = [] if "--resume" in rest else SHORT.get(name, [])
    result = CliRunner().invoke(app, [name, *rest, *more])
    assert result.exit_code == 0, f"{' '.join(words)}\n{result.output}"


def check_names(text: str) -> None:
    """Check that a snippet is Python, and that what it imports exists."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")


def check(block: Block, names: dict[str, Any]) -> None:
    """Run or parse a block. A failure names the page and the line."""
    try:
        if block.kind == "sh":
            for words in block.commands:
                (run if block.reason is None else parse)(words)
        elif block.reason is None:
            exec(compile(block.text, block.place, "exec"), names)  # noqa: S102 (the documentation of this repository)
        else:
            check_names(block.text)
    except Exception as error:
        raise AssertionError(f"{block.place}: {error!r}") from error


def prepare(folder: Path) -> None:
    """The files that the documentation assumes: a drawing, some letters, data to train on."""
    shutil.copy(EXEMPLARS / "pen-photo.jpg", folder / "glyph.jpg")
    for name in ("letters", "exemplars"):
        (folder / name).mkdir()
    letters = sorted(EXEMPLARS.glob("omniglot-*.png"))
    for picture, letter in zip(letters, "abc", strict=True):
        shutil.copy(picture, folder / "letters")
        shutil.copy(picture, folder / f"{letter}.png")
    shutil.copy(letters[0], folder / "exemplars")
    write_crosses(folder / "crosses")


@contextmanager
def registries_restored() -> Iterator[None]:
    """Remove what snippets register in the block, so that other tests do not see it."""
    every = [each for each in vars(registry).values() if isinstance(each, registry.Registry)]
    before = [set(each) for each in every]
    try:
        yield
    finally:
        for each, names in zip(every, before, strict=True):
            for name in set(each) - names:
                del each[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_snippets_work(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    random = torch.get_rng_state()
    with registries_restored():
        for block in blocks(page):
            check(block, names)
    torch.set_rng_state(random)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_command_escapes_the_tests(page: Path) -> None:
    """Code stands in fences that name the language, or in fences of neither language."""
    outside = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    program = r"^    (?:oneshot|torchrun|make|python|from|import) .*"
    assert not re.findall(program, outside, re.MULTILINE)


def test_links_lead_somewhere() -> None:
    """Of all Markdown files, to files and to headings."""
    for page in MARKDOWN:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if link.startswith(("http:", "https:")):
                continue
            name, _, heading = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), f"{page.name}: {link}"
            assert not heading or heading in headings(target), f"{page.name}: {link}"


def test_files_that_pages_name_are_there() -> None:
    folders = "tests|docs|oneshot_cli|checkpoints|benchmarks"
    for page in MARKDOWN:
        for name in re.findall(rf"`((?:{folders})/[\w./-]+\.(?:py|md))`", page.read_text()):
            assert (ROOT / name).exists(), f"{page.name}: {name}"


def headings(page: Path) -> list[str]:
    """The headings of a page as links name them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


def broken_tables(text: str) -> list[str]:
    """First lines of blocks of rows that are no table, for they lack the line below the head."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"(?:^\|.*\n?)+", prose, flags=re.MULTILINE)
    return [
        block.splitlines()[0]
        for block in found
        if not re.match(r".*\n\|[\s:|-]+\|\s*$", block, flags=re.MULTILINE)
    ]


def test_no_table_is_cut_in_two() -> None:
    assert broken_tables("| a |\n|---|\n| 1 |\n\n| 2 |\n| 3 |\n") == ["| 2 |"]
    found = {path.name: broken_tables(path.read_text()) for path in MARKDOWN}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_a_wrong_command_is_found() -> None:
    parse(["oneshot", "vary", "a.png", "-n", "3"])
    for wrong in (
        "oneshot vary a.png --no-such-option",
        "oneshot vary a.png -n 0",
        "oneshot train --model no-such-model",
        "make no-such-target",
        "python docs/no_such_file.py",
        "frobnicate",
    ):
        with pytest.raises((AssertionError, USAGE_ERROR)):
            parse(shlex.split(wrong))
    with pytest.raises(ImportError):
        check_names("from oneshot_cli import no_such_name")
