"""A run's folder: config.json, metrics.jsonl, curves.png, state/, checkpoints, samples/."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from oneshot_cli.documents import parse
from oneshot_cli.errors import OneshotError
from oneshot_cli.experiment import Experiment
from oneshot_cli.files import atomic_write_bytes, read_file, write_errors
from oneshot_cli.training.evaluations import evaluated

MAX_BYTES = 300_000_000
"""A metrics.jsonl with more bytes is refused: that is a million rows."""


@dataclass(frozen=True)
class RunFolder:
    """The paths of a run's files."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def curves(self) -> Path:
        return self.path / "curves.png"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def state(self) -> Path:
        return self.path / "state" / "state.safetensors"

    @property
    def best(self) -> Path:
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        return self.path / "last.safetensors"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    def lock(self) -> FileLock:
        """The lock of the folder, not yet acquired. It ends with the process that holds it."""
        return FileLock(self.path / ".lock", timeout=0)

    def acquire(self, lock: FileLock) -> None:
        """Acquire `lock` for this process. Raises OneshotError if another one trains here."""
        with write_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            raise OneshotError(
                f"{self.path}: another process is training in this folder\n"
                "wait for it to end, or give another --output"
            ) from None

    def experiment(self) -> Experiment:
        """The experiment in config.json. Raises OneshotError if it is missing or damaged."""
        if not self.config.exists():
            raise OneshotError(f"{self.path}: no run to resume (no config.json there)")
        return Experiment.read(self.config)

    def log(self, row: dict[str, Any]) -> None:
        """Append a line to metrics.jsonl."""
        with write_errors(self.metrics), self.metrics.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def rows(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl. A damaged line, from an interrupted write, is skipped.

        Raises OneshotError if the file cannot be read.
        """
        if not self.metrics.exists():
            return []
        rows = []
        for line in read_file(self.metrics, MAX_BYTES).splitlines():
            with suppress(ValueError):
                row = parse(line)
                if isinstance(row, dict) and isinstance(row.get("step"), int):
                    rows.append(row)
        return rows

    def drop_rows_after(self, step: int, *, evaluated_again: bool = False) -> None:
        """Drop the metrics of iterations after `step`, which a resumed run repeats.

        With `evaluated_again` the evaluation after that iteration is repeated, too.
        """
        kept = [
            json.dumps(row) + "\n"
            for row in self.rows()
            if row["step"] < step
            or (row["step"] == step and not (evaluated_again and evaluated(row)))
        ]
        if self.metrics.exists():
            atomic_write_bytes(self.metrics, "".join(kept).encode())
