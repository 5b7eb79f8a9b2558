"""Draws the pictures of two terminals and of an output folder: `make screens`.

Commands run in a tmux terminal of 80 or 120 columns. What its screen then shows is drawn, dark or
light. Needs tmux and the extra 'svg'.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image, ImageOps
from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, MONOKAI, TerminalTheme
from rich.text import Text

from oneshot_cli.imaging.grid import Group, arranged

IMAGES = Path(__file__).parent / "images"
ROWS = 100
"""Rows of the terminal: enough for all that the commands print."""
TILE = 152
COLUMNS = 6

HELP = "oneshot --help"
DRAW = (
    "oneshot vary --example -n 5",
    "oneshot alphabet --example -n 5",
    "oneshot vary sketch.png",
)
"""The last one is an error: there is no such file."""


@contextmanager
def terminal(columns: int, folder: Path) -> Iterator[list[str]]:
    """A shell in a terminal of so many columns. Yields the first words of tmux's commands."""
    tmux = ["tmux", "-L", f"oneshot-{os.getpid()}-{columns}", "-f", "/dev/null"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shell = ["env", f"PATH={path}", "PS1=$ ", "sh"]
    size = ["-x", str(columns), "-y", str(ROWS)]
    subprocess.run([*tmux, "new-session", "-d", "-c", folder, *size, *shell], check=True)
    try:
        while not shown(tmux).strip():  # the prompt
            time.sleep(0.2)
        yield tmux
    finally:
        subprocess.run([*tmux, "kill-server"], check=True)


def shown(tmux: list[str]) -> str:
    """What the terminal shows, with escapes for its colours."""
    words = [*tmux, "capture-pane", "-e", "-p"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def typed(tmux: list[str], command: str, done: Path) -> None:
    """Type a command, and wait until it has ended."""
    line = f"{command}; touch {shlex.quote(str(done))}"
    subprocess.run([*tmux, "send-keys", "-l", line], check=True)
    subprocess.run([*tmux, "send-keys", "Enter"], check=True)
    while not done.exists():
        time.sleep(0.2)
    done.unlink()
    time.sleep(0.5)  # the prompt


def screen(columns: int, commands: tuple[str, ...], folder: Path, done: Path) -> Text:
    """What a terminal shows after the commands, with its colours."""
    with terminal(columns, folder) as tmux:
        for command in commands:
            typed(tmux, command, done)
        seen = shown(tmux)
    text = Text.from_ansi(seen.rstrip().removesuffix("$").rstrip().replace(f"; touch {done}", ""))
    text.rstrip()
    return text


def save(text: Text, columns: int, theme: TerminalTheme, name: str) -> None:
    """Draw a screen as a PNG."""
    console = Console(record=True, width=columns, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(text, soft_wrap=True)
    svg = console.export_svg(title="oneshot", theme=theme).replace("Fira Code", "DejaVu Sans Mono")
    IMAGES.joinpath(name).write_bytes(bytes(resvg_py.svg_to_bytes(svg_string=svg)))
    with Image.open(IMAGES / name) as picture:
        small = picture.convert("RGB").quantize(32)
    small.save(IMAGES / name, optimize=True)


def tile(path: Path) -> np.ndarray:
    """A picture as it is shown in a folder, (TILE, TILE) levels."""
    with Image.open(path) as picture:
        return np.asarray(ImageOps.pad(picture.convert("L"), (TILE, TILE), color=255))


def main() -> None:
    """Run the commands, and draw what they print and write."""
    with tempfile.TemporaryDirectory() as name:
        folder, done = Path(name) / "here", Path(name) / "done"
        folder.mkdir()
        save(screen(80, (HELP,), folder, done), 80, MONOKAI, "terminal-help.png")
        save(screen(120, DRAW, folder, done), 120, DEFAULT_TERMINAL_THEME, "terminal-vary.png")
        drawn = sorted((folder / "out" / "pen-photo-1").iterdir())
        group = Group("out/pen-photo-1", list(map(tile, drawn)), labels=[p.name for p in drawn])
        sheet = arranged([group], COLUMNS).picture().quantize(32)
        sheet.save(IMAGES / "folder.png", optimize=True)


if __name__ == "__main__":
    main()
