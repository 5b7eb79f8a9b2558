"""What a drawing is made from: its own noise, the context it answers to, and what it comes near."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from oneshot_cli.drawing.deformation import PEOPLE, Deformation, depths
from oneshot_cli.imaging.distances import ink_distance
from oneshot_cli.model import Context

BENDS = Deformation.NUMBERS
"""The random numbers that a variation's deformation takes."""


def noise_for(
    shape: tuple[int, ...], task: str, seed: int, exemplars: Tensor | None, numbers: Iterable[int]
) -> Tensor:
    """Standard normal (n, *shape), each drawing's from a generator of its own.

    The generators' seeds are hashes of the task, the seed, the exemplars (M, 1, S, S) as a set, and
    the drawing's number. So a drawing does not depend on the batch that it is made in.
    """
    drawn = [torch.randn(shape, generator=g) for g in generators(task, seed, exemplars, numbers)]
    return torch.stack(drawn) if drawn else torch.empty(0, *shape)


def generators(
    task: str, seed: int, exemplars: Tensor | None, numbers: Iterable[int]
) -> Iterator[torch.Generator]:
    """The random numbers of each drawing, see `noise_for`."""
    inks = [] if exemplars is None else [_bytes(ink) for ink in exemplars]
    key = f"{task} {seed} ".encode() + b"".join(sorted(inks))
    for number in numbers:
        digest = hashlib.blake2b(key + b" %d" % number, digest_size=8).digest()
        yield torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)


def _bytes(ink: Tensor) -> bytes:
    return ink.to(torch.uint8).numpy().tobytes()


@dataclass(frozen=True)
class Variations:
    """What n variations of each of E sets of exemplars are made from, set by set.

    `sets` are the exemplars as a context (E), `noise` (E * n, ...) is that of the latents and
    `bends` (E * n, 18) that of the deformations. A variation comes near one of its exemplars: each
    of them in turn. All that a variation has is its own, whatever n is.
    """

    sets: Context
    noise: Tensor
    bends: Tensor
    n: int

    @classmethod
    def of(
        cls, exemplars: Sequence[Tensor], n: int, seed: int, shape: tuple[int, ...]
    ) -> Variations:
        """Those of E sets of exemplars (M, 1, S, S), for a model with noise of that shape."""
        ordered = [torch.stack(sorted(each, key=_bytes)) for each in exemplars]
        noise, bends = torch.empty(len(ordered), n, *shape), torch.empty(len(ordered), n, BENDS)
        for row, inks in enumerate(ordered):
            for i, generator in enumerate(generators("vary", seed, inks, range(n))):
                torch.randn(shape, generator=generator, out=noise[row, i])
                torch.randn(BENDS, generator=generator, out=bends[row, i])
        sets = contexts_of(ordered, 1, torch.device("cpu"))
        return cls(sets, noise.flatten(0, 1), bends.flatten(0, 1), n)

    def __len__(self) -> int:
        return len(self.noise)

    @cached_property
    def _depths(self) -> Tensor:
        """`depths` of the exemplars, once for all their variations: (E, M, 1, S, S)."""
        images = self.sets.images
        return depths(images.flatten(0, 2)).view_as(images)

    def deformed(self, rows: Tensor, temperature: float) -> tuple[Context, Tensor]:
        """The contexts of the variations `rows` (B,), and the targets (B, 1, S, S) they come near.

        All exemplars of a variation are deformed alike, as people's drawings of one character
        differ; with `temperature` 0 they stay as they are.
        """
        context = some(self.sets, rows // self.n)
        members, size = context.images.shape[1], context.images.shape[-1]
        inks = context.images.flatten(0, 2)
        noise = temperature * self.bends[rows].repeat_interleave(members, 0)
        maps = Deformation.of(inks, noise, PEOPLE)
        depth = self._depths[rows // self.n].flatten(0, 2)
        images = maps.applied(depth, size).view_as(context.images)
        turn = (rows % self.n) % context.mask.sum(1)
        target = images[torch.arange(len(rows)), turn]
        return Context(images, context.mask, context.alphabet), target


def contexts_of(
    exemplars: Sequence[Tensor], times: int, device: torch.device, *, alphabet: bool = False
) -> Context:
    """A context for each of E sets of exemplars (M, 1, S, S), `times` times over: (E * times).

    Shorter sets are masked.
    """
    images = pad_sequence(list(exemplars), batch_first=True)
    mask = pad_sequence([torch.ones(len(e), dtype=torch.bool) for e in exemplars], batch_first=True)
    kind = torch.full((len(images),), alphabet)
    repeated = torch.arange(len(images)).repeat_interleave(times)
    return some(Context(images, mask, kind), repeated).to(device)


def some(context: Context, rows: Tensor) -> Context:
    """The contexts with these numbers."""
    return Context(context.images[rows], context.mask[rows], context.alphabet[rows])


def apart(inks: Tensor, taken: Tensor, n: int, nearest: float) -> list[int]:
    """The first n of `inks` (N, S, S) that keep `nearest` from `taken` (M, S, S) and each other.

    If there are fewer, those with the greatest distance to `taken` make up the number.
    """
    away = ink_distance(inks, taken).min(1).values
    between = ink_distance(inks, inks)
    chosen: list[int] = []
    for i in range(len(inks)):
        if len(chosen) < n and away[i] >= nearest and (between[i, chosen] >= nearest).all():
            chosen.append(i)
    rest = [i for i in away.argsort(descending=True).tolist() if i not in chosen]
    return chosen + rest[: n - len(chosen)]
