"""Episodes: batches of a target and its context, sampled from a seed and a step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from oneshot_cli.data.augmentation import NO_AUGMENTATION, Augmentation, warped
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.devices import to_device
from oneshot_cli.ranges import SHARE, Range, check_fields, number

SEVERAL = Range(least=2, most=1_000)
"""The range of the largest number of images in a context of several."""


@dataclass(frozen=True)
class TaskMix:
    """The frequency of the paper's three tasks, and the size of the context.

    A share `empty` of the examples has an empty context (task 1). In a share `alphabet` of the
    batches, the context is 2 to `alphabet_context` other characters of the target's alphabet (task
    3). In the other batches it is other drawings of the target's character (task 2): one drawing in
    a share `single` of these batches, otherwise 2 to `character_context`.
    """

    empty: float = number(0.1, SHARE)
    alphabet: float = number(0.1, SHARE)
    single: float = number(0.85, SHARE)
    character_context: int = number(4, SEVERAL)
    alphabet_context: int = number(6, SEVERAL)

    def __post_init__(self) -> None:
        check_fields(self)

    @classmethod
    def of_task(cls, task: int) -> TaskMix:
        """Only one of the paper's tasks: 1 is unconditional, 2 one exemplar, 3 an alphabet."""
        if task not in (1, 2, 3):
            raise ValueError(f"task has to be 1, 2 or 3, not {task}")
        return cls(empty=float(task == 1), alphabet=float(task == 3), single=1.0)


@dataclass(frozen=True)
class Episode:
    """A batch of targets and their contexts.

    `target` is (B, C, S, S), `context` (B, M, C, S, S). `mask` (B, M) is true for images that
    belong to the context. `alphabet` (B,) is true for task 3. `index` (B,) has the indices of the
    targets in the drawings.
    """

    target: Tensor
    context: Tensor
    mask: Tensor
    alphabet: Tensor
    index: Tensor


