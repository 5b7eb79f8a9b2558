"""`python -m benchmarks`: tables of the speed of training steps and of drawing, also as JSON."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import sampling, training
from oneshot_cli.devices import resolve_device
from oneshot_cli.files import atomic_write_bytes
from oneshot_cli.precision import bf16_is_faster


def main() -> None:
    """Measure and print the tables, and write the results to --output."""
    options = _options()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = resolve_device(options.device)
    console = wide_console()
    machine = describe_machine(device)
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()))
    results: dict[str, Any] = {"machine": machine, "turns": options.turns}
    if options.only != "sampling":
        results["training"] = _training(options, device, console)
    if options.only != "training":
        results["sampling"] = _sampling(options, device, console)
    if options.output:
        atomic_write_bytes(options.output, (json.dumps(results, indent=2) + "\n").encode())
        console.print(f"wrote {options.output}")


def wide_console() -> Console:
    """A console with 200 columns if the output is a file or a pipe, so that tables fit."""
    return Console(width=None if sys.stdout.isatty() else 200)


def describe_machine(device: torch.device) -> dict[str, Any]:
    """The machine that is measured: date, processor, threads, torch and device."""
    names = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    processor = names[0].split(":", 1)[1].strip() if names else platform.processor()
    described = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "processor": processor,
        "cores": len(names) or None,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "device": device.type,
    }
    if device.type == "cuda":
        described["accelerator"] = torch.cuda.get_device_name(device)
    return described


def _training(
    options: argparse.Namespace, device: torch.device, console: Console
) -> list[dict[str, Any]]:
    rows = []
    table = Table(title="A training step (canvas, pixels, T, batch): seconds, and MB")
    table.add_column("case", no_wrap=True)
    speeds = ("ref.", "engine", "faster", "than fp32", "floor", "x floor", "x torch's")
    for heading in (*speeds, "ref. MB", "MB"):
        table.add_column(heading, justify="right")
    todo = [case for case in training.cases(options.full) if options.match in str(case)]
    if any(case.bf16 for case in todo) and not bf16_is_faster(device):
        todo = [case for case in todo if not case.bf16]
        console.print("bfloat16 is not faster on this machine, so its cases are left out")
    with console.status("") as status:
        for number, case in enumerate(todo, 1):
            status.update(f"{number} of {len(todo)}: {case}")
            row = training.measure(case, options.turns, device)
            rows.append(row.to_dict())
            table.add_row(
                f"{case.canvas} {case.size} {case.steps} {case.batch} "
                + ("bf16" if case.bf16 else "fp32")
                + (", image encoder" if case.image_encoders else ""),
                f"{row.reference:.3f}",
                f"{row.engine:.3f}",
                f"{row.times_faster:.2f}",
                f"{row.times_plain:.2f}",
                f"{row.floor:.3f}",
                f"{row.times_floor:.2f}",
                f"{row.times_torch_floor:.2f}",
                f"{row.memory['reference']:,.0f}",
                f"{row.memory['engine']:,.0f}",
            )
    console.print(table)
    return rows


def _sampling(
    options: argparse.Namespace, device: torch.device, console: Console
) -> list[dict[str, Any]]:
    rows = []
    table = Table("pixels", "pictures in a call", title="Drawing, pictures a second")
    for heading in ("engine", "reference", "times faster", "near the exemplar", "times longer"):
        table.add_column(heading, justify="right")
    with console.status("measuring"):
        for row in sampling.measure(options.turns, device, full=options.full):
            rows.append(row.to_dict())
            table.add_row(
                str(row.size),
                f"{row.count:,}",
                f"{row.engine:,.1f}",
                "" if row.reference is None else f"{row.reference:,.1f}",
                "" if row.times_faster is None else f"{row.times_faster:.2f}",
                f"{row.near:,.1f}",
                f"{row.times_longer:.2f}",
            )
    console.print(table)
    return rows


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="The speed of training and drawing on this machine: the engine compared with "
        "the eager reference. Response times of commands: python -m benchmarks.interface.",
    )
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument(
        "--quick", action="store_true", help="T = 20 and batches of 64; takes minutes (the default)"
    )
    extent.add_argument(
        "--full", action="store_true", help="all combinations; takes hours on a CPU"
    )
    parser.add_argument("--only", choices=("training", "sampling"), help="measure only one table")
    parser.add_argument(
        "--match",
        default="",
        metavar="TEXT",
        help="only training cases whose text has this, such as size=52",
    )
    parser.add_argument("--turns", type=int, default=3, help="timed calls of each")
    parser.add_argument("--threads", type=int, help="threads of torch (default: torch's own)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--output", type=Path, help="write the results to this JSON file")
    return parser.parse_args()


def _lines(path: str) -> list[str]:
    """The lines of a file, or none if it is missing."""
    return Path(path).read_text().splitlines() if Path(path).exists() else []


if __name__ == "__main__":
    main()
