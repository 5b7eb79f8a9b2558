"""What a model draws, where pictures alone do not say all."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Film:
    """Drawings step by step, and where each step looked and wrote.

    `frames` (n, T, 1, H, W) are probabilities of ink. Windows (n, T, 2, 3) are maps from patch to
    image coordinates in [-1, 1]: `write_windows` on the canvas, `read_windows` on the exemplars,
    `target_windows` on the picture that is redrawn (or None). `exemplars` (M, 1, S, S) is what was
    read.
    """

    frames: Tensor
    write_windows: Tensor
    read_windows: Tensor
    target_windows: Tensor | None
    exemplars: Tensor


@dataclass(frozen=True)
class NewCharacters:
    """`pictures` (n, 1, H, W) in [0, 1] and their `distance` (n, M) to each context image."""

    pictures: Tensor
    distance: Tensor
