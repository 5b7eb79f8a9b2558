"""Files with old names are read: checkpoints, run folders and their state."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from tiny import TINY, write_crosses
from typer.testing import CliRunner

from oneshot_cli import checkpoint
from oneshot_cli.cli.app import app
from oneshot_cli.experiment import Experiment
from oneshot_cli.model import config_from
from oneshot_cli.model.legacy import FIELDS, current_fields, current_weight

OLD = Path(__file__).parents[1] / "fixtures/run-with-old-names"
"""A run of format 1, stopped by hand after 2 of 4 iterations."""
SHIPPED = sorted((Path(__file__).parents[2] / "checkpoints").glob("*.safetensors"))


def names(path: Path) -> set[str]:
    with safe_open(path, "pt") as file:
        return set(file.keys())


def test_the_old_run_has_old_names() -> None:
    """The fixture is what it is for: no one wrote it again."""
    assert set(FIELDS) <= json.loads((OLD / "config.json").read_text())["model"].keys()
    assert "context.embed_summary.weight" in names(OLD / "last.safetensors")
    assert "optimizer/exp_avg/writer.aim.linear.weight" in names(OLD / "state/state.safetensors")


def test_an_old_checkpoint_is_read_whole() -> None:
    model, header = checkpoint.load(OLD / "last.safetensors")
    assert header.config.to_dict()["image_encoder_units"] == 3
    assert set(model.state_dict()) == {current_weight(n) for n in names(OLD / "last.safetensors")}


def test_checkpoints_ship() -> None:
    assert {"omniglot", "mnist"} <= {path.stem for path in SHIPPED}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_checkpoints_that_ship_are_read(path: Path) -> None:
    model, header = checkpoint.load(path)
    weights = model.state_dict()
    with safe_open(path, "pt") as file:
        for name in file.keys():  # noqa: SIM118
            assert torch.equal(file.get_tensor(name).float(), weights[current_weight(name)])
    assert config_from(header.model, header.config.to_dict()) == header.config


def test_an_old_run_goes_on_as_a_new_one_does(tmp_path: Path) -> None:
    """Two old iterations and two new ones have the weights of four new ones."""
    write_crosses(tmp_path / "data/folder")
    shutil.copytree(OLD, tmp_path / "old")
    common = ["--data-dir", str(tmp_path / "data"), "--quiet", "--threads", "1"]
    resumed = ["train", "--resume", "-o", str(tmp_path / "old"), *common]
    assert CliRunner().invoke(app, resumed).exit_code == 0
    whole = ["train", "--config", str(OLD / "config.json"), "-o", str(tmp_path / "new"), *common]
    assert CliRunner().invoke(app, whole).exit_code == 0
    old, new = (checkpoint.load(tmp_path / run / "last.safetensors")[0] for run in ("old", "new"))
    for name, weight in new.state_dict().items():
        torch.testing.assert_close(old.state_dict()[name], weight, atol=1e-6, rtol=1e-5)
    written = json.loads((tmp_path / "old/config.json").read_text())["model"]
    assert written["image_encoder_units"] == 3
    assert not set(FIELDS) & written.keys()
    assert Experiment.read(tmp_path / "old/config.json").model == config_from(
        "sequential", {k: v for k, v in written.items() if k != "kind"}
    )


@pytest.mark.parametrize("option", ["--image-encoder", "--summary"])
def test_the_command_takes_the_old_option_and_the_old_field(option: str, tmp_path: Path) -> None:
    write_crosses(tmp_path / "data/folder")
    words = ["train", "--dataset", "folder", "--data-dir", str(tmp_path / "data"), "--size", "14"]
    words += ["-o", str(tmp_path / "run"), "--iterations", "1", "--batch", "2", "--quiet"]
    words += ["--steps", "1", "--hidden", "4", "--glimpse", "3", "--patch", "3", option, "5"]
    result = CliRunner().invoke(app, [*words, "--set", "summary_channels=2"])
    assert result.exit_code == 0, result.output
    model = json.loads((tmp_path / "run/config.json").read_text())["model"]
    assert (model["image_encoder_units"], model["image_encoder_channels"]) == (5, 2)


def test_names_of_now_stay_as_they_are() -> None:
    assert current_fields(TINY.to_dict()) == TINY.to_dict()
    assert replace(TINY, **current_fields({"summary_units": 3})).image_encoder_units == 3
    for name in ("posterior.image_encoder.dense.bias", "optimizer/step/start", "start"):
        assert current_weight(name) == name
