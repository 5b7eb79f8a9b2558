"""The inputs of a drawing: its noise, its context, and the exemplar that it redraws."""

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

DEFORMATION_NUMBERS = Deformation.NUMBERS
"""How many random numbers a variation's deformation takes."""


def noise_for(
    shape: tuple[int, ...], task: str, seed: int, exemplars: Tensor | None, numbers: Iterable[int]
) -> Tensor:
    """Standard normal noise (n, *shape) for the drawings with these `numbers`.

    Each drawing has a generator of its own, seeded with a hash of the task, the seed, the set of
    exemplars (M, 1, S, S) and the drawing's number. So a drawing does not depend on its batch.
    """
    drawn = [torch.randn(shape, generator=g) for g in generators(task, seed, exemplars, numbers)]
    return torch.stack(drawn) if drawn else torch.empty(0, *shape)


def generators(
    task: str, seed: int, exemplars: Tensor | None, numbers: Iterable[int]
) -> Iterator[torch.Generator]:
    """The random number generator of each drawing, see `noise_for`."""
    inks = [] if exemplars is None else [_bytes(ink) for ink in exemplars]
    key = f"{task} {seed} ".encode() + b"".join(sorted(inks))
    for number in numbers:
        digest = hashlib.blake2b(key + b" %d" % number, digest_size=8).digest()
        yield torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)


def _bytes(ink: Tensor) -> bytes:
    return ink.to(torch.uint8).numpy().tobytes()


@dataclass(frozen=True)
class VariationInputs:
    """The inputs of n variations of each of E sets of exemplars, ordered by set.

    They are the variations with the numbers from `first`.

    `contexts` (E) holds the exemplars, `noise` (E * n, ...) the noise of the latents, and
    `deformation_noise` (E * n, 18) the noise of the deformations. The variations of a set redraw
    its exemplars in turn. The inputs of a variation do not depend on n.
    """

    contexts: Context
    noise: Tensor
    deformation_noise: Tensor
    n: int
    first: int = 0

    @classmethod
    def of(
        cls,
        exemplars: Sequence[Tensor],
        n: int,
        seed: int,
        shape: tuple[int, ...],
        first: int = 0,
    ) -> VariationInputs:
        """Inputs for E sets of exemplars (M, 1, S, S) and a model with noise of this shape."""
        ordered = [torch.stack(sorted(each, key=_bytes)) for each in exemplars]
        noise, deformation_noise = (
            torch.empty(len(ordered), n, *shape),
            torch.empty(len(ordered), n, DEFORMATION_NUMBERS),
        )
        for row, inks in enumerate(ordered):
            numbers = range(first, first + n)
            for i, generator in enumerate(generators("vary", seed, inks, numbers)):
                torch.randn(shape, generator=generator, out=noise[row, i])
                torch.randn(DEFORMATION_NUMBERS, generator=generator, out=deformation_noise[row, i])
        contexts = contexts_of(ordered, 1, torch.device("cpu"))
        return cls(contexts, noise.flatten(0, 1), deformation_noise.flatten(0, 1), n, first)

    def __len__(self) -> int:
        return len(self.noise)

    @cached_property
    def _depths(self) -> Tensor:
        """`depths` of the exemplars (E, M, 1, S, S), computed once for all variations."""
        images = self.contexts.images
        return depths(images.flatten(0, 2)).view_as(images)

    def deformed(self, rows: Tensor, temperature: float) -> tuple[Context, Tensor]:
        """Contexts and targets (B, 1, S, S) of the variations with numbers `rows` (B,).

        The exemplars of a variation all get the same deformation, which resembles the difference
        between two people's drawings of a character. At `temperature` 0 they are not deformed.
        """
        context = select_contexts(self.contexts, rows // self.n)
        images = context.images
        if temperature > 0:
            members, size = images.shape[1], images.shape[-1]
            noise = temperature * self.deformation_noise[rows].repeat_interleave(members, 0)
            maps = Deformation.of(images.flatten(0, 2), noise, PEOPLE)
            depth = self._depths[rows // self.n].flatten(0, 2)
            images = maps.applied(depth, size).view_as(images)
        turn = (self.first + rows % self.n) % context.mask.sum(1)
        target = images[torch.arange(len(rows)), turn]
        return Context(images, context.mask, context.alphabet), target


def contexts_of(
    exemplars: Sequence[Tensor], times: int, device: torch.device, *, alphabet: bool = False
) -> Context:
    """A context for each of E sets of exemplars (M, 1, S, S), repeated `times` times: (E * times).

    Sets may differ in size; smaller ones are padded and masked.
    """
    images = pad_sequence(list(exemplars), batch_first=True)
    mask = pad_sequence([torch.ones(len(e), dtype=torch.bool) for e in exemplars], batch_first=True)
    kind = torch.full((len(images),), alphabet)
    repeated = torch.arange(len(images)).repeat_interleave(times)
    return select_contexts(Context(images, mask, kind), repeated).to(device)


def select_contexts(context: Context, rows: Tensor) -> Context:
    """The contexts with the numbers `rows`."""
    return Context(context.images[rows], context.mask[rows], context.alphabet[rows])


def select_distinct(inks: Tensor, taken: Tensor, n: int, nearest: float) -> list[int]:
    """Numbers of the first n of `inks` (N, S, S) that differ from `taken` (M, S, S) and each other.

    Two drawings differ if their `ink_distance` is at least `nearest`. If fewer than n differ, those
    with the greatest distance to `taken` are added.
    """
    away = ink_distance(inks, taken).min(1).values
    between = ink_distance(inks, inks)
    chosen: list[int] = []
    for i in range(len(inks)):
        if len(chosen) < n and away[i] >= nearest and (between[i, chosen] >= nearest).all():
            chosen.append(i)
    rest = [i for i in away.argsort(descending=True).tolist() if i not in chosen]
    return chosen + rest[: n - len(chosen)]
