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
    return of_seeds([curve], [people], seed)


def of_seeds(curves: Sequence[Curve], people: Sequence[Scores], seed: int = 0) -> Curve:
    """The first of `curves`, with the headline, overlap and spread of all of them.

    The curves are of the same characters and spreads with other exemplars and other noise, and
    `people` are people's scores with those exemplars. The bootstrap, drawn with `seed`, resamples
    characters and, independently, curves (the pigeonhole bootstrap of Owen 2007): exemplars and
    noise that all characters share make their figures dependent.
    """
    spreads = curves[0].spreads
    diversity = torch.stack([_of(curve.scores, "diversity") for curve in curves])
    target = torch.stack([each.per_character["diversity"] for each in people]).double()
    whole = diversity.mean((0, 2))
    spread = crossing(spreads, whole, whole, target.mean().item())[0]
    figures = (
        _at_people(
            spreads,
            diversity,
            torch.stack([_of(curve.scores, name) for curve in curves]),
            target,
            seed,
        )
        for name in ("recognizability", "overlap")
    )
    headline, overlap = figures
    return replace(curves[0], headline=headline, overlap=overlap, spread=spread)


_UNKNOWN = (Estimate(math.nan, math.nan, math.nan),) * 2 + (math.nan,)


def _at_people(
    spreads: tuple[float, ...], diversity: Tensor, figure: Tensor, target: Tensor, seed: int
) -> Estimate:
    """`figure` (S, R, C) where `diversity` (S, R, C) is people's, `target` (S, C), on the other
    folds; of S curves, R spreads and C characters."""
    curves, _, count = diversity.shape
    characters, which = _times(count, seed), _times(curves, seed + 1)

    def mean(values: Tensor, weight: Tensor) -> Tensor:
        """The means of `values` (S, R, C) over curves and characters in each resample, (B, R)."""
        sums = torch.einsum("bs,src,bc->br", which, values, weight)
        return sums / (curves * weight.sum(1, keepdim=True))

    fold = torch.arange(count) % FOLDS
    total = torch.zeros(len(characters), dtype=torch.float64)
    for number in range(min(FOLDS, count)):
        inside = characters * (fold == number)
        outside = characters - inside
        goals = mean(target[:, None], outside)[:, 0].tolist()
        rows = zip(mean(diversity, outside), mean(figure, inside), goals, strict=True)
        found = torch.tensor([crossing(spreads, *row)[1] for row in rows], dtype=torch.float64)
        share = inside.sum(1) / count
        total += torch.where(share > 0, share * found, 0.0)
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
