"""What an attention is: a choice of where to look, and how to read and write there."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Attention(nn.Module, ABC):
    """Turns states (..., hidden) into windows (..., whatever describes one), and uses them.

    It does so in two parts, so that windows of several heads can be made of their numbers at once.

    It reads patches of `side` x `side` out of images of `size` x `size`, and writes such patches
    on canvases of any size.
    """

    def __init__(self, size: int, side: int) -> None:
        super().__init__()
        self.size = size
        self.side = side

    def forward(self, h: Tensor) -> Tensor:
        """The window that a state chooses."""
        return self.window(self.numbers(h))

    @abstractmethod
    def numbers(self, h: Tensor) -> Tensor:
        """What the network says of the window, (..., N)."""

    @abstractmethod
    def window(self, numbers: Tensor) -> Tensor:
        """The window that numbers (..., N) stand for."""

    @abstractmethod
    def read(self, images: Tensor, window: Tensor) -> Tensor:
        """(B, C, size, size) through a window each: (B, C, side, side)."""

    @abstractmethod
    def write(self, patches: Tensor, window: Tensor, size: int) -> Tensor:
        """(B, C, side, side) placed on empty canvases: (B, C, size, size)."""

    def write_all(self, patches: Tensor, window: Tensor, size: int) -> Tensor:
        """T patches each, (B, T, C, side, side), placed on one canvas: (B, C, size, size)."""
        writes = self.write(patches.flatten(0, 1), window.flatten(0, 1), size)
        return writes.unflatten(0, patches.shape[:2]).sum(1)

    @abstractmethod
    def frame(self, window: Tensor) -> Tensor:
        """Windows as maps (..., 2, 3) from patch to image coordinates in [-1, 1], to be shown."""
