"""Damaged files for every reader, in child processes with limits of time and memory.

A case is a function of its target and its number. It fails if the reader raises anything other than
OneshotError, needs too long or too much memory, or ends the process.
"""

from __future__ import annotations

import mmap
import os
import resource
import signal
import struct
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import torch

from benchmarks.reliability.lives import in_memory
from benchmarks.reliability.mutation import damaged
from oneshot_cli.errors import OneshotError

SECONDS = 5.0
"""Processor time that a case may take."""
BLOCKED = 30.0
"""A case that takes longer by the clock is killed. Machines may be busy."""
MEMORY = 1_000_000_000
"""Bytes that a case may add to the process: a limit of its address space."""
KEPT = 20
"""Failures that are reported in full, of each target."""

Damage = Callable[[Random, bytes, list[bytes]], bytes]


@dataclass(frozen=True)
class Seed:
    """An intact file: `content`, which is damaged, and `pack`, which makes the file of it.

    `pack` compresses, or writes lengths and checksums, so that damage gets past these.
    """

    content: bytes
    pack: Callable[[bytes], bytes] = bytes
    damage: Damage = damaged
    intact: bool = True
    """Whether the undamaged file can be read."""


@dataclass(frozen=True)
class Target:
    """A reader: `read` is given the path of a file. `share` is its part of all cases."""

    name: str
    seeds: Callable[[], list[Seed]]
    read: Callable[[Path], Any]
    file: str
    """The name of the file, which some readers go by."""
    share: float


@dataclass
class Outcome:
    """What happened in the cases of one target."""

    target: str
    cases: int = 0
    refused: int = 0
    read: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    memory: int = 0
    """The most bytes that were added to the process's resident memory."""
    tracebacks: int = 0
    hangs: int = 0
    crashes: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def faults(self) -> int:
        return self.tracebacks + self.hangs + self.crashes

    def note(self, text: str) -> None:
        if len(self.failures) < KEPT and text.split(": ", 1)[1] not in {
            known.split(": ", 1)[1] for known in self.failures
        }:
            self.failures.append(text)

    def document(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "failures"}


class Hang(BaseException):
    """The processor time of a case is used up. No reader catches it as an Exception."""


def case(target: Target, seeds: list[Seed], number: int) -> bytes:
    """The file of a case."""
    random = Random(f"{target.name}/{number}")
    seed = random.choice(seeds)
    changed = seed.damage(random, seed.content, [other.content for other in seeds])
    return seed.pack(changed)


def fuzz(target: Target, count: int, first: int = 0) -> Outcome:
    """Run the cases `first` to `first + count` of a target."""
    outcome = Outcome(target.name)
    seeds = target.seeds()
    started = time.monotonic()
    number, end = first, first + count
    with tempfile.TemporaryDirectory(dir=in_memory()) as folder:
        path = Path(folder) / target.file
        for seed in seeds:  # an intact file has to be read, or the cases test nothing
            if seed.intact:
                path.write_bytes(seed.pack(seed.content))
                target.read(path)
        while number < end:
            number = _in_child(target, seeds, number, end, path, outcome)
    outcome.seconds = time.monotonic() - started
    return outcome


def _in_child(
    target: Target, seeds: list[Seed], first: int, end: int, path: Path, outcome: Outcome
) -> int:
    """Run cases in a child process until one ends it. Returns the number of the next case."""
    shared = mmap.mmap(-1, 16)
    report = path.with_name("report")
    report.write_text("")
    child = os.fork()
    if child == 0:
        _child(target, seeds, range(first, end), path, shared, report)
    blocked, status = _watch(child, shared)
    _collect(report.read_text(), outcome)
    number, _ = struct.unpack("qd", shared)
    if status == 0:
        return end
    where = f"{target.name}/{number}"
    outcome.cases += 1
    if blocked:
        outcome.hangs += 1
        outcome.note(f"{where}: blocked for {BLOCKED:.0f} seconds")
    else:
        outcome.crashes += 1
        outcome.note(f"{where}: ended the process with status {status}")
    return number + 1


def _watch(child: int, shared: mmap.mmap) -> tuple[bool, int]:
    """Wait for a child: whether it was killed because a case took too long, and its status."""
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return False, status
        _, began = struct.unpack("qd", shared)
        if began and time.monotonic() - began > BLOCKED:
            os.kill(child, signal.SIGKILL)
            return True, os.waitpid(child, 0)[1]
        time.sleep(0.05)


def _child(
    target: Target,
    seeds: list[Seed],
    numbers: range,
    path: Path,
    shared: mmap.mmap,
    report: Path,
) -> None:
    """Run the cases and report each in a line. Ends the process."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)  # a fork has none of OpenMP's threads, and would wait for them
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = _status("VmSize") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGPROF, _hang)
    before = _status("VmRSS")
    with report.open("w", errors="replace") as lines:
        for number in numbers:
            shared[:] = struct.pack("qd", number, time.monotonic())
            lines.write(_one(target, seeds, number, path) + "\n")
            lines.flush()
        lines.write(f"memory\t{_status('VmHWM') - before}\n")
    os._exit(0)


def _one(target: Target, seeds: list[Seed], number: int, path: Path) -> str:
    """Run one case: its outcome, the seconds of processor time and a message."""
    path.write_bytes(case(target, seeds, number))
    before = time.process_time()
    message = ""
    try:
        with time_limit(SECONDS):
            target.read(path)
        outcome = "read"
    except OneshotError:
        outcome = "refused"
    except Hang:
        outcome = "hangs"
        message = "took more than 5 seconds of processor time"
    except Exception as error:
        outcome = "tracebacks"
        last = traceback.extract_tb(error.__traceback__)[-1]
        message = (
            f"{type(error).__name__}: {str(error)[:150]} ({Path(last.filename).name}, {last.name})"
        )
    spent = time.process_time() - before
    message = " ".join(message.split())
    return f"{outcome}\t{spent:.4f}\t{target.name}/{number}: {message}"


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `Hang` in the block once it has used that much processor time."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _hang(*_: object) -> None:
    raise Hang


def _collect(report: str, outcome: Outcome) -> None:
    for line in report.splitlines():
        kind, _, rest = line.partition("\t")
        if kind == "memory":
            outcome.memory = max(outcome.memory, int(rest))
            continue
        spent, _, message = rest.partition("\t")
        outcome.cases += 1
        outcome.slowest = max(outcome.slowest, float(spent))
        setattr(outcome, kind, getattr(outcome, kind) + 1)
        if kind in ("tracebacks", "hangs"):
            outcome.note(message)


def _status(name: str) -> int:
    """Bytes of memory of this process: VmSize, its address space; VmRSS, resident; VmHWM, most."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
