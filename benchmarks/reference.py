"""The same conditional model in the style of public repositories: eager, step by step.

Each step reads the target and its canvas error x - sigmoid(c) (as in DRAW), reads the context,
updates the state, and writes all channels of its patch to the whole canvas at once; the canvas is
read out by a 1 x 1 convolution. It takes the sizes of a `SequentialConfig`, the same latents,
windows and image encoders (or none); grids come from `affine_grid`, states from `LSTMCell`. Because
the error makes every step wait for the canvas, none of the engine's rewritings can be applied.

Without the error (`canvas_error=False`) it computes the same function as `SequentialGenerator` with
the same weights (`adopt`). The tests use that.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneshot_cli.model import Bound, Context, SequentialConfig
from oneshot_cli.model.attention import inverse, windows
from oneshot_cli.model.canvas import GatedCanvas
from oneshot_cli.model.gaussian import (
    gaussian_analytical_kl,
    gaussian_log_density,
    mean_and_log_std,
    standard_normal_log_density,
)
from oneshot_cli.model.image_encoder import ImageEncoder
from oneshot_cli.model.likelihood import bernoulli_log_likelihood
from oneshot_cli.model.sequential import SequentialGenerator

WINDOW_GAIN = 0.2


def sample(images: Tensor, maps: Tensor, size: int) -> Tensor:
    """(B, C, H, W) at the maps (B, 2, 3) of a size x size grid."""
    shape = [len(images), images.shape[1], size, size]
    grid = F.affine_grid(maps, shape, align_corners=False)
    return F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)


class PlainImageEncoder(ImageEncoder):
    """The same layers, in the memory format that images come in."""

    def forward(self, images: Tensor) -> Tensor:
        features = self.convolutions(2 * images - 1)
        features = F.adaptive_avg_pool2d(features, self.side)
        return F.silu(self.dense(features.flatten(1)))


def embedded(encoder: PlainImageEncoder | None, layer: nn.Linear | None, images: Tensor) -> Tensor:
    """What an encoding of images (B, C, S, S) adds to a layer (B, units): 0 where there is none."""
    if encoder is None or layer is None:
        return images.new_zeros(())
    return layer(encoder(images))


class Gates(nn.Module):
    """The convolutional gated recurrent unit of the gated canvas."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.candidate = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, canvas: Tensor, write: Tensor) -> Tensor:
        added = canvas + write
        update, reset = torch.sigmoid(self.gates(added)).chunk(2, 1)
        candidate = torch.tanh(self.candidate(reset * added))
        return update * added + (1 - update) * candidate


