"""Kills of `oneshot train` at random moments, also inside a save, and what is left of the run.

A kill is SIGKILL at the n-th time that the command is about to open, sync, rename or remove a file
of the run; or the kernel's timer (SIGALRM, which nothing handles) a moment after it opened one, so
that it may be half-written; or SIGKILL from outside. Then the run is continued, until it is done.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import load_file

from benchmarks.reliability import lives
from oneshot_cli import checkpoint
from oneshot_cli.errors import OneshotError
from oneshot_cli.training import state
from oneshot_cli.training.evaluations import evaluated
from oneshot_cli.training.folder import RunFolder

EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.chmod")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
NEW_PROCESS = 25
"""Every 25th kill is one of a new process, from outside."""
WAIT = 300
"""Seconds after which a new process has to train."""


@dataclass
class Found:
    """The kills of all runs: their number by moment, and what went wrong."""

    moments: Counter[str] = field(default_factory=Counter)
    inside_a_save: int = 0
    new_processes: int = 0
    runs: int = 0
    lives: int = 0
    left_behind: int = 0
    """Temporary files in the folders of the runs that are done."""
    faults: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return sum(self.moments.values())


def kills(folder: Path, wanted: int, seed: int = 0) -> tuple[dict[str, Any], list[str]]:
    """Kill and continue runs until there were `wanted` kills: the results, and what went wrong."""
    random, found = Random(seed), Found()
    reference = folder / "reference"
    lives.uninterrupted(reference)
    while found.kills < wanted and not found.faults:
        run = folder / f"run{found.runs}"
        _one_run(run, wanted, random, found)
        if not found.faults:
            found.faults += differences(run, reference)
        found.left_behind += len(list(run.rglob(".partial-*")))
        shutil.rmtree(run)
        found.runs += 1
    return {
        "kills": found.kills,
        "moments": dict(sorted(found.moments.items())),
        "inside_a_save": found.inside_a_save,
        "new_processes": found.new_processes,
        "runs": found.runs,
        "left_behind": found.left_behind,
        "faults": found.faults,
    }, found.faults


def _one_run(run: Path, wanted: int, random: Random, found: Found) -> None:
    """Kill and continue a run until it is done. Faults go to `found`."""
    while not found.faults:
        found.lives += 1
        moment = run.with_name("moment")
        moment.unlink(missing_ok=True)
        if found.kills >= wanted:
            end = life(run)
        elif found.kills % NEW_PROCESS == NEW_PROCESS - 1:
            end = _killed_from_outside(run, random, moment)
            found.new_processes += 1
        else:
            seed = random.random()
            end = life(run, partial(_kill_later, run, Random(seed), moment))
        if end.status == 0:
            return
        if end.status not in (-signal.SIGKILL, -signal.SIGALRM):
            found.faults.append(f"{run.name}: status {end.status}: {end.messages.strip()[-300:]}")
            return
        found.moments[moment.read_text() if moment.exists() else "before any"] += 1
        found.inside_a_save += any(run.rglob(".partial-*"))
        found.faults += damage(run)
        for left in run.rglob(".partial-*"):
            left.unlink()


def life(run: Path, prepare: Callable[[], None] = lambda: None) -> lives.End:
    """Start or continue a run in a fork, after `prepare`, and wait for its end."""

    def prepared() -> None:
        lives.default_signals()
        prepare()

    return lives.forked(lives.train_words(run), prepared).end()


def _kill_later(run: Path, random: Random, moment: Path) -> None:
    """Kill this process at a random one of its next events, or a little after."""
    left = random.randint(1, random.choice((12, 40, 120)))
    delay = random.uniform(1e-5, 4e-3) if random.random() < 0.4 else 0.0
    inside, sync = str(run) + os.sep, os.fsync

    def strike(what: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            moment.write_text(what if not delay else "a moment later")
            if not delay:
                os.kill(os.getpid(), signal.SIGKILL)
            signal.setitimer(signal.ITIMER_REAL, delay)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in EVENTS or not str(arguments[0]).startswith(inside):
            return
        if event == "open" and not (arguments[2] or 0) & WRITING:
            return
        strike(f"before {event.removeprefix('os.')}")

    def fsync(fd: Any) -> None:
        strike("before fsync")
        sync(fd)

    os.fsync = fsync
    sys.addaudithook(hook)


def _killed_from_outside(run: Path, random: Random, moment: Path) -> lives.End:
    """Kill a new process at a random moment after it began to train, if it still runs."""
    metrics = RunFolder(run).metrics
    before = metrics.stat().st_mtime_ns if metrics.exists() else 0
    process = lives.started(lives.train_words(run))
    deadline = time.monotonic() + WAIT
    while process.poll() is None and time.monotonic() < deadline:
        if metrics.exists() and metrics.stat().st_mtime_ns != before:
            time.sleep(random.uniform(0, 0.1))
            break
        time.sleep(0.005)
    process.kill()
    moment.write_text("from outside")
    _, messages = process.communicate()
    return lives.End(process.returncode, messages)


def damage(run: Path) -> list[str]:
    """What a kill left that cannot be read."""
    folder, found = RunFolder(run), []
    try:
        if folder.config.exists():
            folder.experiment()
            state.read(folder.state)
        for path in (folder.best, folder.last):
            if path.exists():
                checkpoint.load(path)
        folder.rows()
    except OneshotError as error:
        found.append(f"{run.name}: {error}")
    return found


def differences(run: Path, reference: Path, *, stopped: bool = False) -> list[str]:
    """In what a run differs from the uninterrupted one, bit for bit; times apart.

    A run that was `stopped` by a signal may have more evaluations and sheets, where it stopped.
    """
    mine, theirs = RunFolder(run), RunFolder(reference)
    found = []
    for path, other in (
        (mine.last, theirs.last),
        (mine.best, theirs.best),
        (mine.state, theirs.state),
    ):
        a, b = load_file(path), load_file(other)
        if a.keys() != b.keys() or not all(torch.equal(a[name], b[name]) for name in a):
            found.append(f"{run.name}: {path.name} differs from that of the uninterrupted run")
    rows, expected = ([_lasting(row) for row in each.rows()] for each in (mine, theirs))
    if stopped:
        steps = {row["step"] for row in expected if evaluated(row)}
        rows = [row for row in rows if not evaluated(row) or row["step"] in steps]
    if rows != expected:
        found.append(f"{run.name}: metrics.jsonl differs: {len(rows)} rows, not {len(expected)}")
    sheets, wanted = (sorted(p.name for p in each.samples.iterdir()) for each in (mine, theirs))
    if sheets != wanted and not (stopped and set(wanted) < set(sheets)):
        found.append(f"{run.name}: samples {sheets}, not {wanted}")
    return found


def _lasting(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if "second" not in name}
