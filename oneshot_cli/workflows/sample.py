"""`sample`: unconditional samples, written as pictures and a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from oneshot_cli.data.drawings import Drawings
from oneshot_cli.drawing.defaults import DEFAULT_SIZE
from oneshot_cli.drawing.oneshot import Oneshot, load
from oneshot_cli.imaging import distances
from oneshot_cli.imaging.formats import npz_of
from oneshot_cli.imaging.grid import Group, arranged, beside
from oneshot_cli.reporting import SILENT, Reporter
from oneshot_cli.workflows.pictures import check_written, description, draw_and_write, sheet_content
from oneshot_cli.workflows.targets import opened, refuse_conflicts, write


@dataclass(frozen=True)
class Nearest:
    """The nearest training drawing of each of n samples.

    `drawings` are all training drawings, `index` (n,) the nearest ones, `distance` (n,) their
    distances: the Jaccard distance of the ink, centred, or in colour the root mean squared
    difference of the levels, which are in [0, 1].
    """

    drawings: Drawings
    index: Tensor
    distance: Tensor


@dataclass(frozen=True)
class SampleResult:
    """The result of `sample`."""

    checkpoint: Path | None
    n: int
    seed: int
    spread: float
    size: int
    pen: float
    files: list[Path]
    grid: Path | None
    nearest: Nearest | None
    format: str

    def document(self) -> dict[str, Any]:
        """For JSON."""
        document: dict[str, Any] = {
            "checkpoint": self.checkpoint,
            "n": self.n,
            "seed": self.seed,
            "spread": self.spread,
            "size": self.size,
            "pen": self.pen,
            "format": self.format,
            "samples": self.files,
            "grid": self.grid,
        }
        if self.nearest:
            names, character = self.nearest.drawings.characters, self.nearest.drawings.character
            pairs = zip(self.nearest.index.tolist(), self.nearest.distance.tolist(), strict=True)
            document["nearest"] = [
                {"character": names[int(character[i])], "distance": round(distance, 4)}
                for i, distance in pairs
            ]
        return document


def sample(
    output: str | Path | None = None,
    *,
    n: int = 64,
    size: int = DEFAULT_SIZE,
    seed: int = 0,
    spread: float | None = None,
    pen: float | None = None,
    format: str | None = None,
    nearest: bool = False,
    data_dir: Path | None = None,
    checkpoint: str | Path | None = None,
    device: str = "auto",
    force: bool = False,
    reporter: Reporter = SILENT,
) -> SampleResult:
    """Draw n characters without a context, as `oneshot sample` does.

    `output` is as for `vary`. With `nearest` the grid also shows the training drawing nearest to
    each sample. Raises OneshotError.
    """
    check_written(n=n, seed=seed, spread=spread, size=size, pen=pen)
    with opened(output, format, "sample") as opened_target:
        target = opened_target.of_pictures(1 if n == 1 and not nearest else n + 1)
        files, grid = target.numbered("sample", n), target.grid("samples")
        refuse_conflicts([*files, *([grid] if grid else [])], [], overwrite=force)

        model = load(checkpoint, device)
        temperature = 1.0 if spread is None else spread
        settings = {"n": n, "seed": seed, "spread": temperature, "size": size}
        about = description(model, "sample", **settings, pen=model.pen(size, pen))

        def draw(first: int, count: int) -> Tensor:
            return model.sample(count, seed=seed, spread=temperature, size=size, first=first)

        with reporter.progress("drawing", n) as advance:
            drawn = draw_and_write(
                model, target, files, draw, n, pen=pen, about=about, advance=advance
            )
        found = None
        if nearest:
            with reporter.progress("finding the nearest training drawings", None):
                pictures = model.sample(n, seed=seed, spread=temperature)
                found = _nearest(model, pictures, data_dir)
        if grid and target.format == "npz":
            write(grid, npz_of({"pictures": drawn.levels}, about))
        elif grid:
            columns = math.ceil(n**0.5)
            label = "samples" if nearest else ""
            sheet = arranged([Group(label, list(drawn.levels), paths=drawn.paths)], columns)
            if found:
                levels = model.render(found.drawings.pictures(found.index))
                label = "the nearest training drawings"
                sheet = beside(sheet, arranged([Group(label, list(levels))], columns))
            write(grid, sheet_content(target.format, sheet, about))
    return SampleResult(
        checkpoint=model.path,
        n=n,
        seed=seed,
        spread=temperature,
        size=size,
        pen=model.pen(size, pen),
        files=[] if target.streamed else files,
        grid=None if target.streamed else grid,
        nearest=found,
        format=target.format,
    )


def _nearest(model: Oneshot, pictures: Tensor, data_dir: Path | None) -> Nearest:
    """The training drawing of the model that is nearest to each of `pictures` (n, C, S, S)."""
    drawings = model.trained_on.load(size=model.size, data_dir=data_dir)
    if drawings.channels > 1:
        index, distance = distances.nearest_in_colour(pictures, drawings.images)
        return Nearest(drawings, index, distance)
    ink: Tensor = drawings.images > 0.5 * int(drawings.images.max())
    index, distance = distances.nearest_drawings(pictures[:, 0] > 0.5, ink)
    return Nearest(drawings, torch.as_tensor(index), torch.as_tensor(distance))
