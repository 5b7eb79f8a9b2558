"""The curve over temperatures: interpolation by hand, a model that is people."""

from __future__ import annotations

import math

import pytest
import torch

from oneshot_cli.evaluation import spread_curve
from oneshot_cli.evaluation.oneshot_scores import Critics, score


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
    assert made.headline.low <= made.headline.value <= made.headline.high
    assert made.reached
    short = spread_curve.score_curve(draw, shapes[:, 0], people, critics, spreads=(0.0, 0.1))
    assert not short.reached
    assert short.headline.as_dict() == {"value": None, "low": None, "high": None}
