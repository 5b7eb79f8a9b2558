"""Help, examples, completion, errors in JSON, and the manual page."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from commands import oneshot
from typer.testing import CliRunner

from oneshot_cli.cli.app import app, help_text
from oneshot_cli.cli.command import KINDS, Command, Program
from oneshot_cli.cli.examples import EXAMPLES
from oneshot_cli.cli.options import JsonOption, VerboseOption
from oneshot_cli.cli.screen import counted
from oneshot_cli.data.catalogue import DATASETS
from oneshot_cli.errors import OneshotError, UsageError
from oneshot_cli.paths import flagship
from oneshot_cli.presets import PRESETS

DOCS = Path(__file__).parents[2] / "docs"
COMMANDS = [str(each.name) for each in app.registered_commands]
runner = CliRunner()


def shown(*words: str, width: int = 80) -> str:
    result = runner.invoke(app, list(words), env={"COLUMNS": str(width)})
    assert result.exit_code == 0, result.stderr
    return result.stdout


def paragraphs(name: str) -> list[str]:
    """The paragraphs of a command's docstring, each in one line."""
    (function,) = (each.callback for each in app.registered_commands if each.name == name)
    assert function is not None
    return help_text(name, function).partition("\n\nExamples:")[0].split("\n\n")


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_fills_the_lines_and_breaks_them_once(name: str, width: int) -> None:
    lines = [line.rstrip() for line in shown(name, "--help", width=width).splitlines()]
    assert max(map(len, lines)) <= width
    text = "\n".join(lines).partition("\n\n Examples:")[0].split("\n\n", 1)[1]
    for wanted, found in zip(paragraphs(name), text.split("\n\n"), strict=True):
        broken = [line.strip() for line in found.strip("\n").splitlines()]
        assert " ".join(broken) == wanted
        for line, after in pairwise(broken):
            assert len(line) + 1 + len(after.split()[0]) > width - 2, f"broken early: {line}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_examples_each_in_a_line(name: str) -> None:
    lines = [line.strip() for line in shown(name, "--help").splitlines()]
    for example in EXAMPLES[name]:
        assert any(
            line.startswith(example.command) and line.endswith(example.about) for line in lines
        ), example


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_can_be_typed(name: str) -> None:
    group: Any = typer.main.get_command(app)
    for example in EXAMPLES[name]:
        program, command, *words = shlex.split(example.command)
        assert (program, command) == ("oneshot", name)
        values = group.commands[name].make_context(name, words).params
        assert values.get("model") in (None, *PRESETS)
        assert values.get("dataset") in (None, *DATASETS)


def test_help_is_a_command() -> None:
    assert shown("help") == shown("--help")
    assert shown("help", "vary") == shown("vary", "--help")


def test_an_unknown_command_suggests_the_nearest() -> None:
    for words in (["vray"], ["help", "vray"]):
        assert "Did you mean 'vary'?" in oneshot(*words, code=2).stderr


def test_types_of_options_are_said_in_a_word() -> None:
    text = shown("vary", "--help", width=120)
    for words in ("--size N [28<=x<=512]", "--spread X [0.0<=x<=2.0]", "--json Print"):
        assert words in " ".join(text.split()), words
    assert not re.search(
        r"<(bool|int|float|str|path)", shown("--help") + text + shown("train", "-h")
    )


def error_of(result: Any) -> dict[str, Any]:
    (found,) = json.loads(result.stdout).values()
    assert found["exit_code"] == result.exit_code
    return dict(found)


