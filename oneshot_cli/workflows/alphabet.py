"""`alphabet`: new characters in the style of an alphabet, written as pictures and a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from oneshot_cli.drawing.defaults import DEFAULT_SIZE
from oneshot_cli.drawing.oneshot import ALPHABET_SPREAD, load
from oneshot_cli.errors import UsageError
from oneshot_cli.files import refuse_to_overwrite
from oneshot_cli.imaging.exemplar import drawing
from oneshot_cli.imaging.grid import Group, sheet
from oneshot_cli.imaging.rendering import of_mask, save_picture
from oneshot_cli.workflows.jobs import Target, pictures_in

MOST = 100
"""The largest number of context images."""


@dataclass(frozen=True)
class AlphabetResult:
    """The result of `alphabet`.

    `given` has the names and files of the M context images. `distance` (n, M) is the distance from
    each new character to each of them, in pixels at the model's size, see
    `imaging.distances.ink_distance`.
    """

    checkpoint: Path | None
    seed: int
    spread: float
    size: int
    pen: float
    given: list[tuple[str, Path]]
    files: list[Path]
    grid: Path
    distance: Tensor

    def document(self) -> dict[str, Any]:
        """For JSON."""
        distance, nearest = self.distance.min(1)
        return {
            "checkpoint": self.checkpoint,
            "seed": self.seed,
            "spread": self.spread,
            "size": self.size,
            "pen": self.pen,
            "given": [path for _, path in self.given],
            "characters": [
                {
                    "file": self.files[i] if self.files else None,
                    "distances": [round(d, 4) for d in self.distance[i].tolist()],
                    "nearest": self.given[int(nearest[i])][1],
                    "distance": round(float(distance[i]), 4),
                }
                for i in range(len(self.distance))
            ],
            "grid": self.grid,
        }


def alphabet(
    exemplars: Sequence[Path],
    output: Path | None = None,
    *,
    n: int = 20,
    size: int = DEFAULT_SIZE,
    seed: int = 0,
    spread: float | None = None,
    pen: float | None = None,
    checkpoint: str | Path | None = None,
    device: str = "auto",
    force: bool = False,
) -> AlphabetResult:
    """Draw n new characters in the style of `exemplars`, as `oneshot alphabet` does.

    `exemplars` are pictures of different characters, or folders of them. `output` is a folder, or
    the file of a grid; then only the grid is written. Raises OneshotError.
    """
    found, target = list(pictures_in(exemplars)), Target.of(output)
    if len(found) > MOST:
        raise UsageError(f"{len(found)} pictures are given, but at most {MOST} are read")
    files, grid = target.numbered("character", n), target.grid("alphabet")
    refuse_to_overwrite([*files, grid], force)

    model = load(checkpoint, device)
    made = model.new_characters([p for _, p in found], n, seed=seed, spread=spread, size=size)
    greys = list(model.render(made.pictures, pen))
    for file, grey in zip(files, greys, strict=False):
        save_picture(Image.fromarray(grey), file)
    given = [of_mask(drawing(path, model.size).mask, size) for _, path in found]
    groups = [
        Group("given", given, labels=[name for name, _ in found], given=True),
        Group("new", greys, labels=[f"{i + 1}" for i in range(n)]),
    ]
    save_picture(sheet(groups), grid)
    return AlphabetResult(
        checkpoint=model.path,
        seed=seed,
        spread=ALPHABET_SPREAD if spread is None else spread,
        size=size,
        pen=model.pen(size, pen),
        given=found,
        files=files,
        grid=grid,
        distance=made.distance,
    )
