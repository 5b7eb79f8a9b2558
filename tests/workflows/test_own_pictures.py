"""`train --dataset folder`: folders of any shape and size, also from a checkpoint that ships."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import small, write_crosses
from typer.testing import CliRunner

from oneshot_cli import DataChoice, checkpoint, load, new_experiment
from oneshot_cli.cli.app import app
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.experiment import Experiment
from oneshot_cli.model import SequentialConfig, config_from
from oneshot_cli.paths import flagship
from oneshot_cli.workflows.prepare import at_sizes_of

FIELDS = [word for item in small("flagship").items() for word in ("--set", "=".join(item))]
BRIEF = ["--dataset", "folder", "--iterations", 1, "--batch", 2, "--threads", 1, "--fp32"]


def oneshot(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return " ".join(result.stderr.split())


def train(folder: Path, run: Path, *words: object) -> str:
    return oneshot("train", *BRIEF, "--data-dir", folder, "-o", run, *words)


@pytest.fixture
def crosses(tmp_path: Path) -> Path:
    """Five characters, 0 to 4, of three drawings each."""
    write_crosses(tmp_path / "data")
    return tmp_path / "data" / "crosses"


def test_two_characters_are_trained_on_and_it_is_said_what_is_missing(
    crosses: Path, tmp_path: Path
) -> None:
    for name in "234":
        for picture in (crosses / name).iterdir():
            picture.unlink()
    run = tmp_path / "run"
    told = train(crosses, run, *FIELDS)
    assert "6 drawings of 2 characters" in told
    assert "no validation drawings (an alphabet needs three characters for it)" in told
    assert (run / "best.safetensors").read_bytes() == (run / "last.safetensors").read_bytes()
    told = oneshot("eval-nll", run / "last.safetensors", "--data-dir", crosses, code=1)
    assert "holds out a quarter of an alphabet that has at least four" in told
    oneshot("eval-nll", run / "last.safetensors", "--data-dir", crosses, "--part", "train")


def test_pictures_without_folders_cannot_teach_to_vary_and_it_is_said(
    crosses: Path, tmp_path: Path
) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for character in crosses.iterdir():
        (character / "0.png").rename(flat / f"{character.name}.png")
    told = train(flat, tmp_path / "run", *FIELDS)
    assert "validation: 1 drawing of 1 other character" in told
    advice = "put the drawings of each character into a folder of its own"
    assert advice in told
    assert advice not in train(flat, tmp_path / "alone", *FIELDS, "--task", 1), "needs none"
    told = train(crosses, tmp_path / "pairs", *FIELDS)
    assert "one drawing" not in told


def test_a_character_with_one_drawing_is_told(crosses: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        (crosses / "4" / f"{number}.png").unlink()
    told = train(crosses, tmp_path / "run", *FIELDS)
    assert "characters with one drawing, which are learned without exemplar: 1" in told


def test_the_sheets_of_vary_are_not_trained_on(
    crosses: Path, tmp_path: Path, weights: Path
) -> None:
    drawn = tmp_path / "drawn"
    for name in "012":
        words = [crosses / name / "0.png", "-n", 2, "--show-input", "-c", weights]
        oneshot("vary", *words, "-o", drawn / name, "--size", 28)
    assert len(list(drawn.rglob("*.png"))) == 3 * 4
    told = train(drawn, tmp_path / "run", *FIELDS)
    assert "4 drawings of 2 characters" in told
    assert "validation: 2 drawings of 1 other character" in told


def test_a_run_from_a_checkpoint_keeps_its_sizes(crosses: Path, tmp_path: Path) -> None:
    train(crosses, tmp_path / "first", *FIELDS, "--size", "14,26")
    start = ["--from", tmp_path / "first" / "last.safetensors"]
    train(crosses, tmp_path / "second", *start)
    content: dict[str, Any] = json.loads((tmp_path / "second" / "config.json").read_text())
    assert content["data"]["sizes"] == [14, 26]
    assert (content["model"]["read_size"], content["model"]["size"]) == (14, 26)
    assert content["training"]["kl_warmup"] == 0, "its KL has its full weight already"
    train(crosses, tmp_path / "third", *start, "--size", "14,30", "--kl-warmup", 5)
    content = json.loads((tmp_path / "third" / "config.json").read_text())
    assert content["data"]["sizes"] == [14, 30]
    assert content["training"]["kl_warmup"] == 5


def test_the_flagship_reads_28_and_draws_52_on_ones_own_pictures(crosses: Path) -> None:
    experiment = new_experiment(start=flagship(), data=DataChoice("folder"), data_dir=crosses)
    assert isinstance(experiment.model, SequentialConfig)
    assert (experiment.model.read_size, experiment.model.size) == (28, 52)
    assert experiment.data.sizes == (28, 52)


def test_data_of_another_usual_size_keep_it() -> None:
    header = checkpoint.Header(config=SequentialConfig(size=28), data={"dataset": "mnist"})
    assert at_sizes_of(header, DataSpec("mnist-two", "official", 60)).size == 60
    assert at_sizes_of(header, DataSpec("omniglot", "weak", 52)).size == 28


def test_a_run_keeps_the_sampling_of_its_start(crosses: Path, tmp_path: Path) -> None:
    train(crosses, tmp_path / "first", *FIELDS)
    first = tmp_path / "first" / "last.safetensors"
    model, header = checkpoint.load(first)
    chosen = {"spread": 0.7, "closeness": 0.3}
    checkpoint.save(first, model, replace(header, sampling=chosen))
    run = tmp_path / "second"
    train(crosses, run, "--from", first)
    oneshot("train", "--resume", "-o", run, "--iterations", 2, "--data-dir", crosses)
    assert checkpoint.read_header(run / "last.safetensors").training["step"] == 2
    drawing = load(run)
    assert (drawing.spread, drawing.closeness) == (0.7, 0.3)
    other = checkpoint.Header(config=config_from("draw", {}), sampling=chosen)
    assert Experiment.read(run).after(other).sampling == {}, "it is another kind of model"


def test_one_validation_drawing_has_no_error_of_its_bound(crosses: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for character in crosses.iterdir():
        (character / "0.png").rename(flat / f"{character.name}.png")
    told = train(flat, tmp_path / "run", *FIELDS)
    assert re.search(r"validation: \d+\.\d\d nats \(KL", told)
    assert "nan" not in told
    rows = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert '"validation_error": null' in rows
