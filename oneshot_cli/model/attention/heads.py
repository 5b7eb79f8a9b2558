"""Read and write heads: how a model uses an attention, for every kind of attention."""

from __future__ import annotations

from torch import Tensor, nn

from oneshot_cli.model.engine.capability import reads_jointly
from oneshot_cli.model.engine.linear import Linear, linear
from oneshot_cli.model.registry import ATTENTIONS


@reads_jointly("forward")
class Reader(nn.Module):
    """Glimpses (B, width) of images (B, channels, size, size) through windows that h chooses."""

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
        self.attention = ATTENTIONS[attention](hidden, size, glimpse, scale)
        self.width = channels * self.attention.side**2

    def forward(self, images: Tensor, window: Tensor) -> Tensor:
        """Read images through a window each."""
        return self.attention.read(images, window).flatten(1)


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
        self.attention = ATTENTIONS[attention](hidden, size, patch, scale)
        self.channels = channels
        self.content = Linear(hidden, channels * self.attention.side**2)

    def patches(self, h: Tensor, mix: Tensor | None = None) -> Tensor:
        """The patches (B, C, N, N) for states (B, hidden).

        With `mix` (O, C), a 1 x 1 convolution of the canvas, they are the mixed patches (B, O, N,
        N). Writing is linear, so mixing a patch before it is written equals mixing the canvas after
        it, and the mixing can be folded into the weights that compute the patch.
        """
        weight, bias = self.content.weight, self.content.bias
        channels, side = self.channels, self.attention.side
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
        return self.attention.write(patches, window, size)

    def write_all(self, patches: Tensor, window: Tensor, size: int) -> Tensor:
        """The sum of T of them for each canvas: (B, T, C, N, N) -> (B, C, size, size)."""
        return self.attention.write_all(patches, window, size)
