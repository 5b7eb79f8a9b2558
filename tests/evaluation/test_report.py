"""The report: one file that contains its pictures, names escaped, only what was measured."""

from __future__ import annotations

import copy
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from test_oneshot_scores import tiny

from oneshot_cli.evaluation.generalization import Draw, Generalization, document, extremes, measure
from oneshot_cli.evaluation.memorization import Memorization, memorization
from oneshot_cli.evaluation.oneshot_scores import Critics, Estimate, Scores, people, score
from oneshot_cli.evaluation.penmanship import MEASURES
from oneshot_cli.evaluation.report import page, stroke_rows
from oneshot_cli.evaluation.spread_curve import Curve, combined, score_curve

pytest.importorskip("matplotlib")
DRAWINGS = tiny(characters=4, each=4)


@pytest.fixture(scope="module")
def critics() -> Critics:
    return Critics.load()


@pytest.fixture(scope="module")
def scores(critics: Critics) -> Generalization:
    """Those of a model that draws what people drew, or copies at temperature 0."""
    exemplars, others = people(DRAWINGS, 0)

    def draw(spread: float) -> torch.Tensor:
        return others if spread else exemplars[:, None].expand_as(others)

    spreads = (0.0, 1.0)
    return measure(DRAWINGS, draw, 1.0, 0.9, critics, own=DRAWINGS, spreads=spreads)


def content(scores: Generalization, memorized: Memorization | None = None) -> dict[str, Any]:
    return {"seed": 3, **document(scores, None, memorized)}


def test_a_name_is_no_markup_and_nothing_is_fetched(scores: Generalization) -> None:
    html = page("<b>&.safetensors", content(scores), scores, None, None)
    assert "One-shot generalization of &lt;b&gt;&amp;.safetensors" in html
    assert "http" not in html
    assert html.count("data:image/png;base64,iVBOR") == 3
    assert html.count("A/character0") >= 4


def test_only_what_was_measured_has_a_section(scores: Generalization, critics: Critics) -> None:
    short = page("x", content(scores), scores, None, None)
    assert "Memorization" not in short
    assert "classification" not in short
    samples = scores.variations.flatten(0, 1)
    characters = torch.arange(len(samples)) * 4 // len(samples)
    memorized = memorization(
        samples,
        samples[:5],
        DRAWINGS.images,
        critics.simclr,
        sample_character=characters,
        held_out_character=characters[:5],
        pairs=2,
    )
    whole = page("x", content(scores, memorized), scores, None, (memorized, DRAWINGS))
    assert "<h2>Memorization</h2>" in whole
    assert whole.count("data:image/png;base64,") == 5
    for html in (short, whole):
        assert html.count("<table>") == html.count("</table>")
        assert "None" not in html


def test_rows_and_examples_are_the_ones_they_say() -> None:
    def measures(value: float) -> SimpleNamespace:
        return SimpleNamespace(**dict.fromkeys(MEASURES, Estimate(value, value, value)))

    both: Any = SimpleNamespace(drawings=measures(1.0), people=measures(2.0))
    assert stroke_rows(both)[0] == ("parts", "1.00 [1.00, 1.00]", "2.00 [2.00, 2.00]")
    recognized = torch.tensor([0.5, 0.9, math.nan, 0.7])
    known: Any = SimpleNamespace(per_character={"recognizability": recognized})
    assert extremes(known, 2) == ([1, 3], [2, 0]), "best, and worst"


def test_each_seed_and_each_pair_of_critics_has_its_own_headline(critics: Critics) -> None:
    """Drawings with as much noise as the spread says; people are in between."""
    drawings = tiny(characters=22, each=5)
    other = copy.deepcopy(critics)
    generator = torch.Generator().manual_seed(0)
    for parameter in (*other.protonet.parameters(), *other.simclr.parameters()):
        parameter.data += 0.1 * parameter.std() * torch.randn(parameter.shape, generator=generator)
    asked: list[float] = []

    def drawer(seed: int) -> Draw:
        shown, _ = people(drawings, seed)
        noise = torch.rand(22, 4, *shown.shape[1:], generator=torch.Generator().manual_seed(seed))

        def draw(spread: float) -> torch.Tensor:
            asked.append(spread)
            return (shown[:, None] - (noise < 0.6 * spread).float()).abs()

        return draw

    spreads = (0.0, 0.3, 1.0)
    both, many = [critics, other], {5: drawer(5), 8: drawer(8)}
    found = measure(
        drawings,
        many[5],
        0.5,
        0.9,
        critics,
        own=drawings,
        spreads=spreads,
        seed=5,
        more={8: many[8]},
        more_critics=[other],
    )
    assert asked[-1] == 0.5, "the drawings that are shown have the checkpoint's own spread"
    curves: dict[tuple[int, int], Curve] = {}
    theirs: dict[tuple[int, int], Scores] = {}
    for seed, draw in many.items():
        shown, others = people(drawings, seed)
        for number, pair in enumerate(both):
            known = theirs[seed, number] = score(shown, others, pair, seed=5)
            curves[seed, number] = score_curve(draw, shown, known, pair, spreads=spreads, seed=5)
    for seed, estimate in zip(many, found.per_seed, strict=True):
        row = [[curves[seed, k] for k in range(2)]]
        assert estimate == combined(row, [[theirs[seed, k] for k in range(2)]], 5).headline
    for k, estimate in enumerate(found.per_critic):
        column = [[curves[seed, k]] for seed in many]
        assert estimate == combined(column, [[theirs[seed, k]] for seed in many], 5).headline
    values = [estimate.value for estimate in (*found.per_seed, *found.per_critic)]
    assert len(set(values)) == 4, values
    assert all(math.isfinite(value) for value in values)
