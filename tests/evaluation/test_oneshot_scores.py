"""Recognizability and diversity against sampled episodes and plain loops; the reference points."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from oneshot_cli.data.drawings import Drawings
from oneshot_cli.evaluation import oneshot_scores as scores


def test_recognized_equals_sampled_episodes() -> None:
    generator = torch.Generator().manual_seed(0)
    supports = torch.randn((9, 4), generator=generator)
    queries = supports[:, None] + torch.randn((9, 3, 4), generator=generator)
    exact = scores.recognized(supports, queries, ways=5)
    hits = torch.zeros(9, 3)
    trials = 4000
    for c in range(9):
        others = torch.tensor([k for k in range(9) if k != c])
        for _ in range(trials):
            drawn = others[torch.randperm(8, generator=generator)[:4]]
            nearest = (queries[c, :, None] - supports[drawn]).norm(dim=2).min(1).values
            hits[c] += (queries[c] - supports[c]).norm(dim=1) < nearest
    assert (exact - hits / trials).abs().max() < 4 * 0.5 / math.sqrt(trials)


def test_recognized_when_every_other_character_takes_part() -> None:
    supports = torch.eye(3)
    queries = torch.stack((supports, supports.roll(1, 0)), 1)
    found = scores.recognized(supports, queries, ways=3)
    assert found.tolist() == [[1, 0]] * 3


def test_a_tie_is_not_a_hit() -> None:
    supports = torch.zeros(4, 2)
    assert scores.recognized(supports, torch.zeros(4, 1, 2), ways=4).max() == 0


def test_diversity_equals_the_plain_formula_and_needs_two() -> None:
    found = torch.randn(3, 6, 5)
    present = torch.ones(3, 6, dtype=torch.bool)
    present[1, 4:] = False
    present[2, 1:] = False
    got = scores.diversity(found, present)
    for c, n in ((0, 6), (1, 4)):
        c4 = math.sqrt(2 / (n - 1)) * math.gamma(n / 2) / math.gamma((n - 1) / 2)
        expected = found[c, :n].std(0).mean() / c4
        assert got[c].item() == pytest.approx(expected.item(), rel=1e-5)
    assert got[2].isnan()


def test_diversity_does_not_depend_on_the_number_of_variations() -> None:
    found = torch.randn((400, 20, 30), generator=torch.Generator().manual_seed(0))
    few = torch.zeros(400, 20, dtype=torch.bool)
    few[:, :3] = True
    many = torch.ones_like(few)
    assert scores.diversity(found, few).mean().item() == pytest.approx(1, abs=0.02)
    assert scores.diversity(found, many).mean().item() == pytest.approx(1, abs=0.01)


def test_bootstrap_interval_covers_and_repeats() -> None:
    values = torch.randn(100, generator=torch.Generator().manual_seed(1))
    estimate = scores.bootstrap(values, seed=4)
    half = 1.96 * values.std().item() / 10
    assert estimate.value == pytest.approx(values.mean().item(), abs=1e-6)
    assert estimate.high - estimate.low == pytest.approx(2 * half, rel=0.1)
    assert estimate == scores.bootstrap(values, seed=4)
    assert estimate != scores.bootstrap(values, seed=5)
    assert scores.bootstrap(torch.tensor([math.nan])).as_dict()["value"] is None


def test_bootstrap_interval_is_scipys() -> None:
    """But for the random numbers, whose error in a limit is about 0.06 standard errors."""
    values = torch.rand(150, generator=torch.Generator().manual_seed(2)).double() ** 3
    ours = scores.bootstrap(values)
    theirs = stats.bootstrap(
        (values.numpy(),), np.mean, n_resamples=20_000, method="percentile", random_state=0
    ).confidence_interval
    error = values.std().item() / 150**0.5
    assert ours.low == pytest.approx(theirs.low, abs=0.2 * error)
    assert ours.high == pytest.approx(theirs.high, abs=0.2 * error)


def tiny(characters: int = 25, each: int = 6) -> Drawings:
    generator = torch.Generator().manual_seed(0)
    shapes = torch.rand((characters, 1, 28, 28), generator=generator) > 0.85
    flips = torch.rand((characters, each, 28, 28), generator=generator) > 0.99
    return Drawings(
        images=(shapes ^ flips).flatten(0, 1).to(torch.uint8),
        character=torch.arange(characters).repeat_interleave(each),
        alphabet=torch.zeros(characters, dtype=torch.long),
        characters=tuple(f"A/character{c:02}" for c in range(characters)),
        alphabets=("A",),
    )


def test_people_takes_each_drawing_once_and_only_of_its_character() -> None:
    drawings = tiny()
    exemplars, variations = scores.people(drawings, seed=2)
    every = torch.cat((exemplars[:, None], variations), 1)
    original = drawings.images.view(25, 6, 28, 28)
    for c in range(25):
        assert sorted(every[c].sum((1, 2, 3)).tolist()) == sorted(
            original[c].float().sum((1, 2)).tolist()
        )
    other_exemplars, others = scores.others(drawings, seed=2)
    assert torch.equal(other_exemplars, exemplars)
    for c in range(25):
        own = original[c].float()
        assert not any((picture == drawing).all() for picture in others[c, :, 0] for drawing in own)


def test_references_on_tiny_characters() -> None:
    found = scores.references(tiny(), seed=0)
    assert found["copies"].recognizability.value == pytest.approx(1)
    assert found["copies"].diversity.value == pytest.approx(0, abs=1e-6)
    assert found["people"].recognizability.value > found["other characters"].recognizability.value
    assert found["other characters"].recognizability.value < 0.15
    assert found["people"].ways == 20


def test_score_with_missing_variations() -> None:
    exemplars, variations = scores.people(tiny(4), seed=0)
    present = torch.ones(4, 5, dtype=torch.bool)
    present[0, 1:] = False
    present[1] = False
    found = scores.score(exemplars, variations, present=present)
    assert found.ways == 4
    assert found.per_character["diversity"].isnan().tolist() == [True, True, False, False]
    assert found.per_character["recognizability"].isnan().tolist() == [False, True, False, False]
    assert found.found[1].isnan().all()


def test_copies_with_noise_are_told_by_their_overlap() -> None:
    """They can pass for people's by recognizability and diversity; by overlap they cannot."""
    found = scores.references(tiny(), seed=0)
    assert found["copies"].overlap.value == pytest.approx(1)
    assert found["copies"].overlap_in_place.value == pytest.approx(1)
    assert found["other characters"].overlap.value < 0.5
    exemplars, variations = scores.people(tiny(), seed=0)
    rolled = scores.score(exemplars, variations.roll(3, -1))
    assert rolled.overlap_in_place.value < 0.2, "what was moved is not in place"
    assert rolled.overlap.value > 0.6, "but for what left the frame the same"
    assert set(rolled.per_character) == set(scores.FIGURES)
