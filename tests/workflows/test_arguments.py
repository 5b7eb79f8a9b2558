"""The workflows refuse numbers out of their range before they load a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneshot_cli.errors import UsageError
from oneshot_cli.workflows.alphabet import alphabet
from oneshot_cli.workflows.animate import animate
from oneshot_cli.workflows.prepare import parse_sizes
from oneshot_cli.workflows.sample import sample
from oneshot_cli.workflows.vary import vary

MISSING = "no-such-checkpoint.safetensors"


def on_a_glyph(workflow: Callable[..., Any]) -> Callable[..., Any]:
    return lambda glyph, **given: workflow([glyph], **given)


@pytest.mark.parametrize(
    "work",
    [
        on_a_glyph(vary),
        on_a_glyph(alphabet),
        on_a_glyph(animate),
        lambda _, **given: sample(**given),
    ],
    ids=["vary", "alphabet", "animate", "sample"],
)
@pytest.mark.parametrize("wrong", [{"n": -1}, {"n": 0}, {"spread": -1.0}, {"size": 2000}])
def test_numbers_out_of_range_raise_first(
    work: Callable[..., Any],
    wrong: dict[str, Any],
    glyph: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (name,) = wrong
    with pytest.raises(UsageError, match=f"^{name} is"):
        work(glyph, checkpoint=MISSING, **wrong)
    assert not (tmp_path / "out").exists()


def test_a_film_without_exemplars_says_how_many_drawings_it_can_have() -> None:
    with pytest.raises(UsageError, match="401 drawings"):
        animate((), n=401, checkpoint=MISSING)


def test_a_class_has_at_least_one_picture(glyph: Path) -> None:
    with pytest.raises(UsageError, match="per_class is 0"):
        vary([glyph], per_class=0, checkpoint=MISSING)


def test_sizes_are_whole_numbers() -> None:
    for wrong in (28.0, None, "28,", "x"):
        with pytest.raises(UsageError, match="--size"):
            parse_sizes(wrong)  # type: ignore[arg-type]
