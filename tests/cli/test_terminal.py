"""What is printed: names and texts of strangers neither control the terminal nor end a command."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.table import Table
from tiny import tiny_model
from typer.testing import CliRunner

import oneshot_cli
from oneshot_cli import checkpoint
from oneshot_cli.cli.app import app
from oneshot_cli.cli.command import _explain
from oneshot_cli.cli.screen import Screen
from oneshot_cli.cli.terminal import clean, console, say

HOSTILE = "a\x1b[31m[/b][red]:smile:\x07\x9b2J\u202eb"
SHOWN = "a_[31m[/b][red]:smile:__2J_b"
FUZZ = settings(max_examples=60, deadline=None, database=None, derandomize=True)


def test_one_module_prints() -> None:
    """The help and the version have no foreign text; render_svg.py writes to a pipe."""
    package = Path(oneshot_cli.__file__).parent
    printing = re.compile(r"\btyper\.echo\(|(?<![\w.])print\(|\bConsole\(|\.from_markup\(")
    found = {p.name for p in package.rglob("*.py") if printing.search(p.read_text())}
    assert found == {"terminal.py", "help.py", "app.py", "render_svg.py"}


@given(text=st.text() | st.text("[]/bred\\:\x1b\r\t\x9b\u202e\ud800"))
@FUZZ
def test_any_text_is_printed_as_it_is_but_for_controls(text: str) -> None:
    shown = clean(text)
    assert len(shown) == len(text)
    assert all(c == "\n" or c.isprintable() for c in shown)
    assert all(old == new or not old.isprintable() for old, new in zip(text, shown, strict=True))
    assert clean(shown) == shown


@given(text=st.text(min_size=1) | st.text("[]/bred\\:\x1b\r\t\x9b\u202e\ud800", min_size=1))
@FUZZ
def test_tables_show_any_text_without_markup(text: str) -> None:
    plain = console()
    plain.file, plain.width = io.StringIO(), 500
    table = Table(title=text, show_header=False, box=None)
    table.add_row(text)
    plain.print(table)
    plain.print(text)
    printed = plain.file.getvalue()
    assert all(c == "\n" or c.isprintable() for c in printed)
    for line in clean(text).split("\n"):
        assert printed.count(line.strip()) >= 3


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """A checkpoint whose name and header are hostile."""
    model = tiny_model()
    header = checkpoint.Header(
        config=model.config,
        data={"dataset": HOSTILE, HOSTILE: HOSTILE},
        figures={"validation_bound": -80.5, HOSTILE: 1},
        version=HOSTILE,
    )
    path = tmp_path / f"{HOSTILE}.safetensors"
    checkpoint.save(path, model, header)
    return path


def test_info_shows_a_hostile_header(strange: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["info", str(strange)], env={"COLUMNS": "300"})
    assert result.exit_code == 0, result.exception
    assert not re.search(r"[\x1b\x07\x9b\u202e]", result.output)
    assert result.output.count(SHOWN) >= 5


@pytest.mark.parametrize(
    "words",
    [
        ["info", f"{HOSTILE}.safetensors"],
        ["vary", f"{HOSTILE}.png"],
        ["vary", f"-{HOSTILE}"],
        ["vary", f"--{HOSTILE}"],
        [HOSTILE],
        ["train", "--set", HOSTILE],
        ["train", "--config", HOSTILE],
    ],
)
def test_errors_show_hostile_names(words: list[str]) -> None:
    result = CliRunner().invoke(app, words)
    assert result.exit_code in (1, 2)
    assert not re.search(r"[\x1b\x07\x9b\u202e]", result.output)
    assert "bug" not in result.output


def test_notes_results_and_details_are_cleaned(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(verbose=True)
    for tell in (screen.result, screen.note, screen.error, screen.detail):
        tell(f"{HOSTILE}\n{HOSTILE}")
    out, err = capsys.readouterr()
    assert out == f"{SHOWN}\n{SHOWN}\n"
    assert err.count(SHOWN) == 6


def test_what_the_encoding_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    ascii_ = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", ascii_)
    say("é.png")
    ascii_.flush()
    assert ascii_.buffer.getvalue() == b"\\xe9.png\n"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("[enforce fail at alloc] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("Storage size calculation overflowed with sizes=[1, 2]"),
        RuntimeError("CUDA out of memory. Tried to allocate 20 GiB"),
    ],
)
def test_little_memory_is_no_bug(error: Exception) -> None:
    kind, message = _explain(error)
    assert kind == "failure"
    assert message.startswith("out of memory")
    assert "--batch" in message


def test_a_command_with_too_little_memory_says_so(tmp_path: Path) -> None:
    code = """
import resource, sys, torch, scipy.ndimage
import oneshot_cli.workflows.sample
from oneshot_cli.cli.app import app
from oneshot_cli.model.sequential import SequentialGenerator
at = SequentialGenerator.sample
def sample(*args, **options):
    torch.empty(2**50)
    return at(*args, **options)
SequentialGenerator.sample = sample
app(["sample", "-n", "1", "-o", sys.argv[1]])
"""
    limit: dict[str, Any] = {"capture_output": True, "text": True, "check": False}
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], **limit)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: out of memory")
    assert "bug" not in ended.stderr
