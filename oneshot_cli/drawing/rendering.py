"""How a model's drawings become levels that can be looked at."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from oneshot_cli.drawing.arguments import check
from oneshot_cli.imaging.exemplar import PEN
from oneshot_cli.imaging.rendering import Bytes, inked, penned, vectorized
from oneshot_cli.model import Config


@dataclass(frozen=True)
class Rendering:
    """Shows the drawings of a model with this configuration."""

    config: Config

    def pen(self, size: int, width: float | None = None) -> float:
        """The pen's width for pictures of `size` pixels, see `Oneshot.pen`."""
        if not self.config.binary or self.config.channels != 1:
            return 0.0
        if width is None:
            return PEN if self.config.conditional and size > self.config.size else 0.0
        return width

    def filled(self, exemplars: Tensor | None) -> bool:
        """Whether the pen fills areas in drawings of these exemplars (M, 1, S, S).

        It does if one has a filled part, or if there are none. Elsewhere areas are blots.
        """
        if exemplars is None or not len(exemplars):
            return True
        return any(drawing.areas for drawing in vectorized(exemplars, PEN))

    def levels(
        self, pictures: Tensor, pen: float | None = None, exemplars: Tensor | None = None
    ) -> Bytes:
        """Pictures (..., C, H, W) as uint8 levels, see `Oneshot.render`."""
        check(pen=pen)
        if width := self.pen(pictures.shape[-1], pen):
            return penned(pictures, width, filled=self.filled(exemplars))
        if pictures.shape[-3] == 1:
            binary = self.config.binary
            sharp = self.config.input_size if binary else pictures.shape[-1]
            return inked(pictures, sharp)
        return (255 * pictures).round().to(torch.uint8).movedim(-3, -1).numpy()
