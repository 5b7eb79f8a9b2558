"""What an attention is: a window that a state chooses, and how it is read and written through."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn


class Attention(nn.Module, ABC):
    """Turns states (..., hidden) into windows (..., any shape), and reads and writes through them.

    It does so in two parts, a network and a function of its outputs, so that the windows of several
    readers can be computed in one call. It reads patches of `side` x `side` from images of `size` x
    `size`, and writes such patches on canvases of any size.

    `hidden` is the width of a state, and `scale` the half-width of a window before training.

    A subclass whose `window` and `read` use no weights may be decorated with `reads_jointly`: then
    several readers of it share one call (see `JointReader`).
    """

    any_size: ClassVar[bool] = True
    """Whether images can be read at a smaller size than the canvas is written at."""

    def __init__(self, hidden: int, size: int, side: int, scale: float) -> None:
        super().__init__()
        self.size = size
        self.side = side

    def forward(self, h: Tensor) -> Tensor:
        """The window that a state chooses."""
        return self.window(self.window_parameters(h))

    @abstractmethod
    def window_parameters(self, h: Tensor) -> Tensor:
        """The network's unbounded parameters of the window, (..., N)."""

    @abstractmethod
    def window(self, parameters: Tensor) -> Tensor:
        """The window with the parameters (..., N)."""

    @abstractmethod
    def read(self, images: Tensor, window: Tensor) -> Tensor:
        """(B, C, size, size) through a window each: (B, C, side, side)."""

    @abstractmethod
    def write(self, patches: Tensor, window: Tensor, size: int) -> Tensor:
        """(B, C, side, side) placed on empty canvases: (B, C, size, size)."""

    def write_all(self, patches: Tensor, window: Tensor, size: int) -> Tensor:
        """T patches for each canvas, (B, T, C, side, side), and their sum: (B, C, size, size)."""
        writes = self.write(patches.flatten(0, 1), window.flatten(0, 1), size)
        return writes.unflatten(0, patches.shape[:2]).sum(1)

    @abstractmethod
    def frame(self, window: Tensor) -> Tensor:
        """Windows as maps (..., 2, 3) from patch to image coordinates in [-1, 1], for display."""
