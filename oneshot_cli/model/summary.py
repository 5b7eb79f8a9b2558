"""How a whole image is read: brought to one size, and summed up by convolutions.

Both happen once; the glimpses of every step come beside them.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneshot_cli.model.config import ModelConfig
from oneshot_cli.model.engine.linear import Linear

SMALLEST = 7
AT_ONCE = 7 * 2**18
"""Numbers in the widest layer of the images that are summed up in one go on the CPU."""


class Summary(nn.Module):
    """(B, C, S, S) -> (B, summary_units): strided convolutions down to 7 x 7, then one dense layer.

    Images larger than 28 x 28 get more strided layers, and are averaged to 7 x 7 at the end.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.width = width = config.summary_channels
        layers: list[nn.Module] = [nn.Conv2d(config.channels, width, 3, padding=1), nn.SiLU()]
        channels, size = width, config.reading
        while size > SMALLEST:
            layers += [nn.Conv2d(channels, 2 * width, 3, stride=2, padding=1), nn.SiLU()]
            channels, size = 2 * width, (size + 1) // 2
        self.side = min(size, SMALLEST)
        self.convolutions = nn.Sequential(*layers)
        self.dense = Linear(channels * self.side**2, config.summary_units)

    def forward(self, images: Tensor) -> Tensor:
        # Channels last: the backward pass is several times faster so on the CPU.
        inputs = (2 * images - 1).to(memory_format=torch.channels_last)
        features = torch.cat([self.convolutions(part) for part in self._parts(inputs)])
        if features.shape[-1] != self.side:
            features = F.adaptive_avg_pool2d(features, self.side)
        return F.silu(self.dense(features.flatten(1)))

    def _parts(self, images: Tensor) -> tuple[Tensor, ...]:
        """On the CPU some at a time, whose features stay in its cache from layer to layer."""
        if images.device.type != "cpu":
            return (images,)
        widest = self.width * len(images) * images.shape[-1] ** 2
        return images.chunk(max(1, math.ceil(widest / AT_ONCE)))


def shrunk(images: Tensor, size: int) -> Tensor:
    """Larger images (B, C, S, S) at (B, C, size, size), smoothed so that no thin stroke is missed.

    A small glimpse of a large image samples one pixel in several (as would strided convolutions
    that were trained on smaller ones); grey levels keep where an edge lay between two pixels.
    """
    if images.shape[-1] == size:
        return images
    if not len(images):
        return images.new_empty(0, images.shape[1], size, size)
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)
