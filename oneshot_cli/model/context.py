"""The context: a set of images, and v_t = f_v(h_{t-1}, x'), what a step reads of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneshot_cli.model.attention import Reader
from oneshot_cli.model.config import SequentialConfig
from oneshot_cli.model.engine.linear import Linear
from oneshot_cli.model.image_encoder import ImageEncoder, downsampled


@dataclass(frozen=True)
class Context:
    """x', the images that a drawing is conditioned on.

    `images` (B, M, C, S, S) with ink 1; `mask` (B, M) bool, true for images, false for padding;
    `alphabet` (B,) bool: whether they are characters of the target's alphabet (task 3) rather than
    drawings of the target's own character (task 2). Without any image it is task 1.
    """

    images: Tensor
    mask: Tensor
    alphabet: Tensor

    @classmethod
    def empty(cls, batch: int, size: int, device: torch.device | str = "cpu") -> Context:
        """No context: unconditional generation."""
        return cls(
            images=torch.zeros(batch, 0, 1, size, size, device=device),
            mask=torch.zeros(batch, 0, dtype=torch.bool, device=device),
            alphabet=torch.zeros(batch, dtype=torch.bool, device=device),
        )

    @classmethod
    def of(cls, images: Tensor, *, alphabet: bool = False) -> Context:
        """The context of images (B, M, C, S, S), without padding."""
        batch, members = images.shape[:2]
        return cls(
            images=images,
            mask=torch.ones(batch, members, dtype=torch.bool, device=images.device),
            alphabet=torch.full((batch,), alphabet, device=images.device),
        )

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> Context:
        """The same on `device`."""
        return Context(self.images.to(device), self.mask.to(device), self.alphabet.to(device))


@dataclass(frozen=True)
class EncodedContext:
    """What of the context does not depend on h.

    Images (B * M, C, S, S), their encodings (B, M, units), the mask (B, M) and the null member
    (B, units).
    """

    images: Tensor
    features: Tensor
    mask: Tensor
    null: Tensor

    def repeat(self, times: int) -> EncodedContext:
        """Each example `times` times, one after the other."""
        if times == 1:
            return self
        members = self.mask.shape[1]
        images = self.images.unflatten(0, (-1, members)) if members else self.images
        return EncodedContext(
            images=images.repeat_interleave(times, 0).flatten(0, 1) if members else images,
            features=self.features.repeat_interleave(times, 0),
            mask=self.mask.repeat_interleave(times, 0),
            null=self.null.repeat_interleave(times, 0),
        )


class ContextReader(nn.Module):
    """v_t = f_v(h_{t-1}, x'): a glimpse of each image, then attention over the set.

    Each image has the value e_m = silu(G glimpse_m + s_m), with a glimpse through a window that h
    chooses and an encoding s_m computed once; v_t = sum_m a_m e_m with a = softmax(query(h) . e). A
    learned null member is always in the set. So the empty set needs no special case, and the model
    can ignore the context. The order of the set does not matter.
    """

    def __init__(self, config: SequentialConfig) -> None:
        super().__init__()
        units = config.context_units
        self.units = units
        self.size = config.input_size
        self.image_encoder = ImageEncoder(config) if config.encodes_context else None
        self.reader = Reader(
            config.hidden,
            config.glimpse,
            config.read_scale,
            channels=config.channels,
            size=config.input_size,
            attention=config.attention,
        )
        self.embed_glimpse = Linear(self.reader.width, units)
        self.embed_image = Linear(config.image_encoder_units, units) if self.image_encoder else None
        self.embed_kind = nn.Embedding(2, units)
        self.null = nn.Embedding(2, units)
        self.query = Linear(config.hidden, units)
        nn.init.normal_(self.embed_kind.weight, std=0.1)
        nn.init.normal_(self.null.weight, std=0.1)

    def encode(self, context: Context) -> EncodedContext:
        """The context, with what is the same at every step."""
        batch, members = context.mask.shape
        kind = context.alphabet.long()
        images = downsampled(context.images.flatten(0, 1), self.size)
        features = self.embed_kind(kind)[:, None].expand(batch, members, self.units)
        if self.image_encoder is not None and self.embed_image is not None and members:
            embedded = self.embed_image(self.image_encoder(images))
            features = features + embedded.unflatten(0, (batch, members))
        return EncodedContext(images, features, context.mask, self.null(kind))

    def forward(self, h: Tensor, glimpses: Tensor, encoded: EncodedContext) -> Tensor:
        """v_t (B, units), for glimpses (B * M, width) of `reader`."""
        members = encoded.mask.shape[1]
        if not members:
            return encoded.null
        read = F.silu(self.embed_glimpse(glimpses).unflatten(0, (-1, members)) + encoded.features)
        values = torch.cat([encoded.null[:, None], read], 1)
        return attend(values, self.query(h), attention_mask(encoded.mask))[0]


def attention_mask(mask: Tensor) -> Tensor:
    """Additive attention mask (B, 1 + M), from `mask` (B, M), true for members of the context.

    It is 0 for members and minus infinity for padding. The null member is never masked.
    """
    member = F.pad(mask, (1, 0), value=True)
    return torch.zeros(member.shape, device=mask.device).masked_fill(~member, -torch.inf)


def attend(values: Tensor, query: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Attention over a set: sum_m a_m values_m (B, D) and the weights a (B, 1 + M).

        a = softmax(values . query / sqrt(D) + mask)

    For values (B, 1 + M, D), a query (B, D) and an additive mask (B, 1 + M).
    """
    # Sums of products, not batched matrix products: the sets are small, and those are slow.
    products = (values * query[:, None]).sum(-1)
    scores = torch.add(mask, products, alpha=values.shape[-1] ** -0.5)
    weights = scores.softmax(-1).to(values.dtype)
    return (weights[..., None] * values).sum(1), weights
