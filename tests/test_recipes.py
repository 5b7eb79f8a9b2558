"""The recipes of the checkpoints that ship: run after run, in chunks of any length."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny import write_crosses

HERE = Path(__file__).parents[1] / "checkpoints"
SCRIPT = HERE / "train.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


@pytest.mark.parametrize("chunks", [1, 3])
def test_phases_follow_each_other_however_they_are_cut(
    chunks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: dict[str, Any]
) -> None:
    """Two tiny phases, stopped after every few iterations, end where one sitting ends."""
    monkeypatch.chdir(tmp_path)
    write_crosses(tmp_path / "data")
    monkeypatch.setenv("ONESHOT_DATA", str(tmp_path / "data"))
    main, phase = script["main"], script["Phase"]
    brief = "--dataset folder --batch 2 --eval-drawings 2 --threads 1 --quiet"
    tiny = "--steps 1 --hidden 4 --glimpse 4 --patch 4 --summary 0"
    recipe = [
        phase("first", f"{brief} {tiny} --size 14 --iterations 2"),
        phase("second", f"{brief} --size 14,28 --iterations 3"),
    ]
    main.__globals__["RECIPES"] = {"tiny": recipe}
    for chunk in range(chunks):
        limit = "9m" if chunk == chunks - 1 else "1s"
        monkeypatch.setattr(sys, "argv", ["train.py", "tiny", "--max-time", limit])
        main()
    finished, folder = script["finished"], script["RunFolder"]
    assert finished(folder(Path("runs/first")))
    assert finished(folder(Path("runs/second")))
    config = folder(Path("runs/second")).read_config()
    assert config["training"]["steps_before"] == 2
    assert config["model"]["read_size"] == 14


def test_recipes_do_not_depend_on_the_learning_rates_of_presets(script: dict[str, Any]) -> None:
    for name, phases in script["RECIPES"].items():
        for phase in phases:
            assert "--learning-rate" in phase.options, name


def test_only_the_first_run_of_a_recipe_says_what_the_model_is(script: dict[str, Any]) -> None:
    """The others begin with its weights, and `oneshot train --from` refuses to change a model.

    A learned prior and an output network may be added later, where the first run has neither.
    """
    fields = {f"--{name}" for name in ("latent", "steps", "hidden", "glimpse", "patch", "summary")}
    for name, phases in script["RECIPES"].items():
        for phase in phases[1:]:
            assert not fields & set(phase.options.split()), name
        assert script["PLAIN"] in phases[0].options, name
