"""Commands in several processes, as torchrun starts them: the same files, and a clean end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image, ImageDraw
from processes import free_ports, weights
from typer.testing import CliRunner

from oneshot_cli import checkpoint
from oneshot_cli.cli.app import app
from oneshot_cli.training.folder import RunFolder


def draw(folder: Path, count: int, hands: int) -> None:
    """Pictures of `count` characters, each by so many hands."""
    for i in range(count):
        for hand in range(hands):
            picture = Image.new("L", (60, 60), 255)
            points = [(10 + 5 * hand, 10), (50, 10 * i), (20, 50)]
            ImageDraw.Draw(picture).line(points, fill=0, width=5)
            path = folder / f"glyph{i}" / f"{hand}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)


def test_vary_under_torchrun_writes_the_same_files(tmp_path: Path) -> None:
    exemplars = tmp_path / "exemplars"
    draw(exemplars, 5, 1)
    (exemplars / "broken.png").write_bytes(b"no picture")
    words = ["vary", exemplars, "-n", 160, "--size", 28, "--device", "cpu", "--json", "-c"]
    words += [weights(tmp_path / "weights.safetensors"), "-o"]
    alone = CliRunner().invoke(app, [str(word) for word in [*words, tmp_path / "alone"]])
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    torchrun += ["--nproc-per-node", "2", "-m", "oneshot_cli"]
    together = subprocess.run(
        [*torchrun, *map(str, words), str(tmp_path / "together")],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert alone.exit_code == 1  # one exemplar is broken
    assert together.returncode == 1
    assert "broken.png" in together.stderr
    documents = [json.loads(text) for text in (alone.stdout, together.stdout)]
    for document in documents:
        for clock in ("seconds", "peak_memory_mb"):
            del document[clock]
    assert len(documents[0]["grids"]) == 3
    same = json.loads(json.dumps(documents[1]).replace("/together/", "/alone/"))
    assert same == documents[0]
    mine, theirs = (
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*.png")}
        for name in ("alone", "together")
    )
    assert len(mine) == 5 * 160 + 3
    assert mine == theirs


ARGUMENTS = (
    "train --dataset folder --size 12 --steps 2 --hidden 16 --batch 4 --threads 1 --log-every 1 "
    "--eval-every 100000 --eval-drawings 4 --save-every 2 --sample-every 100000 --device cpu"
)


AS_ONESHOT = """
import atexit, pathlib, sys
@atexit.register  # so early that it is called last
def say_which_threads_are_left():
    for name in pathlib.Path("/proc/self/task").glob("*/comm"):
        print("left:", name.read_text().strip(), file=sys.stderr)
from oneshot_cli.cli.app import main
main()
"""


def launched(*arguments: str) -> list[subprocess.Popen[str]]:
    """Two processes of `oneshot`, in the environment that torchrun or srun gives them.

    At their end they say which threads there are, where the system tells.
    """
    port = str(free_ports(1)[0])
    together = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    return [
        subprocess.Popen(
            [sys.executable, "-c", AS_ONESHOT, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "RANK": rank, "LOCAL_RANK": rank} | together,
        )
        for rank in ("0", "1")
    ]


def threads_left(err: str) -> str:
    return "\n".join(line for line in err.splitlines() if line.startswith("left: "))


def wait_for_step(run: RunFolder, step: int, processes: list[subprocess.Popen[str]]) -> None:
    deadline = time.monotonic() + 180
    while not any(row["step"] >= step for row in run.rows()):
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in processes)
        time.sleep(0.05)


def test_a_signal_to_one_stops_all_and_the_death_of_one_ends_all(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    draw(tmp_path / "pictures", 6, 2)
    endless = ["--iterations", "1000000", "-o", str(run.path)]
    endless += ["--data-dir", str(tmp_path / "pictures")]
    processes = launched(*ARGUMENTS.split(), *endless)
    wait_for_step(run, 1, processes)
    processes[1].send_signal(signal.SIGTERM)
    (out, err), (silence, murmur) = (process.communicate(timeout=120) for process in processes)
    assert [process.returncode for process in processes] == [0, 0], err + murmur
    assert "gloo" not in threads_left(err + murmur)
    assert "stopped after" in out
    assert silence == ""
    step = checkpoint.read_header(run.last).training["step"]

    processes = launched("train", "--resume", *endless, "--save-every", "2", "--log-every", "1")
    wait_for_step(run, step + 4, processes)
    processes[1].kill()
    out, err = processes[0].communicate(timeout=120)
    processes[1].communicate(timeout=120)
    assert processes[0].returncode == 1
    assert "another process ended early" in err
    assert "Traceback" not in err
    assert "gloo" not in threads_left(err)
    assert out == ""
    assert not list(run.path.rglob(".partial-*"))
    assert checkpoint.read_header(run.last).training["step"] >= step
