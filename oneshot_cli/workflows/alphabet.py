"""`alphabet`: new characters in the style of an alphabet, written as pictures and a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from oneshot_cli.drawing.defaults import DEFAULT_SIZE
from oneshot_cli.drawing.oneshot import ALPHABET_SPREAD, load
from oneshot_cli.errors import UsageError
from oneshot_cli.imaging.exemplar import Reading
from oneshot_cli.imaging.formats import npz_of
from oneshot_cli.imaging.grid import Group, arranged
from oneshot_cli.imaging.rendering import of_mask
from oneshot_cli.reporting import SILENT, Reporter
from oneshot_cli.workflows.jobs import Source, find, title
from oneshot_cli.workflows.pictures import check_written, description, draw_and_write, sheet_content
from oneshot_cli.workflows.targets import DEFAULT_FOLDER, opened, refuse_conflicts, write

MOST = 100
"""The largest number of context images."""


@dataclass(frozen=True)
class AlphabetResult:
    """The result of `alphabet`.

    `given` are the M context images. `distance` (n, M) is the distance from
    each new character to each of them, in pixels at the model's size, see
    `imaging.distances.ink_distance`.
    """

    checkpoint: Path | None
    seed: int
    spread: float
    size: int
    pen: float
    given: list[Source]
    files: list[Path]
    grid: Path | None
    distance: Tensor
    format: str
    failed: list[tuple[str, str]]
    """The paths that could not be read, and the reasons."""
    left_out: list[Path]

    def document(self) -> dict[str, Any]:
        """For JSON."""
        distance, nearest = self.distance.min(1)
        return {
            "checkpoint": self.checkpoint,
            "seed": self.seed,
            "spread": self.spread,
            "size": self.size,
            "pen": self.pen,
            "format": self.format,
            "given": [str(source) for source in self.given],
            "characters": [
                {
                    "file": self.files[i] if self.files else None,
                    "distances": [round(d, 4) for d in self.distance[i].tolist()],
                    "nearest": str(self.given[int(nearest[i])]),
                    "distance": round(float(distance[i]), 4),
                }
                for i in range(len(self.distance))
            ],
            "grid": self.grid,
            "failed": [{"exemplar": name, "error": error} for name, error in self.failed],
            "left_out": self.left_out,
        }


def alphabet(
    exemplars: Sequence[Path],
    output: str | Path | None = None,
    *,
    n: int = 20,
    size: int = DEFAULT_SIZE,
    seed: int = 0,
    spread: float | None = None,
    pen: float | None = None,
    format: str | None = None,
    frame: int | None = None,
    box: str = "auto",
    each: bool = False,
    checkpoint: str | Path | None = None,
    device: str = "auto",
    force: bool = False,
    reporter: Reporter = SILENT,
) -> AlphabetResult:
    """Draw n new characters in the style of `exemplars`, as `oneshot alphabet` does.

    `exemplars` are pictures of different characters, or folders of them. `exemplars` and `output`
    are as for `vary`. Raises OneshotError.
    """
    check_written(n=n, seed=seed, spread=spread, size=size, pen=pen)
    written = DEFAULT_FOLDER if output is None else Path(output)
    found = find(exemplars, written, Reading(frame, box), each=each)
    found.report(reporter)
    if len(found.sources) > MOST:
        raise UsageError(f"{len(found.sources)} pictures are given, but at most {MOST} are read")
    with opened(output, format, title(exemplars)) as opened_target:
        target = opened_target.of_pictures(n)
        files, grid = target.numbered("character", n), target.grid("alphabet")
        every = [*files, *([grid] if grid else [])]
        refuse_conflicts(every, [source.path for source in found.sources], overwrite=force)

        model = load(checkpoint, device)
        read = found.drawings(model.size, reporter)
        given = [source for source, _ in read]
        temperature = ALPHABET_SPREAD if spread is None else spread
        settings = {"n": n, "seed": seed, "spread": temperature, "size": size}
        about = description(model, "alphabet", **settings, pen=model.pen(size, pen))
        about["exemplar"] = [source.label for source in given]
        with reporter.progress("drawing", n) as advance:
            drawings = [drawing for _, drawing in read]
            made = model.new_characters(drawings, n, seed=seed, spread=spread, size=size)

            def take(first: int, count: int) -> Tensor:
                return made.pictures[first : first + count]

            drawn = draw_and_write(
                model,
                target,
                files,
                take,
                n,
                pen=pen,
                exemplars=made.pictures.exemplars,
                about=about,
                advance=advance,
            )
        shown = [of_mask(drawing.mask, size) for _, drawing in read]
        names, numbers = [source.name for source in given], [str(i + 1) for i in range(n)]
        if grid and target.format == "npz":
            arrays = {"pictures": drawn.levels, "given": np.stack(shown), "names": np.array(names)}
            write(grid, npz_of(arrays | {"distance": made.distance.numpy()}, about))
        elif grid:
            groups = [
                Group("given", shown, labels=names, given=True),
                Group("new", list(drawn.levels), labels=numbers, paths=drawn.paths),
            ]
            write(grid, sheet_content(target.format, arranged(groups), about))
    return AlphabetResult(
        checkpoint=model.path,
        seed=seed,
        spread=temperature,
        size=size,
        pen=model.pen(size, pen),
        given=given,
        files=[] if target.streamed else files,
        grid=None if target.streamed else grid,
        distance=made.distance,
        format=target.format,
        failed=found.failed,
        left_out=found.left_out,
    )
