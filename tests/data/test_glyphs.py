"""Glyphs are a function of the seed, and like an alphabet: characters differ more than hands do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from oneshot_cli.data import load
from oneshot_cli.data.glyphs import rasterize
from oneshot_cli.errors import OneshotError

SMALL: dict[str, Any] = {"alphabets": 3, "characters": 4, "drawings": 6}


def test_the_same_seed_gives_the_same_glyphs() -> None:
    first, second = (load("glyphs", seed=5, **SMALL) for _ in range(2))
    other = load("glyphs", seed=6, **SMALL)
    assert torch.equal(first.images, second.images)
    assert not torch.equal(first.images, other.images)


def test_names_and_counts() -> None:
    glyphs = load("glyphs", **SMALL)
    assert glyphs.images.shape == (72, 28, 28)
    assert glyphs.alphabets == ("Glyphs01", "Glyphs02", "Glyphs03")
    assert glyphs.characters[3:5] == ("Glyphs01/character04", "Glyphs02/character01")
    assert glyphs.character.tolist() == [i // 6 for i in range(72)]
    assert glyphs.alphabet.tolist() == [i // 4 for i in range(12)]


def test_more_characters_leave_the_others_as_they_are() -> None:
    few = load("glyphs", alphabets=2, characters=4, drawings=6)
    more = load("glyphs", alphabets=3, characters=9, drawings=6)
    shared = torch.tensor([name in few.characters for name in more.characters])
    assert torch.equal(more.subset(shared).images, few.images)


def test_weak_split_holds_out_a_quarter_at_most_three() -> None:
    test = load("glyphs", split="weak", part="test", **SMALL)
    assert test.characters == tuple(f"Glyphs0{a}/character01" for a in (1, 2, 3))
    train = load("glyphs", split="weak", **SMALL)
    assert len(train) + len(test) == 72


def test_every_drawing_has_about_as_much_ink_as_handwriting() -> None:
    glyphs = load("glyphs", size=105, alphabets=6, characters=6, drawings=4)
    ink = glyphs.images.float().mean((1, 2))
    assert ink.min() > 0.003
    assert ink.max() < 0.25
    assert 0.03 < ink.mean() < 0.1


def similarity(images: Tensor) -> Tensor:
    """Shared ink over all ink of each two (N, H, W), blurred a little as hands shift."""
    thick = torch.nn.functional.max_pool2d(images[:, None].float(), 3, 1, 1).flatten(1)
    both = thick @ thick.T
    return both / (thick.sum(1)[:, None] + thick.sum(1) - both)


def test_hands_differ_but_less_than_characters() -> None:
    glyphs = load("glyphs", alphabets=4, characters=5, drawings=8)
    likeness = similarity(glyphs.images)
    same = glyphs.character[:, None] == glyphs.character
    off = ~torch.eye(len(glyphs), dtype=torch.bool)
    assert likeness[same & off].mean() > 1.5 * likeness[~same].mean()
    assert likeness[same & off].mean() < 0.9


def test_the_pen_covers_the_pixels_within_its_radius() -> None:
    rng = np.random.default_rng(0)
    paths, radii = rng.uniform(-1.3, 1.3, (4, 9, 2)), rng.uniform(0.7, 3.0, 4)
    centres = np.arange(24) + 0.5
    grid = np.stack(np.meshgrid(centres, centres), -1)  # x, y of each pixel
    gaps = np.linalg.norm(grid[None, :, :, None] - ((paths + 1) * 12)[:, None, None], axis=-1)
    expected = (gaps <= radii[:, None, None, None]).any(-1)
    assert np.array_equal(rasterize(paths, radii, 24), expected)


def test_nothing_cannot_be_asked_for() -> None:
    with pytest.raises(OneshotError, match="start at 1, seed at 0"):
        load("glyphs", alphabets=0)
    with pytest.raises(OneshotError, match="no option 'strokes'"):
        load("glyphs", strokes=4)
    with pytest.raises(OneshotError, match="no split 'strong-45-5'"):
        load("glyphs", split="strong-45-5")
