"""The memory that training steps take, in a process of its own: `benchmarks.training` calls it."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import torch

from benchmarks.reference import Reference
from benchmarks.training import Case, training_step
from oneshot_cli.model import SequentialGenerator

STEPS = 2


def main() -> None:
    """Print the MB that two steps add: of the device's memory, or of the process on the CPU."""
    which, case, device, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    todo = Case(**json.loads(case))
    model = (Reference if which == "reference" else SequentialGenerator)(todo.config)
    run = training_step(model, todo, torch.device(device))
    before = _held(device)
    for _ in range(STEPS):
        run()
    print(_held(device) - before)


def _held(device: str) -> float:
    """The most that was held so far, in MB."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    if status.exists():  # where ru_maxrss begins with what the parent process held
        (peak,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    main()
