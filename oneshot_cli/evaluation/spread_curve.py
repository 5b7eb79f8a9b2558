"""Recognizability and diversity of a model's variations as functions of the spread.

The spread is the temperature of the latents. A larger one gives more diversity and less
recognizability.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from oneshot_cli.evaluation.oneshot_scores import Critics, Estimate, Scores, resamples, score

SPREADS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

FOLDS = 5
"""Characters are divided into so many parts; a part's spread is chosen on the other parts."""


@dataclass(frozen=True)
class Curve:
    """The scores at each spread, and the point of the curve that has the diversity of people.

    `headline` is the recognizability at that point, `overlap` the overlap with the exemplar. Each
    character is read at the spread at which other characters have people's diversity. `spread` is
    that of all characters. All are NaN if the curve has no such point; `reached` tells.
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
    curve = Curve(spreads, scores, *_UNKNOWN)
    return combined([[curve]], [[people]], seed)


def combined(
    curves: Sequence[Sequence[Curve]], people: Sequence[Sequence[Scores]], seed: int = 0
) -> Curve:
    """The first of `curves`, with the headline, overlap and spread of all of them.

    `curves[i][j]` is of seed i, which has its own exemplars and noise, by the pair of critics j.
    All are of the same characters and spreads. `people[i][j]` are people's scores with the same
    exemplars by the same critics. Each pair of critics reads the curve at people's diversity in its
    own features. The bootstrap, drawn with `seed`, resamples characters, seeds and critics
    independently (the pigeonhole bootstrap of Owen 2007), because what all characters share makes
    their figures dependent.
    """
    spreads = curves[0][0].spreads
    diversity = _stacked(curves, "diversity")
    target = torch.stack(
        [torch.stack([each.per_character["diversity"] for each in row]) for row in people]
    ).double()
    whole = diversity.mean((0, 3))
    spread = sum(
        crossing(spreads, row, row, goal)[0]
        for row, goal in zip(whole, target.mean((0, 2)).tolist(), strict=True)
    ) / len(whole)
    headline, overlap = (
        _at_people(spreads, diversity, _stacked(curves, name), target, seed)
        for name in ("recognizability", "overlap")
    )
    return replace(curves[0][0], headline=headline, overlap=overlap, spread=spread)


def _stacked(curves: Sequence[Sequence[Curve]], name: str) -> Tensor:
    """The figure `name` of each seed, critic, spread and character, (S, K, R, C)."""
    return torch.stack([torch.stack([_of(each.scores, name) for each in row]) for row in curves])


_UNKNOWN = (Estimate(math.nan, math.nan, math.nan),) * 2 + (math.nan,)


def _at_people(
    spreads: tuple[float, ...], diversity: Tensor, figure: Tensor, target: Tensor, seed: int
) -> Estimate:
    """`figure` (S, K, R, C) where `diversity` (S, K, R, C) is people's, `target` (S, K, C), on the
    other folds; of S seeds, K pairs of critics, R spreads and C characters."""
    seeds, critics, _, count = diversity.shape
    characters = _times(count, seed)
    which_seed, which_critic = _times(seeds, seed + 1), _times(critics, seed + 2)

    def mean(values: Tensor, weight: Tensor) -> Tensor:
        """The means of `values` (S, R, C) over seeds and characters in each resample, (B, R)."""
        sums = torch.einsum("bs,src,bc->br", which_seed, values, weight)
        return sums / (seeds * weight.sum(1, keepdim=True))

    fold = torch.arange(count) % FOLDS
    total = torch.zeros(len(characters), dtype=torch.float64)
    for number in range(min(FOLDS, count)):
        inside = characters * (fold == number)
        outside = characters - inside
        share = inside.sum(1) / count
        for k in range(critics):
            goals = mean(target[:, k, None], outside)[:, 0].tolist()
            rows = zip(
                mean(diversity[:, k], outside), mean(figure[:, k], inside), goals, strict=True
            )
            found = torch.tensor([crossing(spreads, *row)[1] for row in rows], dtype=torch.float64)
            weight = share * which_critic[:, k] / critics
            total += torch.where(weight > 0, weight * found, 0.0)
    return Estimate.of(total[0].item(), total[1:])


def _times(count: int, seed: int) -> Tensor:
    """How often each of `count` is in the sample itself, then in each resample: (B, count)."""
    draws = resamples(count, seed)
    ones = torch.ones(draws.shape, dtype=torch.float64)
    drawn = torch.zeros_like(ones).scatter_add_(1, draws, ones)
    return torch.cat((ones[:1], drawn))


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
