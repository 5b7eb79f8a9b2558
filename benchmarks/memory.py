"""The memory of training steps, measured in a separate process by `benchmarks.training`."""

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
    """Print the MB that two steps add to the GPU's memory, or on the CPU to that of the process."""
    which, case, device, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    todo = Case(**json.loads(case))
    model = (Reference if which == "reference" else SequentialGenerator)(todo.config)
    run = training_step(model, todo, torch.device(device))
    before = _peak(device)
    for _ in range(STEPS):
        run()
    print(_peak(device) - before)


def _peak(device: str) -> float:
    """The peak memory so far in MB."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    if status.exists():  # on Linux ru_maxrss starts at the parent's memory
        (peak,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    main()
