"""Results of drawing that are more than pictures."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Film:
    """The canvas after each of T steps of n drawings, and the windows of each step.

    `frames` (n, T, 1, H, W) are probabilities of ink. Windows (n, T, 2, 3) are affine maps from
    patch to image coordinates in [-1, 1]: `write_windows` on the canvas, `read_windows` on the
    exemplars, `target_windows` on the picture that the posterior reads (None without one).
    `exemplars` (M, 1, S, S) are the exemplars as the model reads them.
    """

    frames: Tensor
    write_windows: Tensor
    read_windows: Tensor
    target_windows: Tensor | None
    exemplars: Tensor


@dataclass(frozen=True)
class NewCharacters:
    """`pictures` (n, 1, H, W) in [0, 1] and their `distance` (n, M) to each context image.

    `noise` (n, ...) are the random numbers that they were drawn with.
    """

    pictures: Tensor
    distance: Tensor
    noise: Tensor
