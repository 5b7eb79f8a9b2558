"""Recognizability and diversity of a model's variations as functions of the spread.

The spread is the temperature of the latents. A larger one gives more diversity and less
recognizability.
"""

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
    """The scores at each spread, and the point of the curve that has the diversity of people.

    `headline` is the recognizability at that point, `overlap` the overlap with the exemplar,
    `spread` its spread. All are NaN if the curve has no such point; `reached` tells.
    """

    spreads: tuple[float, ...]
    scores: tuple[Scores, ...]
    headline: Estimate
    overlap: Estimate
    spread: float

    @property
    def reached(self) -> bool:
        """Whether the variations are as diverse as people's at some spread."""
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
    """Score the variations `draw(spread)` of `exemplars` (C, 1, H, W) at each of `spreads`.

    `draw` returns pictures (C, n, 1, H, W), ink in [0, 1]. `people` are the scores of people's
    drawings of the same characters in the same order. `ways` is the number of characters in an
    episode of recognition. The bootstrap, drawn with `seed`, resamples characters for the model and
    for people together.
    """
    scores = tuple(
        score(exemplars, draw(spread), critics, ways=ways, seed=seed) for spread in spreads
    )
    diversity = _of(scores, "diversity")
    target = people.per_character["diversity"].double()
    draws = resamples(len(exemplars), seed)

    def at_people(name: str) -> tuple[float, Estimate]:
        """The spread at which the model has people's diversity, and the figure at that spread."""
        figure = _of(scores, name)
        spread, value = crossing(spreads, diversity.mean(1), figure.mean(1), target.mean().item())
        again = [
            crossing(
                spreads, diversity[:, d].mean(1), figure[:, d].mean(1), target[d].mean().item()
            )[1]
            for d in draws
        ]
        return spread, Estimate.of(value, torch.tensor(again))

    spread, headline = at_people("recognizability")
    return Curve(spreads, scores, headline, at_people("overlap")[1], spread)


def _of(scores: tuple[Scores, ...], name: str) -> Tensor:
    """The figure `name` of each character at each spread, (R, C)."""
    return torch.stack([each.per_character[name] for each in scores]).double()


def crossing(
    spreads: tuple[float, ...], diversity: Tensor, figure: Tensor, target: float
) -> tuple[float, float]:
    """(spread, figure) where `diversity` (R,) first reaches `target`, by linear interpolation.

    `figure` (R,) are the values at each of the R spreads. (NaN, NaN) if `target` is not reached.
    """
    points = list(zip(spreads, diversity.tolist(), figure.tolist(), strict=True))
    for (s0, x0, y0), (s1, x1, y1) in pairwise(points):
        if x0 <= target <= x1 and x0 < x1:
            share = (target - x0) / (x1 - x0)
            return s0 + share * (s1 - s0), y0 + share * (y1 - y0)
    return math.nan, math.nan
