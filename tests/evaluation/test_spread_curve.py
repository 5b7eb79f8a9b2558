"""The curve over temperatures: interpolation by hand, a model that is people."""

from __future__ import annotations

import math

import pytest
import torch

from oneshot_cli.evaluation import spread_curve
from oneshot_cli.evaluation.oneshot_scores import Critics, Estimate, Scores, score
from oneshot_cli.evaluation.spread_curve import Curve


def test_crossing_interpolates_and_says_when_it_cannot() -> None:
    spreads = (0.0, 0.5, 1.0)
    diversity, found = torch.tensor([0.0, 0.4, 0.8]), torch.tensor([0.9, 0.8, 0.4])
    spread, value = spread_curve.crossing(spreads, diversity, found, 0.6)
    assert spread == pytest.approx(0.75)
    assert value == pytest.approx(0.6)
    assert spread_curve.crossing(spreads, diversity, found, 0.4)[1] == pytest.approx(0.8)
    assert all(math.isnan(x) for x in spread_curve.crossing(spreads, diversity, found, 0.9))


def test_headline_of_a_model_that_is_people_at_one_temperature() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = (torch.rand((21, 1, 1, 28, 28), generator=generator) > 0.85).float()
    chance = torch.rand((21, 6, 1, 28, 28), generator=generator)
    critics = Critics.load()

    def draw(spread: float) -> torch.Tensor:
        return (shapes - (chance < 0.04 * spread).float()).abs()

    people = score(shapes[:, 0], draw(0.6), critics)
    made = spread_curve.score_curve(draw, shapes[:, 0], people, critics, spreads=(0.0, 0.6, 1.0))
    assert made.spread == pytest.approx(0.6)
    assert made.headline.value == pytest.approx(people.recognizability.value)
    assert made.overlap.value == pytest.approx(people.overlap.value)
    assert made.headline.low <= made.headline.value <= made.headline.high
    assert made.reached
    short = spread_curve.score_curve(draw, shapes[:, 0], people, critics, spreads=(0.0, 0.1))
    assert not short.reached
    assert short.headline.as_dict() == {"value": None, "low": None, "high": None}


def estimated(
    recognized: torch.Tensor, diverse: torch.Tensor, overlap: torch.Tensor | None = None
) -> Scores:
    """Scores with these values (C,) of each character."""
    unknown = Estimate(math.nan, math.nan, math.nan)
    overlap = recognized if overlap is None else overlap
    values = {"recognizability": recognized, "diversity": diverse, "overlap": overlap}
    return Scores(unknown, unknown, unknown, unknown, 20, values, recognized[:, None])


def curve_and_people(shift: float, generator: torch.Generator) -> tuple[Curve, Scores]:
    """Of 60 characters; `shift` is what a seed adds to the recognizability of all of them."""
    noise = 0.05 * torch.randn(2, 60, generator=generator)
    scores = tuple(
        estimated(0.9 - 0.4 * spread + shift + noise[0], spread + noise[1])
        for spread in (0.0, 0.5, 1.0)
    )
    people = estimated(torch.ones(60), torch.full((60,), 0.5))
    unknown = Estimate(math.nan, math.nan, math.nan)
    return Curve((0.0, 0.5, 1.0), scores, unknown, unknown, math.nan), people


def test_a_character_is_read_at_the_spread_of_other_characters() -> None:
    """The parts differ in how diversity and the figures depend on the spread."""
    part = torch.arange(60) % spread_curve.FOLDS
    more = 0.1 * part + 0.02 * torch.randn(60, generator=torch.Generator().manual_seed(1))
    spreads, goal = (0.0, 0.25, 0.5, 0.75, 1.0), torch.full((60,), 0.6)
    scores = tuple(estimated(0.9 - 0.2 * part * s, s + more, 0.7 - 0.1 * part * s) for s in spreads)
    unknown = Estimate(math.nan, math.nan, math.nan)
    curve, people = Curve(spreads, scores, unknown, unknown, math.nan), estimated(goal, goal, goal)
    found = spread_curve.combined([[curve]], [[people]])
    diverse = torch.stack([s.per_character["diversity"] for s in scores]).double()
    for name, estimate in (("recognizability", found.headline), ("overlap", found.overlap)):
        own, total = torch.stack([s.per_character[name] for s in scores]).double(), 0.0
        for number in range(spread_curve.FOLDS):
            others, mine = diverse[:, part != number].mean(1), own[:, part == number].mean(1)
            total += spread_curve.crossing(spreads, others, mine, 0.6)[1] / spread_curve.FOLDS
        assert estimate.value == pytest.approx(total, abs=1e-6)
        alike = spread_curve.crossing(spreads, diverse.mean(1), own.mean(1), 0.6)[1]
        assert abs(total - alike) > 1e-3, "the characters' own spread would give another figure"


def test_what_a_seed_or_a_critic_does_to_all_characters_is_in_the_interval() -> None:
    generator = torch.Generator().manual_seed(0)
    alike = [curve_and_people(0.0, generator) for _ in range(4)]
    unlike = [curve_and_people(shift, generator) for shift in (-0.1, -0.03, 0.03, 0.1)]
    widths = []
    for drawn in (alike, unlike):
        for swap in (False, True):  # as critics, then as seeds
            curves, people = [[each for each, _ in drawn]], [[each for _, each in drawn]]
            if swap:
                curves, people = [[each] for each, _ in drawn], [[each] for _, each in drawn]
            headline = spread_curve.combined(curves, people).headline
            assert headline.low < 0.7 < headline.high
            widths.append(headline.high - headline.low)
    assert min(widths[2:]) > 3 * max(widths[:2])


def test_each_pair_of_critics_reads_at_peoples_diversity_in_its_own_features() -> None:
    generator = torch.Generator().manual_seed(3)
    curve, people = curve_and_people(0.0, generator)
    doubled = [
        estimated(each.per_character["recognizability"], 2 * each.per_character["diversity"])
        for each in (*curve.scores, people)
    ]
    other = Curve(curve.spreads, tuple(doubled[:-1]), curve.headline, curve.overlap, math.nan)
    one = spread_curve.combined([[curve]], [[people]])
    both = spread_curve.combined([[curve, other]], [[people, doubled[-1]]])
    assert both.headline.value == pytest.approx(one.headline.value)
    assert both.spread == pytest.approx(one.spread)