class Reference(nn.Module):
    """`bound` and `sample` of the sequential generator, for one channel of ink."""

    def __init__(self, config: SequentialConfig, *, canvas_error: bool = True) -> None:
        super().__init__()
        self.config, self.canvas_error = config, canvas_error
        hidden, glimpse = config.hidden, config.glimpse**2
        units, width = config.posterior_units, config.context_units
        summed = config.image_encoder_units > 0
        # What is read of the context.
        self.context_encoder = PlainImageEncoder(config) if summed else None
        self.context_window = nn.Linear(hidden, 6)
        self.embed_glimpse = nn.Linear(glimpse, width)
        self.embed_context = nn.Linear(config.image_encoder_units, width) if summed else None
        self.embed_kind = nn.Embedding(2, width)
        self.null = nn.Embedding(2, width)
        self.query = nn.Linear(hidden, width)
        # What is read of the target, and of the canvas error with the same window.
        self.target_encoder = PlainImageEncoder(config) if summed else None
        self.target_window = nn.Linear(hidden, 6)
        self.embed_target = nn.Linear(config.image_encoder_units, units) if summed else None
        read = glimpse * (2 if canvas_error else 1)
        self.embed_step = nn.Linear(read + hidden + width, units)
        self.posterior = nn.Linear(units, 2 * config.latent)
        # The state, and writing to the canvas.
        self.start = nn.Parameter(torch.zeros(2, hidden))
        self.lstm = nn.LSTMCell(config.latent + width, hidden)
        self.patch = nn.Linear(hidden, config.canvas_channels * config.patch**2)
        self.patch_window = nn.Linear(hidden, 6)
        self.gates = Gates(config.canvas_channels) if config.canvas == "gated" else None
        self.output = nn.Conv2d(config.canvas_channels, 1, 1)

    def window(self, layer: nn.Linear, h: Tensor, scale: float) -> Tensor:
        """The window (B, 2, 3) for the state h."""
        return windows(WINDOW_GAIN * layer(h).float(), scale)

    def read_context(self, h: Tensor, context: Context, encoders: Tensor) -> Tensor:
        """v (B, width): attention over a glimpse and an encoding of each image, and the null."""
        batch, members = context.mask.shape
        kind = context.alphabet.long()
        window = self.window(self.context_window, h, self.config.read_scale)
        window = window[:, None].expand(batch, members, 2, 3).flatten(0, 1)
        glimpses = sample(context.images.flatten(0, 1), window, self.config.glimpse).flatten(1)
        embedded = (self.embed_glimpse(glimpses) + encoders).unflatten(0, (batch, members))
        values = F.silu(embedded + self.embed_kind(kind)[:, None])
        values = torch.cat([self.null(kind)[:, None], values], 1)
        scores = values @ self.query(h)[:, :, None] * self.config.context_units**-0.5
        present = F.pad(context.mask, (1, 0), value=True)[:, :, None]
        weights = scores.masked_fill(~present, -torch.inf).softmax(1)
        return (weights * values).sum(1)

    def read_target(
        self, h: Tensor, v: Tensor, x: Tensor, canvas: Tensor, encoder: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of the posterior of z."""
        window = self.window(self.target_window, h, self.config.read_scale)
        seen = x
        if self.canvas_error:
            seen = torch.cat([x, x - torch.sigmoid(self.output(canvas).float())], 1)
        glimpse = sample(seen, window, self.config.glimpse).flatten(1)
        step = self.embed_step(torch.cat([glimpse, h, v], -1))
        return mean_and_log_std(self.posterior(F.silu(step + encoder)))

    def write(self, canvas: Tensor, h: Tensor) -> Tensor:
        """The next canvas (B, C, S, S)."""
        side, size = self.config.patch, canvas.shape[-1]
        patch = self.patch(h).float().view(-1, self.config.canvas_channels, side, side)
        window = self.window(self.patch_window, h, self.config.write_scale)
        written = sample(patch, inverse(window), size)
        return canvas + written if self.gates is None else self.gates(canvas, written)

    def bound(
        self, x: Tensor, context: Context, noise: Tensor, gradient_limit: float | None = None
    ) -> Bound:
        """The terms of the bound for images (B, 1, S, S) and noise (B, 1, T, latent)."""
        encoder = embedded(self.target_encoder, self.embed_target, x)
        h, cell, canvas, encoders = self._begin(context, x.shape[-1])
        kls, ratios, means = [], [], []
        for t in range(self.config.steps):
            v = self.read_context(h, context, encoders)
            mean, log_std = self.read_target(h, v, x, canvas, encoder)
            z = mean + log_std.exp() * noise[:, 0, t]
            means.append(mean.detach())
            kls.append(gaussian_analytical_kl(mean, log_std))
            ratios.append(gaussian_log_density(z, mean, log_std) - standard_normal_log_density(z))
            h, cell = self.lstm(torch.cat([z, v], -1), (h, cell))
            canvas = self.write(canvas, h)
        logits = self.output(canvas).float()
        return Bound(
            log_likelihood=bernoulli_log_likelihood(logits, x)[:, None],
            kl=torch.stack(kls, -1)[:, None],
            log_ratio=torch.stack(ratios, -1)[:, None],
            posterior_mean=torch.cat(means, -1)[:, None],
        )

    def sample(self, context: Context, noise: Tensor, *, size: int | None = None) -> Tensor:
        """Drawings (B, 1, size, size) from noise (B, T, latent): probabilities of ink."""
        h, cell, canvas, encoders = self._begin(context, size or self.config.size)
        for t in range(self.config.steps):
            v = self.read_context(h, context, encoders)
            h, cell = self.lstm(torch.cat([noise[:, t], v], -1), (h, cell))
            canvas = self.write(canvas, h)
        return torch.sigmoid(self.output(canvas).float())

    def _begin(self, context: Context, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Initial state and cell, empty canvas, and embedded summaries of the context."""
        h, cell = self.start[:, None].expand(2, len(context), self.config.hidden)
        canvas = h.new_zeros(len(context), self.config.canvas_channels, size, size)
        images = context.images.flatten(0, 1)
        encoders = embedded(self.context_encoder, self.embed_context, images)
        return h, cell, canvas, encoders

    @torch.no_grad()
    def adopt(self, engine: SequentialGenerator) -> None:
        """Copy the weights of `engine`. The weights of the canvas error become 0."""
        assert engine.context is not None
        context, posterior, writer = engine.context, engine.posterior, engine.writer
        pairs: list[tuple[nn.Module | None, nn.Module | None]] = [
            (self.context_encoder, context.image_encoder),
            (self.context_window, context.reader.attention.get_submodule("linear")),
            (self.embed_glimpse, context.embed_glimpse),
            (self.embed_context, context.embed_image),
            (self.embed_kind, context.embed_kind),
            (self.null, context.null),
            (self.query, context.query),
            (self.target_encoder, posterior.image_encoder),
            (self.target_window, posterior.reader.attention.get_submodule("linear")),
            (self.embed_target, posterior.embed_image),
            (self.posterior, posterior.output),
            (self.patch, writer.content),
            (self.patch_window, writer.attention.get_submodule("linear")),
            (self.output, engine.canvas.get_submodule("output")),
        ]
        for mine, theirs in pairs:
            if mine is None or theirs is None:
                assert mine is theirs
            else:
                mine.load_state_dict(theirs.state_dict())
        if self.gates is not None:
            assert isinstance(engine.canvas, GatedCanvas)
            self.gates.gates.load_state_dict(engine.canvas.gates.state_dict())
            self.gates.candidate.load_state_dict(engine.canvas.candidate.state_dict())
        self.start.copy_(engine.start)
        glimpse, weight = self.config.glimpse**2, posterior.embed_step.weight
        self.embed_step.weight.zero_()
        self.embed_step.weight[:, :glimpse] = weight[:, :glimpse]
        self.embed_step.weight[:, glimpse - weight.shape[1] :] = weight[:, glimpse:]
        self.embed_step.bias.copy_(posterior.embed_step.bias)
        inputs = self.config.latent + self.config.context_units
        self.lstm.weight_ih.copy_(engine.transition.weight[:, :inputs])
        self.lstm.weight_hh.copy_(engine.transition.weight[:, inputs:])
        self.lstm.bias_ih.copy_(engine.transition.bias)
        self.lstm.bias_hh.zero_()
