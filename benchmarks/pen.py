"""The effect of the pen on recognizability: `python -m benchmarks.pen [CHECKPOINT]`.

Variations of one exemplar of each held-out character are drawn once and rendered in two ways: with
the outline that the model drew, and redrawn with the pen. The project's critics score both, after
the same resampling to 28 x 28. The deviation of the width along the strokes is in pixels of 105 x
105, Omniglot's size. The parameters of the pen were chosen on `--split weak-validation`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from oneshot_cli import data
from oneshot_cli.drawing import oneshot as api
from oneshot_cli.evaluation.oneshot_scores import Critics, Scores, bootstrap, people, score
from oneshot_cli.evaluation.penmanship import EACH, penmanship, strokes
from oneshot_cli.imaging.exemplar import PEN
from oneshot_cli.imaging.rendering import Bytes

CHARACTERS_PER_BATCH = 10

LARGE = 105
"""The height and width of Omniglot's drawings, in pixels."""


def drawings(model: api.Oneshot, exemplars: Tensor, n: int, size: int) -> Tensor:
    """Variations (C, n, 1, size, size) of exemplars (C, 1, S, S), with the model's defaults."""
    sets = [[exemplar[None] for exemplar in rows] for rows in exemplars.split(CHARACTERS_PER_BATCH)]
    return torch.cat([model.vary_batch(each, n, size=size) for each in sets])


def pictures(
    drawn: Tensor, exemplars: Tensor, render: Callable[[Tensor, Tensor], Bytes]
) -> tuple[Tensor, float]:
    """The ink (C, n, 1, H, W) of rendered pictures, and the milliseconds for each.

    `render` is called with the drawings (n, 1, H, W) of a character and its exemplar (1, 1, S, S).
    """
    started = time.perf_counter()
    levels = [render(each, exemplar[None]) for each, exemplar in zip(drawn, exemplars, strict=True)]
    taken = 1000 * (time.perf_counter() - started) / drawn[:, :, 0, 0, 0].numel()
    return torch.from_numpy(1 - np.stack(levels) / np.float32(255))[:, :, None], taken


def row(name: str, scores: Scores, uneven: str, taken: float, other: Scores | None = None) -> str:
    """A row of the table. The difference to `other` has a 95 % interval over characters."""
    text = f"{name:20} {scores.recognizability.value:.4f} {scores.diversity.value:9.4f}"
    text += f" {uneven:>9} {taken:12.1f}"
    if other is None:
        return text
    lost = bootstrap(
        scores.per_character["recognizability"] - other.per_character["recognizability"]
    )
    return f"{text}   {lost.value:+.4f} [{lost.low:+.4f}, {lost.high:+.4f}]"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pen", description=__doc__)
    parser.add_argument("checkpoint", nargs="?")
    parser.add_argument("--split", choices=("weak", "weak-validation"), default="weak")
    parser.add_argument("--sizes", default="112,208", help="sizes of the pictures, in pixels")
    parser.add_argument(
        "--width", type=float, default=PEN, help="width of the pen, as a fraction of the frame"
    )
    parser.add_argument("-n", type=int, default=20, help="variations of each character")
    options = parser.parse_args()
    model, critics = api.load(options.checkpoint, device="cpu"), Critics.load()
    (own, _), (small, _), (_, theirs) = (
        people(data.load("omniglot", split=options.split, part="test", size=size))
        for size in (model.size, 28, LARGE)
    )

    def measured(
        name: str, drawn: Tensor, pen: float | None, other: Scores | None = None
    ) -> Scores:
        """Print the row of drawings (C, n, 1, H, H) rendered with a `pen`; return their scores."""
        ink, taken = pictures(drawn, own, lambda each, exemplar: model.render(each, pen, exemplar))
        scores = score(small, ink, critics)
        fine = ink.shape[-1] >= LARGE
        uneven = f"{penmanship(ink, theirs).drawings.unevenness.value:.2f}" if fine else ""
        print(row(name, scores, uneven, taken, other), flush=True)
        return scores

    print(
        f"people's drawings are uneven by {strokes(theirs[:, :EACH]).unevenness.value:.2f} pixels"
    )
    print(f"{'':20} found  diversity    uneven ms a picture   against the outline")
    for size in (model.size, *map(int, options.sizes.split(","))):
        drawn = drawings(model, own, options.n, size)
        base = measured(f"outline, {size}", drawn, 0)
        if size > model.size:
            measured(f"pen, {size}", drawn, options.width, base)


if __name__ == "__main__":
    main()
