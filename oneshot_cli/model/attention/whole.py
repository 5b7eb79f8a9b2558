"""No attention: the whole image is read and written through dense layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from oneshot_cli.model.attention.base import Attention
from oneshot_cli.model.engine.capability import reads_jointly


@reads_jointly("forward", "window", "read")
class FullyConnected(Attention):
    """Every window is the whole image, for every state; patches are as large as the image."""

    any_size = False

    def __init__(self, hidden: int, size: int, side: int, scale: float) -> None:
        super().__init__(hidden, size, size, scale)

    def window_parameters(self, h: Tensor) -> Tensor:
        return h[..., :0]

    def window(self, parameters: Tensor) -> Tensor:
        return whole_image(parameters, *parameters.shape[:-1])

    def read(self, images: Tensor, window: Tensor) -> Tensor:
        return images

    def write(self, patches: Tensor, window: Tensor, size: int) -> Tensor:
        return at_size(patches, size)

    def frame(self, window: Tensor) -> Tensor:
        return window


def whole_image(like: Tensor, *shape: int) -> Tensor:
    """The window that is the whole image, (*shape, 2, 3), on the device of `like`."""
    return torch.eye(2, 3, device=like.device).expand(*shape, 2, 3)


def at_size(canvas: Tensor, size: int) -> Tensor:
    """(B, P, S, S) resampled to `size` x `size`, bilinearly."""
    if canvas.shape[-1] == size:
        return canvas
    return F.interpolate(canvas, size=(size, size), mode="bilinear", align_corners=False)
