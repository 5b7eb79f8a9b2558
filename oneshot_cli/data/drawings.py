"""`Drawings`: the common form of all data sets, drawings of characters of alphabets."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from oneshot_cli.devices import to_device
from oneshot_cli.imaging.resampling import box_grey, box_ink


@dataclass(frozen=True)
class Drawings:
    """A set of drawings, grouped into characters, which are grouped into alphabets.

    `images` is uint8 (N, H, W), from 0 for paper to `levels - 1` for ink, or (N, 3, H, W) with
    colour intensities. `character` is int64 (N,), the index of each drawing's character, in
    ascending order. `alphabet` is int64 (C,), the index of each character's alphabet. `characters`
    and `alphabets` are their names.

    A `dynamic` set is binarized at random: a pixel is ink with the probability of its grey value
    (Burda et al. 2015). `visit` does that anew in each call, `fixed` does it once.
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
        """The number of channels: 1, or 3 for colour."""
        return self.images.shape[1] if self.images.dim() == 4 else 1

    def fingerprint(self) -> str:
        """A hash of the images, and of which are of one character."""
        found = hashlib.sha256(self.images.cpu().numpy().tobytes())
        found.update(self.character.cpu().numpy().tobytes())
        return found.hexdigest()

    def subset(self, keep: Tensor) -> Drawings:
        """The drawings of characters where `keep` (C,) is true. Alphabets keep their indices."""
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
        """The drawings at `size` x `size`, by `box_ink`, or by `box_grey` for grey levels."""
        if size == self.size:
            return self
        resample = box_ink if self.levels == 2 else box_grey
        return replace(
            self, images=torch.cat([resample(chunk, size) for chunk in self.images.split(2048)])
        )

    def pictures(self, index: Tensor) -> Tensor:
        """Drawings `index` (...) without binarization: float (..., C, H, W) in [0, 1]."""
        grey = self._grey(index)
        return grey if self.channels > 1 else grey[..., None, :, :]

    def visit(self, index: Tensor, generator: torch.Generator, part: slice = slice(None)) -> Tensor:
        """Drawings `index` (...) as a model sees them: float (..., [3,] H, W) in [0, 1].

        A dynamic set is binarized with random numbers of `generator`. Returns the slice `part` of
        the first axis, with the values that the whole would have, on the device of the images.
        """
        if self.dynamic:
            return torch.bernoulli(self._grey(index), generator=generator)[part]
        return self._grey(to_device(index[part], self.images.device))

    def _grey(self, index: Tensor) -> Tensor:
        return self.images[index].float() / (self.levels - 1)

    def to(self, device: torch.device | str) -> Drawings:
        """The same with the images on `device`.

        A dynamic set stays on the CPU, whose random numbers are the same on every machine.
        """
        return self if self.dynamic else replace(self, images=self.images.to(device))

    def fixed(self, seed: int = 0) -> Drawings:
        """A dynamic set binarized once, by `seed`. Other sets are returned unchanged."""
        if not self.dynamic:
            return self
        generator = torch.Generator().manual_seed(seed)
        ink = [
            self.visit(chunk, generator).to(torch.uint8)
            for chunk in torch.arange(len(self)).split(2048)
        ]
        return replace(self, images=torch.cat(ink), levels=2, dynamic=False)
