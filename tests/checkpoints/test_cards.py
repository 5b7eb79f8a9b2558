"""The figures of README.md and of the cards are those of the files."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "checkpoints" / "make_cards.py"))


@pytest.mark.parametrize("page", ["README.md", "checkpoints/README.md"])
def test_figures_are_those_of_the_files(page: str, script: dict[str, Any]) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert script["filled"](text) == text, "run `make tables`"
    assert text.count("<!-- figures:") == text.count("<!-- end -->") > 0


def test_a_bound_has_the_command_that_measures_it(script: dict[str, Any]) -> None:
    flagship, strong = (script["likelihood"](name) for name in ("omniglot", "omniglot-30-20"))
    assert "| negative ELBO, 28 x 28, one context image | " in flagship
    assert "`oneshot eval-nll --particles 1`" in flagship
    assert "`oneshot eval-nll --particles 1 --size 52`" in flagship
    assert "clustered by alphabet" in strong
    assert "`oneshot eval-nll checkpoints/omniglot-30-20.safetensors --particles 1`" in strong
    assert "IWAE, 1,000 particles: the ELBO of all, minus the gap on 300" in strong


def test_a_mark_that_names_no_figure_is_an_error(script: dict[str, Any]) -> None:
    with pytest.raises(KeyError, match="unheard"):
        script["filled"]("<!-- figures: unheard of -->\n<!-- end -->\n")