class Episodes:
    """Samples episodes from `drawings`. An episode is a pure function of the seed and the step.

    `others` are the same drawings at other sizes; steps cycle through all sizes. Augmentation
    transforms `originals`, the drawings at a higher resolution, and resamples them to the size of
    the step with the method `resample`, see `imaging.resampling`. Random numbers are drawn on the
    CPU, images are made on `device`. Raises ValueError if there are no drawings.
    """

    def __init__(
        self,
        drawings: Drawings,
        mix: TaskMix,
        *,
        seed: int,
        originals: Drawings | None = None,
        resample: str = "area",
        others: Sequence[Drawings] = (),
        device: torch.device | str = "cpu",
    ) -> None:
        if len(drawings) == 0:
            raise ValueError("there are no drawings to learn from")
        self.drawings = drawings
        self.sizes = tuple(each.to(device) for each in (drawings, *others))
        self.originals = (originals or drawings).to(device)
        self.device = device
        self.resample = resample
        self.mix = mix
        self.seed = seed
        self.members = torch.bincount(drawings.character, minlength=len(drawings.characters))
        self.first = self.members.cumsum(0) - self.members
        order = torch.argsort(drawings.alphabet, stable=True)
        sizes = torch.bincount(drawings.alphabet, minlength=len(drawings.alphabets))
        self.alphabet_members = order
        self.alphabet_size = sizes
        self.alphabet_first = sizes.cumsum(0) - sizes

    def batch(
        self,
        step: int,
        size: int,
        augmentation: Augmentation = NO_AUGMENTATION,
        part: slice = slice(None),
    ) -> Episode:
        """The slice `part` of episode number `step`, which has `size` targets."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        index = torch.randint(len(self.drawings), (size,), generator=generator)
        alphabet, members = self._draw_task(generator)
        if alphabet:
            context, mask = self.alphabet_context(index, members, generator)
        else:
            context, mask = self.character_context(index, members, generator)
        shown = torch.rand(size, 1, generator=generator) >= self.mix.empty
        picked = torch.cat([index[:, None], context], 1)
        drawings = self.sizes[step % len(self.sizes)]
        if augmentation.any:
            maps = augmentation.maps(size, picked.shape[1], generator)[part]
            augmented = augmentation.draw_augmented(size, generator)[part]
            images = self._augmented(picked[part], maps, augmented, drawings, generator)
        else:
            images = to_device(drawings.visit(picked, generator, part), self.device)
        if self.drawings.channels == 1:
            images = images[:, :, None]
        return Episode(
            target=images[:, 0],
            context=images[:, 1:],
            mask=to_device((mask & shown)[part], self.device),
            alphabet=torch.full((len(images),), alphabet, device=self.device),
            index=index[part],
        )

    def character_context(
        self, index: Tensor, members: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """`members` different other drawings of each target's character.

        Returns their indices and a mask, both (B, members).
        """
        character = self.drawings.character[index]
        others = self.members[character] - 1
        place = index - self.first[character]
        chosen, mask = _without_repetition(others, members, generator)
        chosen = chosen + (chosen >= place[:, None])  # skip the target itself
        chosen = torch.where(mask, chosen, 0)
        return self.first[character][:, None] + chosen, mask

    def alphabet_context(
        self, index: Tensor, members: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """A drawing of each of `members` different other characters of each target's alphabet.

        Returns their indices and a mask, both (B, members).
        """
        character = self.drawings.character[index]
        alphabet = self.drawings.alphabet[character]
        first = self.alphabet_first[alphabet]
        rank = torch.argsort(self.alphabet_members)[character] - first
        chosen, mask = _without_repetition(self.alphabet_size[alphabet] - 1, members, generator)
        chosen = chosen + (chosen >= rank[:, None])
        characters = self.alphabet_members[torch.where(mask, first[:, None] + chosen, 0)]
        drawing = torch.rand(characters.shape, generator=generator) * self.members[characters]
        return self.first[characters] + drawing.long(), mask

    def _draw_task(self, generator: torch.Generator) -> tuple[bool, int]:
        """Draw the task of a batch: whether it is task 3, and the number of context images."""
        draws = torch.rand(3, generator=generator).tolist()
        alphabet = draws[0] < self.mix.alphabet
        single = not alphabet and draws[1] < self.mix.single
        most = self.mix.alphabet_context if alphabet else self.mix.character_context
        if self.mix.empty == 1:
            return False, 0
        return alphabet, 1 if single else 2 + int(draws[2] * (most - 1))

    def _augmented(
        self,
        picked: Tensor,
        maps: Tensor,
        augmented: Tensor,
        drawings: Drawings,
        generator: torch.Generator,
    ) -> Tensor:
        """Images (B, 1 + M, S, S) of the drawings `picked` (B, 1 + M), at the size of `drawings`.

        Examples where `augmented` (B,) is true are transformed by `maps` (B, 1 + M, 2, 3). The
        others are taken from `drawings`.
        """
        shape = (*picked.shape, drawings.size, drawings.size)
        images = torch.empty(shape, device=self.device)
        changed, kept = augmented.nonzero()[:, 0], (~augmented).nonzero()[:, 0]
        if len(changed):
            sources = self.originals.visit(picked[changed].flatten(), generator)
            chosen = to_device(maps[changed].flatten(0, 1), self.device)
            result = warped(sources, chosen, drawings.size, self.resample)
            images[to_device(changed, self.device)] = result.unflatten(0, (len(changed), -1))
        if len(kept):
            plain = drawings.visit(picked[kept], generator)
            images[to_device(kept, self.device)] = to_device(plain, self.device)
        return images


def _without_repetition(
    available: Tensor, members: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """`members` different random numbers below each of `available` (B,), as far as there are any.

    Returns the numbers and a mask, both (B, members). A number is 0 where the mask is false.
    """
    if not members:
        nothing = torch.zeros(len(available), 0)
        return nothing.long(), nothing.bool()
    most = max(int(available.max()), 1) if len(available) else 1
    keys = torch.rand(len(available), most, generator=generator)
    keys = keys.masked_fill(torch.arange(most) >= available[:, None], math.inf)
    taken = min(members, most)
    values, numbers = torch.topk(keys, taken, dim=1, largest=False)
    mask = torch.isfinite(values)
    numbers = torch.where(mask, numbers, 0)
    return F.pad(numbers, (0, members - taken)), F.pad(mask, (0, members - taken))
