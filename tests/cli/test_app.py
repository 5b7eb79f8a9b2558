"""The program as a whole: help, errors, exit codes, and what it does not import."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from oneshot_cli import __version__
from oneshot_cli.cli.app import app
from oneshot_cli.cli.command import Command
from oneshot_cli.cli.options import VerboseOption, pen_width
from oneshot_cli.cli.screen import Screen
from oneshot_cli.errors import OneshotError
from oneshot_cli.files import refuse_to_overwrite

COMMANDS = (
    *("vary", "alphabet", "sample", "animate", "pad", "train", "eval-nll", "score", "export"),
    *("info", "data"),
)
runner = CliRunner()


def failing(error: BaseException) -> typer.Typer:
    """A program whose one command raises `error`."""
    program = typer.Typer(pretty_exceptions_enable=False)

    def fail(verbose: VerboseOption = False) -> None:
        raise error

    program.command("fail", cls=Command)(fail)
    return program


def test_help_names_every_command() -> None:
    result = runner.invoke(app, ["--help"], env={"COLUMNS": "100"})
    assert result.exit_code == 0
    for command in COMMANDS:
        assert re.search(rf"^\W*{command}\s", result.stdout, re.MULTILINE), command
        assert runner.invoke(app, [command, "--help"]).exit_code == 0


def test_version() -> None:
    assert runner.invoke(app, ["--version"]).stdout == f"oneshot {__version__}\n"


def test_the_module_runs_as_the_program_does() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "oneshot_cli", "--version"], capture_output=True, text=True
    )
    assert done.stdout == f"oneshot {__version__}\n"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, oneshot_cli, oneshot_cli.cli.app\n"
        "heavy = {'torch', 'numpy', 'scipy', 'skimage', 'PIL', 'matplotlib', 'jinja2',"
        " 'safetensors', 'starlette', 'uvicorn'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_wrong_use_exits_with_2() -> None:
    for wrong in (["vary"], ["sample", "--size", "12"], ["nonsense"], ["info", "--nonsense"]):
        result = runner.invoke(app, wrong)
        assert result.exit_code == 2, wrong
        assert result.stdout == ""
        assert "Traceback" not in result.stderr


def test_an_expected_failure_is_said_in_a_line_and_exits_with_1() -> None:
    result = runner.invoke(failing(OneshotError("a.png: no such file")), [])
    assert result.exit_code == 1
    assert result.stderr == "error: a.png: no such file\n"
    assert result.stdout == ""


def test_verbose_shows_where_it_happened() -> None:
    result = runner.invoke(failing(OneshotError("no")), ["--verbose"])
    assert isinstance(result.exception, OneshotError)


def test_system_errors_and_bugs_are_said_without_a_traceback() -> None:
    result = runner.invoke(failing(PermissionError(13, "Permission denied", "out/a.png")), [])
    assert (result.exit_code, result.stderr) == (1, "error: out/a.png: Permission denied\n")
    result = runner.invoke(failing(MemoryError()), [])
    assert result.exit_code == 1
    assert "out of memory" in result.stderr
    result = runner.invoke(failing(ZeroDivisionError("by zero")), [])
    assert result.exit_code == 1
    assert "ZeroDivisionError: by zero" in result.stderr
    assert "Traceback" not in result.stderr


def test_interruption_exits_with_130() -> None:
    result = runner.invoke(failing(KeyboardInterrupt()), [])
    assert result.exit_code == 130
    assert "Traceback" not in result.stderr


def test_exit_codes_of_commands_are_kept() -> None:
    assert runner.invoke(failing(typer.Exit(3)), []).exit_code == 3


def test_screen_keeps_results_notes_and_documents_apart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for screen, out, err in (
        (Screen(), "result\n", "note\n"),
        (Screen(quiet=True), "result\n", ""),
        (Screen(json_only=True), '{\n  "path": "a/b"\n}\n', "note\n"),
        (Screen(verbose=True), "result\n", "note\ndetail\n"),
    ):
        screen.result("result")
        screen.note("note")
        screen.detail("detail")
        screen.document({"path": Path("a/b")})
        with screen.progress("working", 3) as advance:
            advance(1)
        assert capsys.readouterr() == (out, err), screen


def test_files_are_not_overwritten_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "there.png").touch()
    refuse_to_overwrite([tmp_path / "new.png"], force=False)
    refuse_to_overwrite([tmp_path / "there.png"], force=True)
    with pytest.raises(OneshotError, match=r"there\.png exists already"):
        refuse_to_overwrite([tmp_path / "new.png", tmp_path / "there.png"], force=False)


def test_the_command_reference_is_up_to_date() -> None:
    docs = Path(__file__).parents[2] / "docs"
    made = runpy.run_path(str(docs / "make_commands.py"))
    assert made["reference"]() == (docs / "commands.md").read_text(), "run `make docs`"


def test_the_pen_is_off_in_any_case() -> None:
    assert pen_width("off") == pen_width("OFF") == 0
    assert pen_width(None) is None
    assert pen_width("0.05") == 0.05
    for wrong in ("", "on", "nan", "0", "1"):
        with pytest.raises(typer.BadParameter, match="or off"):
            pen_width(wrong)
