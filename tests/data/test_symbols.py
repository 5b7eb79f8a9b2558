"""Generated symbols: a function of seed and number, visible, and added to other drawings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from oneshot_cli import data
from oneshot_cli.data import symbols
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation.critics import features, load_critic
from oneshot_cli.evaluation.oneshot_scores import recognized
from oneshot_cli.training.training_data import load_training_data


def test_a_symbol_depends_on_the_seed_and_its_number_alone() -> None:
    few = data.load("symbols", alphabets=1, characters=6, drawings=3, size=105)
    more = data.load("symbols", alphabets=2, characters=6, drawings=3, size=105)
    other = data.load("symbols", alphabets=1, characters=6, drawings=3, size=105, seed=1)
    assert torch.equal(more.images[:18], few.images)
    assert not torch.equal(other.images, few.images)
    assert few.characters[5] == "Symbols01/character06"
    shares = few.images.float().mean((1, 2))
    assert 0.002 < float(shares.min()) < float(shares.max()) < 0.3


def test_two_drawings_of_a_symbol_are_alike_and_two_symbols_are_not() -> None:
    drawn = data.load("symbols", alphabets=1, drawings=2, size=28)
    ink = drawn.images.float().view(20, 2, 1, 28, 28)
    assert (ink[:, 0] != ink[:, 1]).flatten(1).any(1).all()
    found = features(load_critic("protonet"), ink)
    assert recognized(found[:, 0], found[:, 1:], 20).mean() > 0.8


@pytest.mark.parametrize(
    "form",
    [*dict.fromkeys((*symbols.OPEN, *symbols.CLOSED)), symbols.dot],
    ids=lambda f: f.__name__,
)
def test_a_form_is_a_stroke_within_the_frame(form: symbols.Form) -> None:
    for seed in range(20):
        points = form(np.random.default_rng(seed))
        assert points.shape == (symbols.KNOTS, 2)
        assert np.abs(points).max() < 1.25
        gap = np.hypot(*(points[0] - points[-1]))
        length = np.hypot(*np.diff(points, axis=0).T).sum()
        if form in symbols.CLOSED:
            assert gap < 0.1 * length
        elif form is not symbols.spiral:
            assert gap > 0.1 * length


def test_they_are_characters_of_further_alphabets() -> None:
    plain = data.load("glyphs", split="weak", size=20, alphabets=2, characters=4)
    made = symbols.first(25, 20)
    assert len(made) == 25 * symbols.DRAWINGS
    both = symbols.added(plain, made)
    assert torch.equal(both.images[: len(plain)], plain.images)
    assert torch.equal(both.images[len(plain) :], made.images)
    assert both.character.tolist() == sorted(both.character.tolist())
    assert int(both.character.max()) + 1 == len(both.characters) == len(both.alphabet)
    assert both.alphabets[int(both.alphabet[-1])] == "Symbols02"
    assert both.characters[int(both.character[-1])] == "Symbols02/character05"
    with pytest.raises(OneshotError, match="binary"):
        symbols.added(replace(plain, levels=256), made)


def test_a_run_has_them_at_every_size_and_not_in_validation() -> None:
    spec = DataSpec("glyphs", "weak", 20, (14, 20), validation=0.1, symbols=3)
    without = load_training_data(replace(spec, symbols=0), augmented=True)
    found = load_training_data(spec, augmented=True)
    assert found.originals is not None
    assert without.originals is not None
    for mine, theirs in zip(
        (found.drawings, found.originals, *found.others),
        (without.drawings, without.originals, *without.others),
        strict=True,
    ):
        assert mine.size == theirs.size
        assert len(mine) == len(theirs) + 3 * symbols.DRAWINGS
        assert torch.equal(mine.images[: len(theirs)], theirs.images)
    assert torch.equal(found.validation.images, without.validation.images)
    assert DataSpec.from_dict(spec.to_dict()) == spec
    assert "symbols" not in replace(spec, symbols=0).to_dict()


@pytest.mark.parametrize("number", [-1, 10_001, 2.5, "many"])
def test_a_wrong_number_is_refused(number: object) -> None:
    with pytest.raises(OneshotError, match="not as oneshot describes"):
        DataSpec.from_dict({"dataset": "glyphs", "symbols": number})
