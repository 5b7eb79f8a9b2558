"""The recipes of the checkpoints that ship: run after run, in chunks of any length."""

from __future__ import annotations

import json
import runpy
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from tiny import TINY, write_crosses

from oneshot_cli.data.spec import DataSpec
from oneshot_cli.experiment import Experiment
from oneshot_cli.model.warm_start import OPTIONAL_FIELDS, REPEATED_FIELDS
from oneshot_cli.presets import PRESETS
from oneshot_cli.training.config import TrainConfig
from oneshot_cli.workflows.prepare import configurations

HERE = Path(__file__).parents[2] / "checkpoints"
SCRIPT = HERE / "train.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_phases_follow_each_other_however_they_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: dict[str, Any]
) -> None:
    """Two tiny experiments, stopped after every few iterations, end where one sitting ends."""
    monkeypatch.chdir(tmp_path)
    write_crosses(tmp_path / "data")
    monkeypatch.setenv("ONESHOT_DATA", str(tmp_path / "data"))
    main, folder = script["main"], script["RunFolder"]
    model = replace(TINY, size=14)
    for name, iterations, sizes in (("first", 2, (14,)), ("second", 3, (14, 28))):
        several = sizes if len(sizes) > 1 else ()
        spec = DataSpec("folder", "weak", sizes[-1], several, validation=0.03)
        experiment = Experiment(model, TrainConfig(iterations=iterations, batch=2), spec)
        experiment.write(tmp_path / f"{name}.json")
    main.__globals__["EXPERIMENTS"] = tmp_path
    main.__globals__["RECIPES"] = {"tiny": ["first", "second"]}
    brief = ["--eval-drawings", "2", "--threads", "1", "--quiet"]
    for limit in ("1s", "1s", "9m"):
        monkeypatch.setattr(sys, "argv", ["train.py", "tiny", "--max-time", limit, *brief])
        main()
    assert script["finished"](folder(Path("runs/first")))
    assert script["finished"](folder(Path("runs/second")))
    second = folder(Path("runs/second")).experiment()
    assert second.training.steps_before == 2
    assert second.model.input_size == 14


def experiments(script: dict[str, Any], recipe: str) -> list[tuple[Experiment, dict[str, Any]]]:
    """The experiments of a recipe, and what their files say."""
    paths = [HERE / "recipes" / f"{name}.json" for name in script["RECIPES"][recipe]]
    return [(Experiment.read(path), json.loads(path.read_text())) for path in paths]


def test_recipes_leave_nothing_to_defaults(script: dict[str, Any]) -> None:
    """Except the type of numbers, which is the machine's choice. Every file belongs to a recipe."""
    named = set()
    for recipe, names in script["RECIPES"].items():
        named |= set(names)
        for experiment, content in experiments(script, recipe):
            assert json.loads(json.dumps(experiment.to_dict())) == content
            assert set(content["training"]) == {field.name for field in fields(TrainConfig)}
            assert experiment.training.bf16 is None
            assert experiment.data.validation is not None
    assert named == {path.stem for path in (HERE / "recipes").iterdir()}


def test_the_runs_of_a_recipe_have_one_model(script: dict[str, Any]) -> None:
    """What the data decide may change, and what `--from` may: added parts, the number of steps."""
    free = {"size", "read_size", "ink", "observation", *OPTIONAL_FIELDS, *REPEATED_FIELDS}
    for recipe in script["RECIPES"]:
        first, *others = (
            experiment.model.to_dict() for experiment, _ in experiments(script, recipe)
        )
        for other in others:
            assert {n for n in first if first[n] != other[n]} <= free, recipe


def test_each_row_of_the_tables_has_a_recipe_of_its_preset(script: dict[str, Any]) -> None:
    """Its model is the preset's; the size, the mean and the observation are MNIST's.

    Batches are larger where the last run was on a GPU.
    """
    results = json.loads((HERE.parent / "docs" / "results" / "recipes.json").read_text())
    assert set(script["TABLES"]) == set(PRESETS) - {"flagship", "paper", "vae"}
    for row in script["TABLES"]:
        experiment = experiments(script, row)[-1][0]
        model, training = configurations(PRESETS[row], {})
        assert experiment.model == replace(model, ink=experiment.model.ink), row
        assert experiment.data.dataset == "mnist"
        same = ("particles", "objective", "tasks", "clip", "step_clip")
        for name in same:
            assert getattr(experiment.training, name) == getattr(training, name), (row, name)
        batch = results[row].get("gpu", {}).get("batch", training.batch)
        assert experiment.training.batch == batch, row


def test_all_rows_are_listed_with_what_is_done(
    script: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", "tables", "--list"])
    script["main"]()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(script["TABLES"]) + 10  # the first runs of six rows
    assert lines[0].split() == ["st-add-30-start", "0", "of", "20,000", "iterations"]


def test_the_checkpoints_that_ship_come_from_their_recipes(script: dict[str, Any]) -> None:
    """The model in the header is that of the recipe's last experiment."""
    found = list(HERE.rglob("*.safetensors"))
    assert found
    for path in found:
        shipped, (recipe, _) = Experiment.read(path), experiments(script, path.stem)[-1]
        assert shipped.model == recipe.model, path.name
        wanted = recipe.data.to_dict()
        if shipped.data.validation is None:  # of runs that are older than the validation part
            del wanted["validation"]
        assert shipped.data.to_dict().items() >= wanted.items(), path.name
