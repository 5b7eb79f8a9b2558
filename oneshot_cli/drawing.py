"""What a drawing is made from: its own noise, and the context it answers to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from oneshot_cli.imaging.likeness import ink_distance
from oneshot_cli.model import Context


def noise_for(
    shape: tuple[int, ...], task: str, seed: int, exemplars: Tensor | None, numbers: Iterable[int]
) -> Tensor:
    """Standard normal (n, *shape), each drawing's from a generator of its own.

    The generators' seeds are hashes of the task, the seed, the exemplars (M, 1, S, S) as a set, and
    the drawing's number. So a drawing does not depend on the batch that it is made in.
    """
    inks = [] if exemplars is None else [e.to(torch.uint8).numpy().tobytes() for e in exemplars]
    key = f"{task} {seed} ".encode() + b"".join(sorted(inks))
    noise = []
    for number in numbers:
        digest = hashlib.blake2b(key + b" %d" % number, digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
        noise.append(torch.randn(shape, generator=generator))
    return torch.stack(noise) if noise else torch.empty(0, *shape)


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
