"""Files are written whole or not at all, though processes are killed and disks fill up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneshot_cli.errors import OneshotError
from oneshot_cli.files import _remove_abandoned, atomic_write, atomic_write_bytes
from oneshot_cli.training.folder import RunFolder

RUN = "import sys; from pathlib import Path; from oneshot_cli.files import *; "
"""Begins what another process does."""

LIMITED = """
import resource
from oneshot_cli.cli.app import app
resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes}, {bytes}))
app({words})
"""
"""A command whose files can have so many bytes, which is what a full disk looks like to it."""


@pytest.fixture(autouse=True)
def new_process() -> None:
    """Abandoned files are looked for once a process."""
    _remove_abandoned.cache_clear()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@given(content=st.binary(max_size=2_000), earlier=st.none() | st.binary(max_size=100))
@settings(max_examples=25, deadline=None, database=None, derandomize=True)
def test_what_is_written_is_read_and_nothing_else_stays(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, earlier: bytes | None
) -> None:
    folder = tmp_path_factory.mktemp("written")
    if earlier is not None:
        (folder / "a.bin").write_bytes(earlier)
    atomic_write_bytes(folder / "a.bin", content)
    assert (folder / "a.bin").read_bytes() == content
    assert names(folder) == ["a.bin"]


@pytest.mark.skipif(sys.platform == "win32", reason="there permissions are others")
def test_files_have_the_permissions_of_the_umask_or_keep_theirs(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    before = os.umask(0o027)
    try:
        atomic_write_bytes(path, b"new")
        assert path.stat().st_mode & 0o777 == 0o640
        for mode in (0o600, 0o444):
            path.chmod(mode)
            atomic_write_bytes(path, b"replaced")
            assert path.stat().st_mode & 0o777 == mode
    finally:
        assert os.umask(before) == 0o027


def killed_while_writing(path: Path) -> None:
    """Another process that is killed in the middle of writing `path`."""
    code = RUN + (
        "import os, signal\n"
        "with atomic_write(sys.argv[1]) as temporary:\n"
        "    temporary.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL


def test_what_a_killed_process_left_is_removed_by_the_next_that_writes_there(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.png").write_bytes(b"old")
    (tmp_path / ".partial-notes.txt").write_text("of the user")
    killed_while_writing(tmp_path / "a.png")
    assert len(names(tmp_path)) == 3
    atomic_write_bytes(tmp_path / "b.png", b"new")
    assert names(tmp_path) == [".partial-notes.txt", "a.png", "b.png"]
    assert (tmp_path / "a.png").read_bytes() == b"old"


def test_what_another_process_is_writing_is_left_to_it(tmp_path: Path) -> None:
    code = RUN + (
        "\n"
        "with atomic_write(sys.argv[1]) as temporary:\n"
        "    temporary.write_bytes(b'from there')\n"
        "    print('writing', flush=True)\n"
        "    sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "theirs")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdin is not None
    assert other.stdout is not None
    assert other.stdout.readline() == b"writing\n"
    atomic_write_bytes(tmp_path / "mine", b"from here")
    other.communicate()
    assert other.returncode == 0
    assert names(tmp_path) == ["mine", "theirs"]
    assert (tmp_path / "theirs").read_bytes() == b"from there"


def test_a_link_stays_and_its_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    for name in ("link", "broken"):
        atomic_write_bytes(tmp_path / name, b"new")
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / name).read_bytes() == b"new"
    assert names(tmp_path) == ["broken", "link", "nowhere", "there"]


def test_devices_pipes_and_folders_are_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    for path in (tmp_path / "pipe", tmp_path / "null", Path("/dev/null"), tmp_path):
        with pytest.raises(OneshotError, match="no file that can be replaced"):
            atomic_write_bytes(path, b"x")
    assert Path("/dev/null").is_char_device()
    assert (tmp_path / "pipe").is_fifo()


def test_a_failure_to_write_names_the_file_and_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OneshotError, match=r"file/a\.png cannot be written: File exists"):
        atomic_write_bytes(tmp_path / "file" / "a.png", b"x")
    with pytest.raises(OneshotError, match=r"x+ cannot be written: File name too long"):
        atomic_write_bytes(tmp_path / ("x" * 300), b"x")
    (tmp_path / "a").write_bytes(b"old")
    for number, reason in ((28, "the disk is full"), (122, "the disk quota is used up")):
        with pytest.raises(OneshotError, match=rf"/a cannot be written: {reason}\nmake room"):  # noqa: SIM117
            with atomic_write(tmp_path / "a"):
                raise OSError(number, os.strerror(number))
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a", "file"]


def limited(bytes_: int, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LIMITED.format(bytes=bytes_, words=[*words])],
        capture_output=True,
        text=True,
        check=False,
    )


def test_training_on_a_full_disk_says_which_file_and_why(tmp_path: Path) -> None:
    small = ["--model", "nade", "--set", "hidden=4", "--batch", "2", "--fp32", "--threads", "1"]
    ended = limited(100, "train", "--dataset", "glyphs", "-o", str(tmp_path), "-q", *small)
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr.startswith(f"error: {tmp_path}/state/state.safetensors cannot be written: ")
    assert "the file is larger than" in ended.stderr
    assert len(ended.stderr.splitlines()) == 2
    assert not list(tmp_path.rglob(".partial-*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_metrics_on_a_full_disk_say_so(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(OneshotError, match=r"metrics.jsonl cannot be written: the disk is full"):
        RunFolder(tmp_path).log({"step": 1})


def test_drawing_on_a_full_disk_says_which_file_and_why(tmp_path: Path) -> None:
    ended = limited(100, "sample", "-n", "1", "-o", str(tmp_path), "-q")
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: {tmp_path}/sample-01.png cannot be written: the file")
    assert names(tmp_path) == []
