"""A pad that is served by a process of its own, as a person would start it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass
class Served:
    """The pad's `address`; and when it has ended, its exit `code` and what it said on stderr."""

    address: str
    code: int | None = None
    errors: str = ""


@contextmanager
def pad(checkpoint: Path | None) -> Iterator[Served]:
    """Run `oneshot pad` on a free port, and end it with Ctrl-C."""
    words = [sys.executable, "-m", "oneshot_cli", "pad", "--no-browser"]
    words += [] if checkpoint is None else ["--checkpoint", str(checkpoint)]
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        served = Served(process.stdout.readline().strip())
        assert served.address, process.communicate()[1]
        yield served
        process.send_signal(signal.SIGINT)
        served.errors = process.communicate(timeout=20)[1]
        served.code = process.returncode
    finally:
        process.kill()
        process.wait()
