"""Runs of the command `oneshot` that may end early: in forks of this process, or on their own.

A fork runs the same code as the command, from its arguments to its exit status, but does not import
torch again, which would be most of the time. Some runs are new processes all the same.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from oneshot_cli.cli.app import app
from oneshot_cli.training.folder import RunFolder

EXPERIMENT: dict[str, Any] = {
    "model": {
        **{"kind": "sequential", "size": 14, "steps": 2, "latent": 2, "hidden": 6, "glimpse": 4},
        **{"patch": 4, "context_units": 4, "posterior_units": 4, "image_encoder_channels": 2},
    },
    "training": {
        **{"iterations": 24, "batch": 2, "seed": 5, "bf16": False, "evaluation_drawings": 4},
    },
    "data": {
        **{"dataset": "glyphs", "split": "weak", "size": 14, "validation": 0.1},
        **{"alphabets": 2, "characters": 8, "drawings": 3, "seed": 1},
    },
}
"""A tiny run."""

OFTEN = ("--log-every", "1", "--save-every", "2", "--eval-every", "8", "--sample-every", "8")


def in_memory() -> str | None:
    """A folder in memory, where there is one: syncing to a disk would be most of the time."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@dataclass(frozen=True)
class End:
    """How a command ended: its exit status, or the negative signal that ended it; its messages."""

    status: int
    messages: str


def train_words(run: Path) -> list[str]:
    """The command that starts the tiny run in the folder `run`, or continues what is there."""
    folder = RunFolder(run)
    if folder.config.exists():
        begin = ["train", "--resume"]
    else:
        config = run.parent / "experiment.json"
        config.write_text(json.dumps(EXPERIMENT))
        begin = ["train", "--config", str(config)]
    return [*begin, "-o", str(run), *OFTEN, "--threads", "1", "--device", "cpu", "--quiet"]


@dataclass(frozen=True)
class Life:
    """A fork that runs the command: its process, and the pipe with its messages."""

    process: int
    output: int

    def end(self) -> End:
        """Wait for it. Its messages have to fit into a pipe."""
        _, status = os.waitpid(self.process, 0)
        with os.fdopen(self.output, errors="replace") as messages:
            return End(os.waitstatus_to_exitcode(status), messages.read())


def forked(words: Sequence[str], prepare: Callable[[], None] = lambda: None) -> Life:
    """Start the command in a fork, after `prepare`."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return Life(child, reader)
    status = 70
    try:
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        prepare()
        app(list(words))
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


def uninterrupted(run: Path) -> None:
    """Run the tiny run to its end. What it imports is imported here, too, for the next ones.

    Raises RuntimeError if it fails.
    """
    before, modules = set(sys.modules), run.parent / "modules"

    def note() -> None:
        modules.write_text("\n".join(sorted(set(sys.modules) - before)))

    words = train_words(run)
    end = forked(words, lambda: _at_exit(note)).end()
    if end.status != 0:
        raise RuntimeError(f"the uninterrupted run failed: {end.messages}")
    for name in modules.read_text().split():
        with suppress(ImportError):
            import_module(name)


def _at_exit(note: Callable[[], None]) -> None:
    """Call `note` when this fork ends."""
    leave = os._exit

    def exit_with_note(status: int) -> NoReturn:
        note()
        leave(status)

    os._exit = exit_with_note


def started(words: Sequence[str], **environment: str) -> subprocess.Popen[str]:
    """Start the command in a new process."""
    return subprocess.Popen(
        [sys.executable, "-m", "oneshot_cli", *words],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def default_signals() -> None:
    """Signals as a new process has them."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_DFL if each != signal.SIGINT else signal.default_int_handler)
