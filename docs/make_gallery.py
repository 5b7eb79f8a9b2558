"""Draws the pictures of the README and of docs/gallery.md: `make gallery`.

All pictures are made by the shipped checkpoint, with the same commands that a user types. The
exemplars are the first drawings of evenly spaced held-out characters, not a selection of good ones.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from PIL import Image

from oneshot_cli import data
from oneshot_cli.data.drawings import Drawings

HERE = Path(__file__).parent
IMAGES = HERE / "images"


def oneshot(*arguments: str | Path) -> None:
    """Run the program."""
    words = [str(argument) for argument in arguments]
    subprocess.run([sys.executable, "-m", "oneshot_cli", *words, "--force", "--quiet"], check=True)


def save(drawings: Drawings, number: int, path: Path) -> Path:
    """Write drawing `number` as a picture, black on white."""
    Image.fromarray((255 * (1 - drawings.images[number])).numpy()).save(path)
    return path


def first_drawings(drawings: Drawings, characters: torch.Tensor, folder: Path) -> list[Path]:
    """Write the first drawing of each character to a file in `folder`. Returns the paths."""
    folder.mkdir()
    paths = []
    for character in characters.tolist():
        number = int((drawings.character == character).nonzero()[0])
        name = drawings.characters[character].replace("/", "-").replace("_(", "-").replace(")", "")
        paths.append(save(drawings, number, folder / f"{name}.png"))
    return paths


def main() -> None:
    """Draw all pictures."""
    IMAGES.mkdir(exist_ok=True)
    held_out = data.load("omniglot", split="weak", part="test", size=105)
    everything = data.load("omniglot", split="weak", part="all", size=105)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fifteen = torch.linspace(0, len(held_out.characters) - 1, 15).long()
        exemplars = first_drawings(held_out, fifteen, folder / "fifteen")
        oneshot("vary", *exemplars, "-n", "8", "--layout", "paper", "-o", IMAGES / "vary.png")
        oneshot("animate", *exemplars[2:5], "-n", "5", "--size", "84", "-o", IMAGES / "animate.gif")
        oneshot("animate", exemplars[7], "-n", "1", "--reconstruct", "-o", IMAGES / "redraw.gif")
        for size in ("28", "52", "208"):
            picture = IMAGES / f"vary-{size}.png"
            oneshot("vary", exemplars[4], "-n", "5", "--size", size, "-o", picture)
        oneshot("vary", HERE / "exemplars", "-o", IMAGES / "exemplars.png")
        oneshot("vary", HERE / "glyphs", "-o", IMAGES / "glyphs.png")
        oneshot("sample", "-n", "48", "-o", IMAGES / "sample.png")
        digits = HERE.parent / "checkpoints" / "mnist.safetensors"
        oneshot("sample", "-c", digits, "-n", "49", "-o", IMAGES / "mnist.png")
        for number, alphabet in enumerate(("Tibetan", "Futurama")):
            place = everything.alphabets.index(alphabet)
            letters = (everything.alphabet == place).nonzero().flatten()[:10]
            paths = first_drawings(everything, letters, folder / alphabet)
            oneshot("alphabet", *paths, "-n", "20", "-o", IMAGES / f"alphabet-{number + 1}.png")


if __name__ == "__main__":
    main()
