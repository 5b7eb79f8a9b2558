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
from typing import Any

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


def forked(words: Sequence[str], log: Path, prepare: Callable[[], None] = lambda: None) -> int:
    """Start the command in a fork, after `prepare`. Returns its process id."""
    child = os.fork()
    if child:
        return child
    status, before = 70, set(sys.modules)
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        prepare()
        app(list(words))
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        imported_by(log).write_text("\n".join(sorted(set(sys.modules) - before)))
        os._exit(status)


def imported_by(log: Path) -> Path:
    """The file with the names of the modules that the last fork imported."""
    return log.with_name("modules")


def import_what_was_imported(log: Path) -> None:
    """Import here what the last fork imported, so that the next ones need not."""
    for name in imported_by(log).read_text().split():
        with suppress(ImportError):
            import_module(name)


def ended(child: int, log: Path) -> End:
    """Wait for a fork."""
    _, status = os.waitpid(child, 0)
    return End(os.waitstatus_to_exitcode(status), log.read_text(errors="replace"))


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