@pytest.mark.parametrize(
    "words",
    [
        ["vray", "--json"],
        ["vary", "--json"],
        ["sample", "--size", "12", "--json"],
        ["sample", "--json", "--no-such-option"],
        ["sample", "--json", "--spread", "nan"],
        ["eval-nll", "--particles", "0", "--json"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_json_with_json(words: list[str]) -> None:
    result = oneshot(*words, code=2)
    error = error_of(result)
    assert error["kind"] == "usage"
    assert error["message"].partition("\n")[0] in " ".join(
        line.strip("│ ") for line in result.stderr.splitlines()
    )
    plain = oneshot(*(word for word in words if word != "--json"), code=2)
    assert (plain.stdout, plain.stderr) == ("", result.stderr)


def test_a_failure_is_json_with_json(tmp_path: Path) -> None:
    missing, empty = str(tmp_path / "a.safetensors"), str(tmp_path)
    for words in (["info", missing], ["train", "--resume", "-o", empty]):
        plain, result = oneshot(*words, code=1), oneshot(*words, "--json", code=1)
        error = error_of(result)
        assert error["kind"] == "failure"
        assert result.stderr == plain.stderr == f"error: {error['message']}\n"
        assert plain.stdout == ""


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (OneshotError("no"), "failure"),
        (UsageError("no"), "usage"),
        (ZeroDivisionError("no"), "bug"),
        (KeyboardInterrupt(), "stopped"),
    ],
)
def test_every_kind_of_error_has_its_exit_code(raised: BaseException, kind: str) -> None:
    program = typer.Typer(cls=Program, pretty_exceptions_enable=False)

    def fail(json: JsonOption = False, verbose: VerboseOption = False) -> None:
        raise raised

    program.command("fail", cls=Command)(fail)
    program.command("other", cls=Command)(fail)
    result = runner.invoke(program, ["fail", "--json"])
    assert result.exit_code == KINDS[kind]
    assert error_of(result)["kind"] == kind
    assert runner.invoke(program, ["fail"]).stdout == ""
    if kind in ("failure", "bug"):
        loud = runner.invoke(program, ["fail", "--json", "--verbose"])
        assert loud.exception is raised
        assert json.loads(loud.stdout)["error"]["kind"] == kind


def completed(folder: Path, *words: str) -> list[str]:
    """What bash is offered for the last of `words`, by the program itself."""
    line = ["oneshot", *words]
    environment = {
        **os.environ,
        "PYTHONPATH": str(DOCS.parent),
        "_ONESHOT_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(line),
        "COMP_CWORD": str(len(line) - 1),
    }
    code = "from oneshot_cli.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_the_shell_completes_names(tmp_path: Path) -> None:
    for path in ("mine.safetensors", "runs/a/best.safetensors", "other/b.safetensors", "no.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert completed(tmp_path, "train", "--model", "v") == ["vae", "vae-nf"]
    assert completed(tmp_path, "train", "--dataset", "omn") == ["omniglot", "omniglot-burda"]
    assert completed(tmp_path, "data", "gl") == ["glyphs"]
    assert completed(tmp_path, "help", "sa") == ["sample"]
    every = ["mine.safetensors", "other/b.safetensors", "runs/a/best.safetensors"]
    for words in (["vary", "a.png", "--checkpoint"], ["sample", "-c"], ["info"], ["export"]):
        found = completed(tmp_path, *words, "")
        assert set(every) <= set(found)
        assert str(flagship()) in found
        assert "no.txt" not in found
    assert completed(tmp_path, "sample", "-c", "runs/") == ["runs/a/best.safetensors"]
    assert completed(tmp_path, "sample", "-c", "./o") == ["./other/b.safetensors"]
    assert completed(tmp_path, "sample", "-c", "nowhere/") == []


def test_the_manual_page_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("docutils")
    monkeypatch.syspath_prepend(str(DOCS))
    made = runpy.run_path(str(DOCS / "make_man.py"))["page"]()
    written = (DOCS / "oneshot.1").read_text()
    assert made.partition(".TH")[2] == written.partition(".TH")[2], "run `make man`"
    for name in COMMANDS:
        assert re.search(rf"^\.SH oneshot {name}$", written, re.MULTILINE), name


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_the_manual_page_is_well_formed() -> None:
    words = ["groff", "-man", "-Tutf8", "-ww", str(DOCS / "oneshot.1")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Draw  variations" in done.stdout or "Draw variations" in done.stdout


def test_one_is_counted_in_the_singular() -> None:
    assert counted(1, "exemplar") == "1 exemplar"
    assert counted(0, "exemplar") == "0 exemplars"
    assert counted(1234, "exemplar") == "1,234 exemplars"
