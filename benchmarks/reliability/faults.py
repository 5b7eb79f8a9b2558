"""A full disk, signals, and a bad network: what the command says, and what is left."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.reliability import lives
from benchmarks.reliability.kills import EVENTS, damage, differences, life
from benchmarks.reliability.network import network_faults

FILE_SIZES = (100, 600, 2_000, 5_000, 20_000, 40_000)
"""Bytes that a file of the run may have: the system refuses more, as a full disk does."""
DISK_SIZES = ("16k", "64k", "128k")
"""Sizes of small disks in memory, where the user may mount them."""
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
MOMENTS = (1, 15, 60, 110)
"""A signal comes at these ones of the run's file operations; 1 is before the first iteration."""

Row = dict[str, str]


def faults(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Every fault once: a row for each, and what went wrong."""
    reference = folder / "reference"
    lives.uninterrupted(reference)
    rows = {
        "disk": [*_small_files(folder, reference), *_small_disks(folder, reference)],
        "signals": list(_signals(folder, reference)),
        "network": [
            {"fault": name, "said": said, "wrong": wrong} for name, said, wrong in network_faults()
        ],
    }
    wrong = [f"{r['fault']}: {r['wrong']}" for part in rows.values() for r in part if r["wrong"]]
    return {**rows, "faults": wrong}, wrong


def _small_files(folder: Path, reference: Path) -> Iterator[Row]:
    for size in FILE_SIZES:
        run = folder / "run"
        end = life(run, partial(_limit_files, size))
        yield _row(f"files of at most {size:,} bytes", run, reference, end, (1,))


def _limit_files(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _small_disks(folder: Path, reference: Path) -> Iterator[Row]:
    for size in DISK_SIZES:
        with _mounted(folder / "disk", size) as disk:
            if disk is None:
                return
            run = folder / "run"
            end = life(disk / "run")
            if (disk / "run").exists():
                shutil.copytree(disk / "run", run)
        yield _row(f"a disk of {size}", run, reference, end, (1,))


@contextmanager
def _mounted(place: Path, size: str) -> Iterator[Path | None]:
    """A small disk in memory during the block; None where the user may not mount one."""
    place.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _signals(folder: Path, reference: Path) -> Iterator[Row]:
    for name in SIGNALS:
        for moment in MOMENTS:
            run = folder / "run"
            number = getattr(signal, name)
            end = life(run, partial(_signal_later, run, number, moment))
            allowed = (0, 130) if number == signal.SIGINT else (0, -number)
            yield _row(f"{name} at file operation {moment}", run, reference, end, allowed)


def _signal_later(run: Path, number: int, left: int) -> None:
    """Send a signal to this process when it is about to do the `left`-th operation on its files."""
    inside = str(run) + os.sep

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in EVENTS and str(arguments[0]).startswith(inside):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), number)

    sys.addaudithook(hook)


def _row(fault: str, run: Path, reference: Path, end: lives.End, allowed: tuple[int, ...]) -> Row:
    """The row of a run that met a fault. It is continued to its end, and removed."""
    said = " ".join(end.messages.split())
    wrong = [] if end.status in allowed else [f"status {end.status}"]
    if "Traceback" in said or "this is a bug" in said:
        wrong.append("a traceback or a bug")
    wrong += damage(run)
    again = life(run)
    if again.status != 0:
        wrong.append(f"it cannot be continued: {again.messages.strip()[-200:]}")
    else:
        wrong += differences(run, reference, stopped=fault.startswith("SIG"))
    wrong += [f"{path.name} was left behind" for path in run.rglob(".partial-*")]
    shutil.rmtree(run)
    short = said.replace(str(run.parent), "").replace(str(run.parent / "disk"), "")
    return {"fault": fault, "said": f"{end.status}: {short[:200]}", "wrong": "; ".join(wrong)}
