"""Response times of commands: `python -m benchmarks.interface [CHECKPOINT]`.

Times the program from the shell, including imports: every --help (the limit is 0.5 s), ten
variations of one exemplar (the limit is 4 s), and a thousand exemplars in one call, with its peak
memory.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PIL import Image, ImageDraw

from oneshot_cli.cli.app import app

EXEMPLAR = Path(__file__).parent.parent / "docs" / "exemplars" / "pen-photo.jpg"
RUNS = 5
MANY = 1000


def oneshot(*words: object) -> str:
    """Run the program. Returns its standard output."""
    command = [sys.executable, "-m", "oneshot_cli", *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def median_seconds(run: Callable[[], object], runs: int = RUNS) -> float:
    """The median time of `run` in seconds, after one call to fill the file cache."""
    run()
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def line_drawings(folder: Path, count: int) -> None:
    """Write `count` small pictures of different strokes to `folder`."""
    for i in range(count):
        picture = Image.new("L", (105, 105), 255)
        ends = [(20 + i % 37, 25), (75, 30 + i % 41), (30 + i % 29, 80)]
        ImageDraw.Draw(picture).line(ends, fill=0, width=5)
        picture.save(folder / f"{i:04}.png")


def main() -> None:
    """Measure and print a line for each command."""
    checkpoint = ["--checkpoint", sys.argv[1]] if len(sys.argv) > 1 else []
    helps = {
        f"oneshot {name} --help".replace("  ", " "): (name, "--help") if name else ("--help",)
        for name in ["", *(str(command.name) for command in app.registered_commands)]
    }
    for label, asked in helps.items():
        print(f"{median_seconds(partial(oneshot, *asked)):8.2f} s  {label}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vary = ("vary", EXEMPLAR, "-n", "10", "-o", folder / "ten", "--force", *checkpoint)
        print(f"{median_seconds(lambda: oneshot(*vary)):8.2f} s  ten variations of a photo")
        (folder / "in").mkdir()
        line_drawings(folder / "in", MANY)
        for size in (28, 112):
            words = ("-n", "10", "-o", folder / str(size), "--size", str(size), "--json")
            made = json.loads(oneshot("vary", folder / "in", *words, *checkpoint))
            seconds, memory = made["seconds"], made["peak_memory_mb"]
            rate = 10 * MANY / seconds
            print(
                f"{seconds:8.2f} s  {MANY:,} exemplars, 10 variations each, {size} x {size}: "
                f"{rate:,.0f} a second, peak memory {memory:,} MB"
            )


if __name__ == "__main__":
    main()
