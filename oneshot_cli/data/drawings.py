"""Drawings of characters of alphabets: the shape that every data set is brought into."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from oneshot_cli.data.resampling import area_weights, box_ink

__all__ = ["Drawings", "area_weights"]


@dataclass(frozen=True)
class Drawings:
    """A set of drawings, grouped into characters, grouped into alphabets.

    `images` is uint8 (N, H, W) with ink 1; `character` is int64 (N,), ascending, the index of each
    drawing's character; `alphabet` is int64 (C,), the index of each character's alphabet.
    """

    images: Tensor
    character: Tensor
    alphabet: Tensor
    characters: tuple[str, ...]
    alphabets: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size(self) -> int:
        """The height and width of the images, in pixels."""
        return self.images.shape[-1]

    def subset(self, keep: Tensor) -> Drawings:
        """Keep the characters where `keep` (C,) is true; alphabets left empty keep their index."""
        renumber = keep.long().cumsum(0) - 1
        drawings = keep[self.character]
        return Drawings(
            images=self.images[drawings],
            character=renumber[self.character[drawings]],
            alphabet=self.alphabet[keep],
            characters=tuple(n for n, k in zip(self.characters, keep.tolist(), strict=True) if k),
            alphabets=self.alphabets,
        )

    def resized(self, size: int) -> Drawings:
        """The drawings at `size` x `size`, by the house protocol (`box_ink`)."""
        if size == self.size:
            return self
        return replace(
            self, images=torch.cat([box_ink(chunk, size) for chunk in self.images.split(2048)])
        )
