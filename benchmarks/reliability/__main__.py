"""`python -m benchmarks.reliability`: kills, hostile files and faults, with limits and counts."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.__main__ import describe_machine
from benchmarks.reliability.lives import in_memory
from oneshot_cli.files import atomic_write_bytes

RESULTS = Path("docs/results/reliability")
"""One file for each part: kills.json, fuzz.json and faults.json."""


def main() -> None:
    """Run one part, print what was found and write it to --output. Exits with 1 for a fault."""
    options = _options()
    torch.set_num_threads(1)
    started = time.monotonic()
    measured, faults = {"kills": _kills, "fuzz": _fuzz, "faults": _faults}[options.part](options)
    command = f"python -m benchmarks.reliability {' '.join(sys.argv[1:])}".strip()
    document = {
        "command": command,
        "machine": describe_machine(torch.device("cpu")),
        "seconds": round(time.monotonic() - started),
        **measured,
    }
    if options.output:
        text = json.dumps(document, indent=2) + "\n"
        atomic_write_bytes(options.output / f"{options.part}.json", text.encode())
    for line in faults:
        print(line)
    sys.exit(1 if faults else 0)


def _fuzz(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    from benchmarks.reliability.corpus import TARGETS
    from benchmarks.reliability.fuzz import fuzz

    outcomes, faults = [], []
    for target in TARGETS:
        if options.target not in (None, target.name):
            continue
        outcome = fuzz(target, max(1, round(options.cases * target.share)), options.first)
        outcomes.append(outcome.document())
        faults += outcome.failures
        print(outcome.document(), flush=True)
    return {"targets": outcomes, "failures": faults}, faults


def _kills(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    from benchmarks.reliability.kills import kills

    with tempfile.TemporaryDirectory(dir=in_memory()) as folder:
        return kills(Path(folder), options.kills, options.seed)


def _faults(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    from benchmarks.reliability.faults import faults

    with tempfile.TemporaryDirectory(dir=in_memory()) as folder:
        return faults(Path(folder))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reliability",
        description="What oneshot does when it is killed, or given hostile files, a full disk, "
        "signals, or a bad network.",
    )
    parser.add_argument("part", choices=("kills", "fuzz", "faults"))
    parser.add_argument("--kills", type=int, default=300, help="kills of `oneshot train`")
    parser.add_argument("--cases", type=int, default=100_000, help="damaged files, in all")
    parser.add_argument("--target", help="fuzz one reader, with its share of the cases")
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--seed", type=int, default=0, help="of the kills")
    parser.add_argument("--output", type=Path, help=f"write JSON to this folder ({RESULTS})")
    return parser.parse_args()


if __name__ == "__main__":
    main()
