"""What generated alphabets, `glyphs` and `symbols`, have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from oneshot_cli.data.cache import Packed
from oneshot_cli.data.fetch import Progress
from oneshot_cli.errors import OneshotError

SIZE = 105
"""Height and width of the pictures in pixels, as in Omniglot."""

Bits = NDArray[np.uint8]


def packed(
    kind: str,
    alphabet: Callable[[int, int, int, int], Bits],
    alphabets: int,
    characters: int,
    drawings: int,
    seed: int,
    progress: Progress | None = None,
) -> Packed:
    """`alphabets` x `characters` x `drawings` pictures of SIZE x SIZE pixels.

    `kind` is the name of the data set. `alphabet` returns the pictures of an alphabet, given its
    number, `characters`, `drawings` and `seed`. Raises OneshotError for numbers out of range.
    """
    if min(alphabets, characters, drawings) < 1 or seed < 0:
        raise OneshotError(f"{kind}: alphabets, characters and drawings start at 1, seed at 0")
    count = alphabets * characters
    bits = []
    for a in range(alphabets):
        bits.append(alphabet(a, characters, drawings, seed))
        if progress:
            progress(f"drawing {kind}", (a + 1) * characters * drawings, count * drawings)
    names = tuple(f"{kind.capitalize()}{a + 1:02d}" for a in range(alphabets))
    return Packed(
        bits=np.concatenate(bits),
        size=SIZE,
        character=np.repeat(np.arange(count), drawings),
        alphabet=np.repeat(np.arange(alphabets), characters),
        characters=tuple(f"{a}/character{c + 1:02d}" for a in names for c in range(characters)),
        alphabets=names,
    )


def pack(characters: Iterable[NDArray[np.uint8]]) -> Bits:
    """Binary pictures of characters, each (N, SIZE, SIZE), as rows of bits. Not to be changed."""
    bits = np.concatenate([np.packbits(each.reshape(len(each), -1), axis=1) for each in characters])
    bits.setflags(write=False)
    return bits
