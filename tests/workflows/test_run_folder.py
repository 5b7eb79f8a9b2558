"""A run's folder: no start is lost or locked out, and only one process trains in it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import small, write_crosses
from typer.testing import CliRunner

from oneshot_cli.cli.app import app
from oneshot_cli.training.folder import RunFolder
from oneshot_cli.training.loop import Trainer


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """A tiny run in `tmp_path`/run."""
    write_crosses(tmp_path / "data")
    fields = [word for item in small("vae").items() for word in ("--set", "=".join(item))]
    return [
        *("train", "--dataset", "folder", "--model", "vae", "--size", "14", "--batch", "2"),
        *("--data-dir", str(tmp_path / "data"), "-o", str(tmp_path / "run"), "--fp32", "--quiet"),
        *("--threads", "1"),
        *fields,
    ]


def resumed(tmp_path: Path, *more: str) -> list[str]:
    there = ["--data-dir", str(tmp_path / "data"), "-o", str(tmp_path / "run"), "--quiet"]
    there += ["--threads", "1"]
    return ["train", "--resume", *there, *more]


def oneshot(words: list[str], code: int = 0) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == code, result.stderr or result.exception
    return result.stderr


def test_a_run_killed_before_its_first_save_is_resumed(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [*words, "--iterations", "3"]
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit", lambda *_: 1 / 0)
        oneshot(whole, code=1)
    assert "already has a run" in oneshot(whole, code=1)
    oneshot(resumed(tmp_path))
    other = [str(tmp_path / "other") if word == str(tmp_path / "run") else word for word in whole]
    oneshot(other)
    mine, theirs = (load_file(tmp_path / n / "last.safetensors") for n in ("run", "other"))
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("left", ["config.json", "state/state.safetensors", "metrics.jsonl"])
def test_what_is_no_run_yet_does_not_lock_the_folder(
    words: list[str], tmp_path: Path, left: str
) -> None:
    """A start that was killed between its first files, by this version or an older one."""
    path = tmp_path / "run" / left
    path.parent.mkdir(parents=True)
    path.write_text('{"step": 1}\n')
    oneshot([*words, "--iterations", "2", "--log-every", "1"])
    rows = RunFolder(tmp_path / "run").rows()
    assert [row["step"] for row in rows if "bound" in row] == [1, 2]


def test_two_runs_do_not_share_a_folder(words: list[str], tmp_path: Path) -> None:
    oneshot([*words, "--iterations", "1"])
    folder = RunFolder(tmp_path / "run")
    before = folder.metrics.read_bytes()
    lock = folder.lock()
    folder.acquire(lock)
    try:
        assert "another process is training" in oneshot(resumed(tmp_path), code=1)
    finally:
        lock.release()
    assert folder.metrics.read_bytes() == before
    oneshot(resumed(tmp_path, "--iterations", "2"))


def test_a_resumed_run_keeps_the_size_of_its_evaluations(words: list[str], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    oneshot([*words, "--iterations", "1", "--eval-drawings", "2"])
    oneshot(resumed(tmp_path, "--iterations", "2"))
    assert folder.experiment().training.evaluation_drawings == 2
    oneshot(resumed(tmp_path, "--iterations", "3", "--eval-drawings", "1"))
    assert folder.experiment().training.evaluation_drawings == 1


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_a_closed_terminal_stops_a_run_that_saves_itself(words: list[str], tmp_path: Path) -> None:
    endless = [*words, "--iterations", "1000000", "--save-every", "1000000", "--log-every", "1"]
    folder = RunFolder(tmp_path / "run")
    command = [sys.executable, "-m", "oneshot_cli", *endless]
    # tests that run under nohup hand down an ignored SIGHUP
    with subprocess.Popen(
        command, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)
    ) as process:
        try:
            deadline = time.monotonic() + 120
            while not folder.rows():
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.05)
            process.send_signal(signal.SIGHUP)
            assert process.wait(120) == 0
        finally:
            process.kill()
    assert folder.last.exists()
