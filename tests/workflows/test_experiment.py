"""An experiment is plain data: to JSON and back, and the same run from Python and the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import small, write_crosses
from typer.testing import CliRunner

import oneshot_cli as oneshot
from oneshot_cli.cli.app import app
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.errors import OneshotError
from oneshot_cli.experiment import Experiment
from oneshot_cli.presets import PRESETS
from oneshot_cli.training.folder import RunFolder
from oneshot_cli.workflows.prepare import prepare

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Bits depend on the number of threads: everything here runs on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    write_crosses(tmp_path / "data")
    return tmp_path / "data"


def command(*words: object) -> Any:
    result = CliRunner().invoke(app, ["train", *map(str, words), "--threads", "1", "--quiet"])
    assert result.exit_code == 0, result.stderr or result.exception
    return result


def fields(name: str) -> list[str]:
    return [word for item in small(name).items() for word in ("--set", "=".join(item))]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "last.safetensors")


def assert_same_weights(one: Path, other: Path) -> None:
    mine, theirs = weights(one), weights(other)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def tiny(data_dir: Path, name: str = "flagship", **changed: Any) -> Experiment:
    chosen = {**small(name), "iterations": 3, "batch": 2, "bf16": False, **changed}
    data = oneshot.DataChoice("folder", size=14)
    return oneshot.new_experiment(name, data=data, fields=chosen, data_dir=data_dir)


@pytest.mark.parametrize("name", ["flagship", "vae"])
def test_python_trains_what_the_command_trains_bit_for_bit(
    name: str, data_dir: Path, tmp_path: Path
) -> None:
    experiment = tiny(data_dir, name)
    options = oneshot.RunOptions(data_dir=data_dir)
    result = oneshot.train(experiment, tmp_path / "mine", options=options)
    assert (result.ended, result.iterations) == ("done", 3)
    command(
        *("-o", tmp_path / "theirs", "--dataset", "folder", "--model", name, "--size", 14),
        *("--data-dir", data_dir, "--batch", 2, "--iterations", 3, "--fp32"),
        *fields(name),
    )
    assert_same_weights(tmp_path / "mine", tmp_path / "theirs")
    one, other = (
        json.loads((tmp_path / n / "config.json").read_text()) for n in ("mine", "theirs")
    )
    assert one == other == json.loads(json.dumps(experiment.to_dict()))


def test_a_config_file_runs_the_experiment_of_another_run(data_dir: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    oneshot.train(tiny(data_dir), first, options=oneshot.RunOptions(data_dir=data_dir))
    for number, source in enumerate((first, first / "config.json", first / "last.safetensors")):
        again = tmp_path / f"again-{number}"
        command("--config", source, "-o", again, "--data-dir", data_dir)
        assert_same_weights(first, again)
    other = tmp_path / "other"
    command(
        *("--config", first / "config.json", "-o", other, "--data-dir", data_dir),
        *("--learning-rate", 0.01, "--steps", 1, "--seed", 5, "--iterations", 2, "--augment", 0.5),
    )
    changed, base = RunFolder(other).experiment(), RunFolder(first).experiment()
    assert changed.model == replace(base.model, steps=1)  # type: ignore[call-arg]
    assert changed.training.augmentation.any
    assert changed.training == replace(
        base.training,
        learning_rate=0.01,
        seed=5,
        iterations=2,
        augmentation=changed.training.augmentation,
    )
    assert changed.data == base.data
    turned = tmp_path / "turned"
    config = other / "config.json"
    command("--config", config, "-o", turned, "--data-dir", data_dir, "--turn", 0.25)
    expected = replace(changed.training.augmentation, turned=0.25)
    assert RunFolder(turned).experiment().training.augmentation == expected, "the rest stays"


def test_a_config_of_two_sizes_runs_at_a_smaller_one(data_dir: Path, tmp_path: Path) -> None:
    conduct = oneshot.RunOptions(data_dir=data_dir)
    chosen = {**small("flagship"), "iterations": 1, "batch": 2, "bf16": False}
    data = oneshot.DataChoice("folder", size="14,20")
    both = oneshot.new_experiment(data=data, fields=chosen, data_dir=data_dir)
    assert (both.model.size, both.model.input_size) == (20, 14)
    oneshot.train(both, tmp_path / "both", options=conduct)
    more = ("--data-dir", data_dir, "--size", 12)
    command("--config", tmp_path / "both", "-o", tmp_path / "one", *more)
    model = RunFolder(tmp_path / "one").experiment().model
    assert (model.size, model.input_size) == (12, 12)


def test_resuming_from_python(data_dir: Path, tmp_path: Path) -> None:
    options = oneshot.RunOptions(data_dir=data_dir)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    oneshot.train(tiny(data_dir), whole, options=options)
    oneshot.train(tiny(data_dir), parts, options=replace(options, max_seconds=0.0))
    assert oneshot.resume(parts, options=options).iterations == 3
    assert_same_weights(whole, parts)
    with pytest.raises(OneshotError, match="already has a run"):
        oneshot.train(tiny(data_dir), whole, options=options)


def test_an_experiment_goes_to_json_and_back(data_dir: Path, tmp_path: Path) -> None:
    for name in PRESETS:
        experiment = tiny(data_dir, name)
        experiment.write(tmp_path / "experiment.json")
        assert Experiment.read(tmp_path / "experiment.json") == experiment
        assert Experiment.from_dict(experiment.to_dict()) == experiment


def test_what_a_file_does_not_name_has_its_default() -> None:
    content = {"model": {}, "training": {"batch": 3}, "data": {"dataset": "omniglot"}}
    experiment = Experiment.from_dict(content)
    assert (experiment.model.kind, experiment.training.batch) == ("sequential", 3)
    assert experiment.training.learning_rate == 1.5e-3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("not JSON", "cannot be read as JSON"),
        ("[]", "does not describe an experiment"),
        ("{}", "it has no 'model'"),
        ('{"model": {}, "training": {}}', "it has no 'data'"),
        ('{"model": {"wings": 2}, "training": {}, "data": {"dataset": "omniglot"}}', "wings"),
        ('{"model": {}, "training": {"batch": 0}, "data": {"dataset": "omniglot"}}', "batch"),
        ('{"model": {}, "training": {}, "data": {}}', "what data"),
        ('{"model": {"kind": "hologram"}, "training": {}, "data": {}}', "hologram"),
    ],
)
def test_a_file_that_is_no_experiment_is_named(content: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text(content)
    result = CliRunner().invoke(app, ["train", "--config", str(path), "-o", str(tmp_path / "run")])
    assert result.exit_code == 1
    assert "broken.json" in result.stderr
    assert words in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_config_file_and_a_preset_exclude_each_other(tmp_path: Path) -> None:
    words = ["train", "--config", "a.json", "--model", "vae", "-o", str(tmp_path / "run")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "leave out --model" in result.stderr
    missing = CliRunner().invoke(app, ["train", "--config", str(tmp_path / "a.json")])
    assert missing.exit_code == 1
    assert "no such file" in missing.stderr


def test_every_checkpoint_that_ships_says_its_experiment() -> None:
    found = list(CHECKPOINTS.glob("*.safetensors"))
    assert found
    for path in found:
        experiment = Experiment.read(path)
        assert Experiment.from_dict(experiment.to_dict()) == experiment


@pytest.mark.parametrize(
    ("part", "name", "value", "words"),
    [
        ("data", "validaton", 0.1, "the data cannot have 'validaton'"),
        ("", "trainning", {}, "an experiment cannot have 'trainning'"),
        ("", "sampling", {"spread": 5.0}, "spread is 5.0"),
        ("training", "data_before", "omniglot weak", "not a list of texts"),
        ("training", "data_before", [1], "data_before are texts"),
        ("data", "size", True, "not as oneshot describes them"),
        ("data", "validation", 1.5, "validation is 1.5"),
        ("data", "binarization", 3, "not as oneshot describes them"),
    ],
)
def test_what_is_misspelt_or_wrong_is_refused_before_the_work(
    part: str, name: str, value: Any, words: str, tmp_path: Path
) -> None:
    content: dict[str, Any] = {"model": {}, "training": {}, "data": {"dataset": "mnist"}}
    (content[part] if part else content)[name] = value
    path = tmp_path / "config.json"
    path.write_text(json.dumps(content))
    with pytest.raises(OneshotError, match=words):
        Experiment.read(path)


@pytest.mark.parametrize("key", ["alphabets", "characters", "drawings", "seed"])
@pytest.mark.parametrize("value", [None, "x", 1.5, [], True])
def test_numbers_of_generated_drawings_are_whole(key: str, value: Any) -> None:
    with pytest.raises(OneshotError, match="not as oneshot describes"):
        DataSpec.from_dict({"dataset": "glyphs", key: value})


def test_a_new_run_without_weights_had_no_training_before(data_dir: Path, tmp_path: Path) -> None:
    """Also if its settings are those of a run that had."""
    conduct = oneshot.RunOptions(data_dir=data_dir)
    oneshot.train(tiny(data_dir), tmp_path / "a", options=conduct)
    start = tmp_path / "a" / "last.safetensors"
    oneshot.train(tiny(data_dir), tmp_path / "b", start=start, options=conduct)
    assert RunFolder(tmp_path / "b").experiment().training.steps_before == 3
    command("--config", tmp_path / "b", "-o", tmp_path / "c", "--data-dir", data_dir)
    training = RunFolder(tmp_path / "c").experiment().training
    assert (training.steps_before, training.seconds_before) == (0, 0.0)
    assert training.data_before == ()
    assert_same_weights(tmp_path / "a", tmp_path / "c")


def test_a_new_run_does_not_choose_weights_by_the_test_part(data_dir: Path) -> None:
    """As runs did before there was a validation part, whose settings it may have."""
    old = tiny(data_dir)
    old = replace(old, data=replace(old.data, validation=None))
    assert prepare(base=old, data_dir=data_dir)[0].data.validation == 0.03


def test_earlier_training_is_not_set_by_hand() -> None:
    for name in ("steps_before", "seconds_before", "data_before"):
        with pytest.raises(OneshotError, match=f"no field '{name}'"):
            oneshot.new_experiment(data=oneshot.DataChoice("glyphs"), fields={name: "x"})


def test_a_model_for_other_weights_is_refused(data_dir: Path, tmp_path: Path) -> None:
    oneshot.train(tiny(data_dir), tmp_path / "a", options=oneshot.RunOptions(data_dir=data_dir))
    start, data = tmp_path / "a" / "last.safetensors", oneshot.DataChoice("folder", size=14)
    for other in ("nade", "vae", "st-add-30"):
        with pytest.raises(OneshotError, match=f"with a context, which --model {other}"):
            oneshot.new_experiment(other, start=start, data=data, data_dir=data_dir)
    for same in ("paper", "flagship"):
        kept = oneshot.new_experiment(same, start=start, data=data, data_dir=data_dir)
        assert kept.model == RunFolder(tmp_path / "a").experiment().model


def test_a_run_goes_on_with_its_own_drawings_only(data_dir: Path, tmp_path: Path) -> None:
    conduct = oneshot.RunOptions(data_dir=data_dir)
    oneshot.train(tiny(data_dir), tmp_path / "run", options=conduct)
    given = {picture: picture.read_bytes() for picture in data_dir.rglob("*.png")}
    for picture in given:
        picture.write_bytes(max(given.values()))
    file = RunFolder(tmp_path / "run").state
    state = file.read_bytes()
    with pytest.raises(OneshotError, match="not those that it was trained on"):
        oneshot.resume(tmp_path / "run", iterations=5, options=conduct)
    assert file.read_bytes() == state
    for picture, content in given.items():
        picture.write_bytes(content)
    assert oneshot.resume(tmp_path / "run", iterations=5, options=conduct).iterations == 5
