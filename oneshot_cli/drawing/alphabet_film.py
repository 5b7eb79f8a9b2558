"""The film of new characters of an alphabet being drawn."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from oneshot_cli.drawing.oneshot import ALPHABET_SPREAD, Oneshot
from oneshot_cli.drawing.results import Film
from oneshot_cli.drawing.variations import contexts_of
from oneshot_cli.imaging.exemplar import Picture


def alphabet_film(
    model: Oneshot,
    images: Sequence[Picture],
    n: int,
    *,
    seed: int = 0,
    spread: float | None = None,
    size: int | None = None,
) -> Film:
    """The canvas after every step of n new characters in the style of `images`.

    The last frames are the pictures of `Oneshot.alphabet` with the same arguments. Raises
    OneshotError as it does.
    """
    made = model.new_characters(images, n, seed=seed, spread=spread)
    exemplars = model.read(images)
    with torch.inference_mode():
        trace = model.model.trace(
            contexts_of([exemplars], n, model.device, alphabet=True),
            made.noise.to(model.device),
            temperature=ALPHABET_SPREAD if spread is None else spread,
            size=size,
        )
    return Film(
        frames=trace.pictures.cpu(),
        write_windows=trace.write_windows.cpu(),
        read_windows=trace.read_windows.cpu(),
        target_windows=None,
        exemplars=exemplars,
        rendering=model.rendering,
    )
