"""The film of new characters of an alphabet."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from oneshot_cli.drawing.alphabet_film import alphabet_film
from oneshot_cli.drawing.oneshot import load


@pytest.mark.parametrize("spread", [None, 0.3])
def test_films_of_an_alphabet_end_in_the_characters_of_alphabet(
    weights: Path, glyph: Path, spread: float | None
) -> None:
    model = load(weights, "cpu")
    film = alphabet_film(model, [glyph, glyph], 3, seed=4, spread=spread, size=40)
    assert film.frames.shape == (3, 4, 1, 40, 40)
    assert film.write_windows.shape == film.read_windows.shape == (3, 4, 2, 3)
    made = model.alphabet([glyph, glyph], 3, seed=4, spread=spread, size=40)
    torch.testing.assert_close(film.frames[:, -1], made)
