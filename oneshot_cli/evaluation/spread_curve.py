"""The trade of recognizability against diversity: a model's variations at several temperatures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from oneshot_cli.evaluation.oneshot_scores import Critics, Estimate, Scores, resamples, score

SPREADS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Curve:
    """The scores at each temperature, and where the curve passes the diversity of people.

    `headline` is the recognizability there, `overlap` the overlap with the exemplar, `spread` the
    temperature; all are nan where the curve does not pass it, and `reached` says so.
    """

    spreads: tuple[float, ...]
    scores: tuple[Scores, ...]
    headline: Estimate
    overlap: Estimate
    spread: float

    @property
    def reached(self) -> bool:
        """Whether some temperature is as diverse as people are."""
        return not math.isnan(self.headline.value)


def score_curve(
    draw: Callable[[float], Tensor],
    exemplars: Tensor,
    people: Scores,
    critics: Critics,
    *,
    spreads: tuple[float, ...] = SPREADS,
    ways: int = 20,
    seed: int = 0,
) -> Curve:
    """Score what `draw(spread)` returns, (C, n, 1, H, W), at every temperature.

    `people` are the scores of drawings by people of the same characters in the same order. The
    intervals at people's diversity resample characters for the model and for people together.
    """
    scores = tuple(
        score(exemplars, draw(spread), critics, ways=ways, seed=seed) for spread in spreads
    )
    diversity = _of(scores, "diversity")
    target = people.per_character["diversity"].double()
    draws = resamples(len(exemplars), seed)

    def at_people(name: str) -> tuple[float, Estimate]:
        """The temperature at people's diversity, and this figure there."""
        found = _of(scores, name)
        spread, value = crossing(spreads, diversity.mean(1), found.mean(1), target.mean().item())
        again = [
            crossing(
                spreads, diversity[:, d].mean(1), found[:, d].mean(1), target[d].mean().item()
            )[1]
            for d in draws
        ]
        return spread, Estimate.of(value, torch.tensor(again))

    spread, headline = at_people("recognizability")
    return Curve(spreads, scores, headline, at_people("overlap")[1], spread)


def _of(scores: tuple[Scores, ...], name: str) -> Tensor:
    """A figure of each character at each temperature, (R, C)."""
    return torch.stack([each.per_character[name] for each in scores]).double()


def crossing(
    spreads: tuple[float, ...], diversity: Tensor, found: Tensor, target: float
) -> tuple[float, float]:
    """(temperature, recognizability) where `diversity` (R,) first passes `target`, by
    interpolation between neighbouring temperatures; (nan, nan) if it never does."""
    points = list(zip(spreads, diversity.tolist(), found.tolist(), strict=True))
    for (s0, x0, y0), (s1, x1, y1) in pairwise(points):
        if x0 <= target <= x1 and x0 < x1:
            share = (target - x0) / (x1 - x0)
            return s0 + share * (s1 - s0), y0 + share * (y1 - y0)
    return math.nan, math.nan
