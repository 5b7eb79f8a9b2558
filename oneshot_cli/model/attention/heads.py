"""Read and write heads: what a model does with an attention, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from oneshot_cli.model.attention.base import Attention
from oneshot_cli.model.attention.filterbank import GaussianFilters
from oneshot_cli.model.attention.spatial_transformer import FreeTransformer, SpatialTransformer
from oneshot_cli.model.attention.whole import FullyConnected
from oneshot_cli.model.linear import Linear, linear

ATTENTIONS: dict[str, type[SpatialTransformer | GaussianFilters | FullyConnected]] = {
    "spatial-transformer": SpatialTransformer,
    "free-transformer": FreeTransformer,
    "gaussian": GaussianFilters,
    "fully-connected": FullyConnected,
}


class Reader(nn.Module):
    """Takes glimpses of images (B, channels, size, size) where h says: (B, width)."""

    def __init__(
        self,
        hidden: int,
        glimpse: int,
        scale: float,
        *,
        channels: int = 1,
        size: int = 28,
        attention: str = "spatial-transformer",
    ) -> None:
        super().__init__()
        self.aim: Attention = ATTENTIONS[attention](hidden, size, glimpse, scale)
        self.width = channels * self.aim.side**2

    def forward(self, images: Tensor, window: Tensor) -> Tensor:
        """Read images through a window each."""
        return self.aim.read(images, window).flatten(1)


class Gaze:
    """What several readers of one kind read of their own images: one call for all of them.

    `views` are each a reader and its images (B * M, C, S, S), M for each of `batch` states.
    """

    def __init__(self, batch: int, views: Sequence[tuple[Reader, Tensor]]) -> None:
        self.batch = batch
        self.readers = [reader for reader, _ in views]
        self.members = [len(images) // batch for _, images in views]
        self.images = torch.cat([images for _, images in views]) if views else torch.empty(0)

    def __call__(self, h: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Of each view the glimpses (B * M, width) and the window (B, ...), for states (B, ...)."""
        if not self.readers:
            return [], []
        first = self.readers[0]
        numbers = torch.stack([reader.aim.numbers(h) for reader in self.readers])
        windows = first.aim.window(numbers)
        glimpses = first(self.images, self.of_images(windows))
        return self.of_views(glimpses), list(windows.unbind())

    def of_images(self, views: Tensor) -> Tensor:
        """What there is for each view (V, B, ...), repeated for each of its images, all in one."""
        if set(self.members) == {1}:
            return views.flatten(0, 1)
        each = zip(views, self.members, strict=True)
        return torch.cat([view.repeat_interleave(times, 0) for view, times in each])

    def of_views(self, rows: Tensor) -> list[Tensor]:
        """What there is for all images, apart for each view: (B * M, ...)."""
        return list(rows.split([times * self.batch for times in self.members]))

    def summed(self, rows: Tensor) -> Tensor:
        """What there is for all images, summed over those of a state: (V, B, ...)."""
        if set(self.members) == {1}:
            return rows.unflatten(0, (len(self.members), self.batch))
        views = zip(self.of_views(rows), self.members, strict=True)
        return torch.stack([view.unflatten(0, (self.batch, times)).sum(1) for view, times in views])


class Writer(nn.Module):
    """Turns states into patches and the windows that place them on the canvas."""

    def __init__(
        self,
        hidden: int,
        patch: int,
        channels: int,
        scale: float,
        *,
        size: int = 28,
        attention: str = "spatial-transformer",
    ) -> None:
        super().__init__()
        self.aim: Attention = ATTENTIONS[attention](hidden, size, patch, scale)
        self.channels = channels
        self.content = Linear(hidden, channels * self.aim.side**2)

    def patches(self, h: Tensor, mix: Tensor | None = None) -> Tensor:
        """The patches (B, C, N, N) for states (B, hidden).

        With `mix` (O, C), a 1 x 1 convolution of the canvas, the patches (B, O, N, N) come already
        mixed: writing is linear, so mixing the few numbers of a patch before it is written equals
        mixing the canvas after, and it can be folded into the weights that make the patch.
        """
        weight, bias = self.content.weight, self.content.bias
        channels, side = self.channels, self.aim.side
        if mix is None:
            patches = self.content(h)
        else:
            folded = mix @ weight.view(channels, -1)
            patches = linear(
                h, folded.view(-1, weight.shape[1]), (mix @ bias.view(channels, -1)).view(-1)
            )
            channels = len(mix)
        return patches.view(-1, channels, side, side)

    def forward(self, patches: Tensor, window: Tensor, size: int) -> Tensor:
        """Place (B, C, N, N) on empty size x size canvases through a window each."""
        return self.aim.write(patches, window, size)

    def write_all(self, patches: Tensor, window: Tensor, size: int) -> Tensor:
        """The sum of T of them for each canvas: (B, T, C, N, N) -> (B, C, size, size)."""
        return self.aim.write_all(patches, window, size)
