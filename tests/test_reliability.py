"""The short form of `make reliability`: kills, damaged files, a full disk, signals, the network."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from benchmarks.reliability import faults
from benchmarks.reliability.corpus import TARGETS
from benchmarks.reliability.fuzz import Seed, Target, fuzz
from benchmarks.reliability.kills import kills
from oneshot_cli.errors import OneshotError

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs fork and /proc"
)

DOCS = Path(__file__).parents[1] / "docs"
SLOW = 0.01
"""Targets with a smaller share of the cases get few of them."""


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_damaged_files_are_read_or_refused(target: Target) -> None:
    outcome = fuzz(target, 8 if target.share <= SLOW else 150, first=500_000)
    assert outcome.failures == []
    assert outcome.cases == outcome.read + outcome.refused
    assert outcome.memory < 1_000_000_000


def test_what_a_reader_does_wrong_is_found() -> None:
    def read(path: Path) -> None:
        content = path.read_bytes()
        if content == b"intact":
            return
        if len(content) % 3 == 0:
            bytearray(2_000_000_000)
        if len(content) % 3 == 1:
            raise KeyError("x")
        raise OneshotError("refused")

    outcome = fuzz(Target("wrong", lambda: [Seed(b"intact")], read, "case.bin", 1), 60)
    assert outcome.tracebacks > 10
    assert outcome.refused > 5
    kinds = {failure.split(": ")[1] for failure in outcome.failures}
    assert kinds == {"KeyError", "MemoryError"}


def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    measured, wrong = kills(tmp_path, 8, seed=1)
    assert wrong == []
    assert measured["kills"] == 8


def test_a_full_disk_signals_and_a_bad_network_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("FILE_SIZES", (2_000,)),
        ("DISK_SIZES", ("64k",)),
        ("SIGNALS", ("SIGTERM",)),
        ("MOMENTS", (15,)),
    ):
        monkeypatch.setattr(faults, name, value)
    measured, wrong = faults.faults(tmp_path)
    assert wrong == []
    assert len(measured["network"]) > 15


def test_the_page_is_made_of_the_results(tmp_path: Path) -> None:
    made = runpy.run_path(str(DOCS / "make_reliability.py"))
    assert made["page"](made["RESULTS"]) == (DOCS / "reliability.md").read_text("utf-8")
    assert "`fuzz` has not been measured" in made["page"](tmp_path)
    row = {
        **{"target": "t", "cases": 7, "read": 1, "refused": 5, "tracebacks": 1, "hangs": 0},
        **{"crashes": 0, "slowest": 0.5, "memory": 3e6},
    }
    machine = {"processor": "p", "date": "2026-01-01T00:00"}
    fields = {"command": "c", "machine": machine, "seconds": 60, "targets": [row]}
    (tmp_path / "fuzz.json").write_text(json.dumps({**fields, "failures": ["t/3: KeyError"]}))
    page = made["page"](tmp_path)
    assert "| t | 7 | 1 | 5 | 1 | 0 | 0 | 0.50 | 3 |" in page
    assert "1 faults:\n\n- `t/3: KeyError`" in page
