"""Episodes: a target drawing and a context set, drawn on the fly from a seed and a step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from oneshot_cli.data.drawings import Drawings

SUPERSAMPLING = 3


@dataclass(frozen=True)
class TaskMix:
    """How often each task comes up, and how large the context is.

    `empty` is the share of examples whose context is hidden (task 1); of the batches, the share
    `alphabet` shows other characters of the alphabet (task 3), 2 to `alphabet_context` of them; the
    rest shows drawings of the character (task 2): one in a share `single` of them, otherwise 2 to
    `character_context`.
    """

    empty: float = 0.1
    alphabet: float = 0.1
    single: float = 0.85
    character_context: int = 4
    alphabet_context: int = 6

    def __post_init__(self) -> None:
        for name in ("empty", "alphabet", "single"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share, between 0 and 1, not {getattr(self, name)}")

    @classmethod
    def of_task(cls, task: int) -> TaskMix:
        """Only one of the paper's tasks: 1 unconditional, 2 one exemplar, 3 an alphabet."""
        if task not in (1, 2, 3):
            raise ValueError(f"the task is 1, 2 or 3, not {task}")
        return cls(empty=float(task == 1), alphabet=float(task == 3), single=1.0)


@dataclass(frozen=True)
class Augmentation:
    """Random affine maps: `shared` by a target and its context (a new character), and `own`.

    Each is the standard deviation of angle (radians), log-scales and shear, and of the shift as
    a share of the image's half-width; 0 leaves drawings as they are.
    """

    shared: float = 0.0
    own: float = 0.0

    @property
    def any(self) -> bool:
        return self.shared > 0 or self.own > 0

    def scaled(self, share: float) -> Augmentation:
        """The same, `share` times as strong."""
        return Augmentation(self.shared * share, self.own * share)


@dataclass(frozen=True)
class Episode:
    """`target` (B, C, S, S); `context` (B, M, C, S, S) with `mask` (B, M); `alphabet` (B,) bool.

    `index` (B,) says which drawings the targets are.
    """

    target: Tensor
    context: Tensor
    mask: Tensor
    alphabet: Tensor
    index: Tensor


class Episodes:
    """Draws episodes from `drawings`; episode `step` is a pure function of the seed and the step.

    `originals`, the same drawings at a higher resolution, are what augmentation samples from.
    Raises ValueError where the data cannot supply an episode.
    """

    def __init__(
        self, drawings: Drawings, mix: TaskMix, *, seed: int, originals: Drawings | None = None
    ) -> None:
        if len(drawings) == 0:
            raise ValueError("there are no drawings to learn from")
        self.drawings = drawings
        self.originals = originals or drawings
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
        augmentation: Augmentation = Augmentation(),
    ) -> Episode:
        """Episode number `step`, of `size` targets."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        index = torch.randint(len(self.drawings), (size,), generator=generator)
        alphabet, members = self._kind(generator)
        if alphabet:
            context, mask = self.alphabet_context(index, members, generator)
        else:
            context, mask = self.character_context(index, members, generator)
        shown = torch.rand(size, 1, generator=generator) >= self.mix.empty
        picked = torch.cat([index[:, None], context], 1)
        if augmentation.any:
            images = self._augmented(picked, augmentation, generator)
        else:
            images = self.drawings.visit(picked, generator)
        if self.drawings.channels == 1:
            images = images[:, :, None]
        return Episode(
            target=images[:, 0],
            context=images[:, 1:],
            mask=mask & shown,
            alphabet=torch.full((size,), alphabet),
            index=index,
        )

    def character_context(
        self, index: Tensor, members: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """`members` other drawings of each target's character, without repetition, and a mask."""
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
        """One drawing each of `members` other characters of each target's alphabet, and a mask."""
        character = self.drawings.character[index]
        alphabet = self.drawings.alphabet[character]
        first = self.alphabet_first[alphabet]
        rank = torch.argsort(self.alphabet_members)[character] - first
        chosen, mask = _without_repetition(self.alphabet_size[alphabet] - 1, members, generator)
        chosen = chosen + (chosen >= rank[:, None])
        characters = self.alphabet_members[torch.where(mask, first[:, None] + chosen, 0)]
        drawing = torch.rand(characters.shape, generator=generator) * self.members[characters]
        return self.first[characters] + drawing.long(), mask

    def _kind(self, generator: torch.Generator) -> tuple[bool, int]:
        """Which context a batch has: of the alphabet or not, and how many images."""
        draws = torch.rand(3, generator=generator).tolist()
        alphabet = draws[0] < self.mix.alphabet
        single = not alphabet and draws[1] < self.mix.single
        most = self.mix.alphabet_context if alphabet else self.mix.character_context
        if self.mix.empty == 1:
            return False, 0
        return alphabet, 1 if single else 2 + int(draws[2] * (most - 1))

    def _augmented(
        self, picked: Tensor, augmentation: Augmentation, generator: torch.Generator
    ) -> Tensor:
        """Drawings (B, 1 + M) -> images (B, 1 + M, S, S), each under a random affine map."""
        batch, members = picked.shape
        shared = random_affine(batch, augmentation.shared, generator)[:, None]
        own = random_affine(batch * members, augmentation.own, generator)
        maps = (shared @ own.unflatten(0, (batch, members))).flatten(0, 1)[:, :2]
        size = self.drawings.size
        fine = SUPERSAMPLING * size
        sources = self.originals.visit(picked.flatten(), generator)[:, None]
        grid = F.affine_grid(maps, [len(maps), 1, fine, fine], align_corners=False)
        sampled = F.avg_pool2d(F.grid_sample(sources, grid, align_corners=False), SUPERSAMPLING)
        return (sampled > 0.5).float().view(batch, members, size, size)


def random_affine(count: int, strength: float, generator: torch.Generator) -> Tensor:
    """(count, 3, 3) maps: rotation, two scales, shear and shift, each N(0, strength^2)."""
    draws = strength * torch.randn(count, 6, generator=generator)
    angle, sx, sy, shear, tx, ty = draws.unbind(-1)
    zero, one = torch.zeros(count), torch.ones(count)
    cos, sin, sx, sy = torch.cos(angle), torch.sin(angle), sx.exp(), sy.exp()
    rows = [cos * sx, (cos * shear - sin) * sy, tx, sin * sx, (sin * shear + cos) * sy, ty]
    return torch.stack([*rows, zero, zero, one], -1).view(-1, 3, 3)


def _without_repetition(
    available: Tensor, members: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Up to `members` different numbers below each of `available` (B,), and where there are any.

    Numbers and mask are (B, members); a number is 0 where the mask is false.
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
