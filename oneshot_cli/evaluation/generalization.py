"""Everything that `oneshot score` measures of a model, as data and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from oneshot_cli.data.drawings import Drawings
from oneshot_cli.evaluation.classification import Classification
from oneshot_cli.evaluation.memorization import Memorization
from oneshot_cli.evaluation.oneshot_scores import (
    FIGURES,
    Critics,
    Estimate,
    Scores,
    people,
    references,
    score,
)
from oneshot_cli.evaluation.penmanship import Penmanship, penmanship
from oneshot_cli.evaluation.published import tables
from oneshot_cli.evaluation.spread_curve import SPREADS, Curve, combined, score_curve

Draw = Callable[[float], Tensor]
"""A function from the spread to the variations (C, n, 1, H, W) of all exemplars."""


@dataclass(frozen=True)
class Generalization:
    """One-shot generalization to C held-out characters, n variations each.

    `default` are the scores at `spread`, the checkpoint's own; `variations` (C, n, 1, H, W) are the
    pictures drawn at it, which `penmanship` measures, too. `closeness` is that of all variations.
    The headline of `curve` is over all seeds and all pairs of critics, everything else is of the
    first. `per_seed` are the headlines of each seed, `per_critic` those of each pair of critics.
    """

    characters: tuple[str, ...]
    exemplars: Tensor
    variations: Tensor
    references: dict[str, Scores]
    curve: Curve
    spread: float
    closeness: float
    default: Scores
    penmanship: Penmanship
    per_seed: tuple[Estimate, ...]
    per_critic: tuple[Estimate, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: every figure with its interval, and the figures of each character."""
        curve = self.curve
        return {
            "characters": len(self.characters),
            "variations": self.variations.shape[1],
            "ways": self.default.ways,
            "closeness": self.closeness,
            "headline": {
                "recognizability_at_peoples_diversity": curve.headline.as_dict(),
                "overlap_at_peoples_diversity": curve.overlap.as_dict(),
                "spread": round(curve.spread, 3) if curve.reached else None,
                "per_seed": [each.as_dict()["value"] for each in self.per_seed],
                "per_critic": [each.as_dict()["value"] for each in self.per_critic],
            },
            "default": {"spread": self.spread, **scores_dict(self.default)},
            "penmanship": self.penmanship.as_dict(),
            "curve": [
                {"spread": spread, **scores_dict(scores)}
                for spread, scores in zip(curve.spreads, curve.scores, strict=True)
            ],
            "references": {name: scores_dict(s) for name, s in self.references.items()},
            "per_character": character_rows(self.characters, self.default),
        }


def scores_dict(scores: Scores) -> dict[str, Any]:
    """All figures with their intervals, for JSON."""
    return {name: getattr(scores, name).as_dict() for name in FIGURES}


def character_rows(names: tuple[str, ...], scores: Scores) -> list[dict[str, Any]]:
    """The scores of each character, for JSON; None where a score is undefined."""
    columns = {
        key: [None if v != v else round(v, 4) for v in values.tolist()]
        for key, values in scores.per_character.items()
    }
    return [
        {"character": name, **{key: column[i] for key, column in columns.items()}}
        for i, name in enumerate(names)
    ]


def measure(
    drawings: Drawings,
    draw: Draw,
    spread: float,
    closeness: float,
    critics: Critics,
    *,
    own: Drawings,
    spreads: tuple[float, ...] = SPREADS,
    seed: int = 0,
    more: Mapping[int, Draw] | None = None,
    more_critics: Sequence[Critics] = (),
) -> Generalization:
    """Score the variations that `draw` draws of the exemplars of `people(drawings, seed)`.

    `drawings` are 28 x 28; `own` are the same drawings at the model's size, at which strokes are
    measured. `spread` is the checkpoint's own, `closeness` the one that `draw` uses. `spreads` are
    those of the curve. `seed` also draws the bootstraps. `more` has further seeds for the headline,
    and the function that draws variations of the exemplars of each; `more_critics` are further
    critics for it.
    """
    exemplars, _ = people(drawings, seed)
    curves, theirs = [], []
    for each, draw_each in {seed: draw, **(more or {})}.items():
        shown, others_drawings = people(drawings, each)
        drawn = cache(draw_each)  # all critics judge the same pictures
        pairs = [critics, *more_critics]
        theirs.append([score(shown, others_drawings, pair, seed=seed) for pair in pairs])
        curves.append(
            [
                score_curve(drawn, shown, known, pair, spreads=spreads, seed=seed)
                for pair, known in zip(pairs, theirs[-1], strict=True)
            ]
        )
    variations = draw(spread)
    return Generalization(
        characters=drawings.characters,
        exemplars=exemplars,
        variations=variations,
        references=references(drawings, critics, seed=seed),
        curve=combined(curves, theirs, seed),
        spread=spread,
        closeness=closeness,
        default=score(exemplars, variations, critics, seed=seed),
        penmanship=penmanship(variations, people(own, seed)[1], seed),
        per_seed=tuple(
            combined([row], [known], seed).headline
            for row, known in zip(curves, theirs, strict=True)
        ),
        per_critic=tuple(
            combined([[row[k]] for row in curves], [[row[k]] for row in theirs], seed).headline
            for k in range(1 + len(more_critics))
        ),
    )


RULES = {
    "forward": "p(test | training)",
    "backward": "p(training | test) / p(training)",
    "both": "p(test | training) p(training | test) / p(training)",
}
"""What each rule of classification maximizes (`PairScores.rules`)."""


@dataclass(frozen=True)
class RunsResult:
    """One-shot classification by the model and, on the same runs, by the prototypical network.

    `rules` has the model's errors by each rule that was computed (RULES). `not_measured` says why
    the model or the network has none: it saw drawings of the runs' alphabets in training.
    """

    source: str
    particles: int
    rules: dict[str, Classification]
    protonet: Classification | None
    not_measured: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with the published figures."""
        return {
            "runs": self.source,
            "particles": self.particles,
            "errors": {rule: found.error.as_dict() for rule, found in self.rules.items()},
            "protonet_error": None if self.protonet is None else self.protonet.error.as_dict(),
            "not_measured": self.not_measured,
            "published": {row.name: row.value for row in tables()["classification"].rows},
        }


def document(
    scores: Generalization, runs: RunsResult | None, recall: Memorization | None
) -> dict[str, Any]:
    """The whole result, for JSON; parts that were not measured are left out."""
    content = scores.as_dict()
    if runs is not None:
        content["classification"] = runs.as_dict()
    if recall is not None:
        content["memorization"] = recall.as_dict()
    return content


def extremes(scores: Scores, count: int = 8) -> tuple[list[int], list[int]]:
    """The indices of the `count` best recognized characters, best first, and of the worst, worst
    first."""
    values = scores.per_character["recognizability"]
    order = torch.argsort(values.nan_to_num(0.0), descending=True, stable=True).tolist()
    return order[:count], order[::-1][:count]
