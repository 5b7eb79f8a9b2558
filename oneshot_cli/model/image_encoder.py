"""How a whole image is read, once for all steps: resampled to one size, and encoded."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneshot_cli.model.config import SequentialConfig
from oneshot_cli.model.engine.linear import Linear

SMALLEST = 7
AT_ONCE = 7 * 2**18
"""On the CPU as many images are encoded at a time as have so many numbers in the widest layer."""


class ImageEncoder(nn.Module):
    """(B, C, S, S) -> (B, image_encoder_units): strided convolutions to 7 x 7, and a dense layer.

    Images larger than 28 x 28 have more strided layers. Features are averaged to 7 x 7 at the end.
    """

    def __init__(self, config: SequentialConfig) -> None:
        super().__init__()
        self.width = width = config.image_encoder_channels
        layers: list[nn.Module] = [nn.Conv2d(config.channels, width, 3, padding=1), nn.SiLU()]
        channels, size = width, config.input_size
        while size > SMALLEST:
            layers += [nn.Conv2d(channels, 2 * width, 3, stride=2, padding=1), nn.SiLU()]
            channels, size = 2 * width, (size + 1) // 2
        self.side = min(size, SMALLEST)
        self.convolutions = nn.Sequential(*layers)
        self.dense = Linear(channels * self.side**2, config.image_encoder_units)

    def forward(self, images: Tensor) -> Tensor:
        # Channels last: the backward pass is several times faster so on the CPU.
        inputs = (2 * images - 1).to(memory_format=torch.channels_last)
        features = torch.cat([self.convolutions(part) for part in self._parts(inputs)])
        if features.shape[-1] != self.side:
            features = F.adaptive_avg_pool2d(features, self.side)
        return F.silu(self.dense(features.flatten(1)))

    def _parts(self, images: Tensor) -> tuple[Tensor, ...]:
        """On the CPU a few at a time, so that their features stay in its cache between layers."""
        if torch.compiler.is_compiling() or images.device.type != "cpu":
            return (images,)
        widest = self.width * len(images) * images.shape[-1] ** 2
        return images.chunk(max(1, math.ceil(widest / AT_ONCE)))


def downsampled(images: Tensor, size: int) -> Tensor:
    """Images (B, C, S, S) resampled to (B, C, size, size) with antialiasing.

    A small glimpse of a large image samples one pixel in several and can miss a thin stroke.
    Antialiased pixels keep it, and their grey levels the position of its edges.
    """
    if images.shape[-1] == size:
        return images
    if images.shape[0] == 0:
        return images.new_empty(0, images.shape[1], size, size)
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)
