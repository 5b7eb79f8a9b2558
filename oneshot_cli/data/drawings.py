"""Drawings of characters of alphabets: the shape that every data set is brought into."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from oneshot_cli.data.resampling import box_grey, box_ink
from oneshot_cli.devices import to_device


@dataclass(frozen=True)
class Drawings:
    """A set of drawings, grouped into characters, grouped into alphabets.

    `images` is uint8 (N, H, W), 0 paper to `levels - 1` ink, or intensities (N, 3, H, W) in
    colour; `character` is int64 (N,), ascending,
    the index of each drawing's character; `alphabet` is int64 (C,), the index of each character's
    alphabet. A `dynamic` set is binary at each visit: ink with the probability that the grey value
    says (Burda et al. 2015), drawn anew by `visit` or once for all by `fixed`.
    """

    images: Tensor
    character: Tensor
    alphabet: Tensor
    characters: tuple[str, ...]
    alphabets: tuple[str, ...]
    levels: int = 2
    dynamic: bool = False

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size(self) -> int:
        """The height and width of the images, in pixels."""
        return self.images.shape[-1]

    @property
    def channels(self) -> int:
        """1, or 3 in colour."""
        return self.images.shape[1] if self.images.dim() == 4 else 1

    def subset(self, keep: Tensor) -> Drawings:
        """Keep the characters where `keep` (C,) is true; alphabets left empty keep their index."""
        renumber = keep.long().cumsum(0) - 1
        drawings = keep[self.character]
        return replace(
            self,
            images=self.images[drawings],
            character=renumber[self.character[drawings]],
            alphabet=self.alphabet[keep],
            characters=tuple(n for n, k in zip(self.characters, keep.tolist(), strict=True) if k),
        )

    def resized(self, size: int) -> Drawings:
        """The drawings at `size` x `size`: `box_ink`, the house protocol; grey ones `box_grey`."""
        if size == self.size:
            return self
        resample = box_ink if self.levels == 2 else box_grey
        return replace(
            self, images=torch.cat([resample(chunk, size) for chunk in self.images.split(2048)])
        )

    def pictures(self, index: Tensor) -> Tensor:
        """Drawings `index` (...) as they are, never binarized: float (..., C, H, W) in [0, 1]."""
        grey = self._grey(index)
        return grey if self.channels > 1 else grey[..., None, :, :]

    def visit(self, index: Tensor, generator: torch.Generator, part: slice = slice(None)) -> Tensor:
        """Drawings `index` (...) as the model sees them now: float (..., [3,] H, W) in [0, 1].

        Only `part` of the first axis is made, the same as if all were. They are where the images
        are.
        """
        if self.dynamic:
            return torch.bernoulli(self._grey(index), generator=generator)[part]
        return self._grey(to_device(index[part], self.images.device))

    def _grey(self, index: Tensor) -> Tensor:
        return self.images[index].float() / (self.levels - 1)

    def to(self, device: torch.device | str) -> Drawings:
        """The images on `device`, to be visited there. A dynamic set stays where it is: on the CPU,
        whose random numbers are the same on every machine."""
        return self if self.dynamic else replace(self, images=self.images.to(device))

    def fixed(self, seed: int = 0) -> Drawings:
        """A dynamic set drawn once: binary, the same for a seed. Others stay as they are."""
        if not self.dynamic:
            return self
        generator = torch.Generator().manual_seed(seed)
        ink = [
            self.visit(chunk, generator).to(torch.uint8)
            for chunk in torch.arange(len(self)).split(2048)
        ]
        return replace(self, images=torch.cat(ink), levels=2, dynamic=False)
