"""Two MNIST digits in a larger image, as in DRAW (Gregor et al. 2015, section 4.3)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from oneshot_cli.data import mnist
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.fetch import Progress
from oneshot_cli.data.mnist import binarized
from oneshot_cli.data.splits import Selection

CANVAS = 60


def load(
    data_dir: str | Path | None,
    selection: Selection,
    progress: Progress | None = None,
    *,
    binarization: str = "dynamic",
    seed: int = 0,
) -> Drawings:
    """Load as many images as MNIST has digits in the part, without labels.

    `binarization` is as for MNIST. Test images consist of test digits.
    """
    digits = mnist.load(
        data_dir, Selection(selection.split, selection.part), progress, binarization="none"
    )
    images = pairs(digits.images, torch.Generator().manual_seed(seed))
    drawings = Drawings(
        images=images,
        character=torch.zeros(len(images), dtype=torch.long),
        alphabet=torch.zeros(1, dtype=torch.long),
        characters=("digits/two",),
        alphabets=("digits",),
        levels=256,
    )
    return binarized(drawings.resized(selection.size), binarization, test=selection.part == "test")


def pairs(digits: Tensor, generator: torch.Generator, canvas: int = CANVAS) -> Tensor:
    """Images (N, canvas, canvas) of two random digits at random places, from digits (N, S, S).

    All are uint8. Where digits overlap, intensities add up to at most 255.
    """
    count, side = digits.shape[0], digits.shape[-1]
    images = torch.zeros(count, canvas * canvas, dtype=torch.uint8)
    inside = torch.arange(side)
    cells = (inside[:, None] * canvas + inside).flatten()
    for _ in range(2):
        chosen = torch.randint(count, (count,), generator=generator)
        row, column = torch.randint(canvas - side + 1, (2, count), generator=generator)
        place = (row * canvas + column)[:, None] + cells
        for part in torch.arange(count).split(4096):
            under = images[part].gather(1, place[part]).int()
            added = (under + digits[chosen[part]].flatten(1)).clamp(max=255).to(torch.uint8)
            images[part] = images[part].scatter(1, place[part], added)
    return images.view(count, canvas, canvas)
