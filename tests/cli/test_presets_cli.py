"""Every named model, made tiny, through every command that takes it: as a person would."""

from __future__ import annotations

import json
import math
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageSequence
from tiny import small
from typer.testing import CliRunner

from oneshot_cli.cli.app import app
from oneshot_cli.cli.resuming import FIXED_OPTIONS
from oneshot_cli.cli.train import train
from oneshot_cli.presets import PRESETS


def oneshot(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.stderr or result.exception
    return result.stdout


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of eight characters of two alphabets, four pictures of each."""
    folder = tmp_path_factory.mktemp("pictures")
    for character in range(8):
        points = np.random.default_rng(character).integers(5, 45, (4, 2))
        place = folder / f"alphabet{character % 2}" / f"character{character:02d}"
        place.mkdir(parents=True)
        for drawer in range(4):
            picture = Image.new("L", (50, 50), 255)
            jitter = np.random.default_rng(100 + drawer).integers(-3, 4, points.shape)
            ImageDraw.Draw(picture).line([*map(tuple, (points + jitter).tolist())], 0, 4)
            picture.save(place / f"{drawer}.png")
    return folder


def test_an_unknown_preset_is_wrong_use(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", "--model", "pixelcnn", "-o", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert "there is no model 'pixelcnn'" in result.stderr
    assert not (tmp_path / "run").exists()


TRAINING_GOES_ON = {"iterations", "epochs", "max_time", "threads", "device", "compiled", "data_dir"}
"""What a resumed run may be told; and how it is shown and saved, see below."""


def test_a_run_that_goes_on_refuses_to_become_another(tmp_path: Path, pictures: Path) -> None:
    run = tmp_path / "run"
    there = ["-o", run, "--data-dir", pictures, "--iterations", 1, "--eval-drawings", 1, "-q"]
    fields = [word for item in small("vae").items() for word in ("--set", "=".join(item))]
    oneshot("train", "--dataset", "folder", "--model", "vae", "--batch", 2, *fields, *there)
    for words in (
        ["--model", "draw-64-gauss"],
        ["--hidden", 20],
        ["--dataset", "omniglot"],
        ["--learning-rate", 0.1],
        ["--objective", "elbo"],
        ["--bf16"],
        ["--seed", 3],
        ["--set", "decay=0.1"],
    ):
        command = ["train", "--resume", *there, *words]
        result = CliRunner().invoke(app, [str(word) for word in command])
        assert result.exit_code == 2, words
        assert f"leave out {words[0]}" in " ".join(result.stderr.replace("│", "").split())
    oneshot("train", "--resume", *there, "--threads", 1)


def test_every_option_of_training_is_settled_or_free() -> None:
    free = {"output", "resume", "tensorboard", "json_only", "quiet", "verbose", "eval_drawings"}
    free |= {f"{what}_every" for what in ("eval", "sample", "save", "log")} | TRAINING_GOES_ON
    assert set(FIXED_OPTIONS) | free == set(signature(train).parameters)
    assert not set(FIXED_OPTIONS) & free


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_through_every_command(tmp_path: Path, pictures: Path, name: str) -> None:
    run = tmp_path / "run"
    fields = [word for item in small(name).items() for word in ("--set", "=".join(item))]
    length = ["--eval-drawings", 2, "--log-every", 1, "--threads", 1, "--json"]
    there = ["--data-dir", pictures]
    what = ["--dataset", "folder", "--model", name, "--batch", 2, "--particles", 2, *fields]
    begun = json.loads(oneshot("train", "-o", run, *what, "--iterations", 2, *there, *length))
    assert begun["ended"] == "done"
    ended = json.loads(oneshot("train", "-o", run, "--resume", "--iterations", 3, *there, *length))
    assert ended["iterations"] == 3
    assert json.loads((run / "metrics.jsonl").read_text().splitlines()[0])["step"] == 1
    weights = run / "last.safetensors"

    told = json.loads(oneshot("info", weights, "--json"))
    assert told["model"]["kind"] == PRESETS[name].kind
    assert told["training"]["step"] == 3

    few = ["--limit", 3, "--particles", "1,2", "--part", "both", "--json"]
    found = json.loads(oneshot("eval-nll", weights, *few, *there))
    for row in found["results"]:
        figures = [row["elbo"], row["reconstruction"], row["kl"], *row["iwae"].values()]
        assert all(math.isfinite(figure["nats"]) for figure in figures)
        steps = len(row["kl_per_step"])
        assert steps == len(row["active_latents_per_step"])
        assert row["elbo"]["nats"] > 10
    assert len(found["gaps"]) == 1

    oneshot("sample", "-c", weights, "-n", 2, "-o", tmp_path / "samples.png", "--size", 28)
    with Image.open(tmp_path / "samples.png") as picture:
        assert picture.width > 56

    film = tmp_path / "film.gif"
    oneshot("animate", "-c", weights, "-n", 2, "-o", film, "--size", 28, "--fps", 10, "--hold", 1)
    with Image.open(film) as picture:  # equal steps, which a new model may have, share a frame
        frames = [frame.info["duration"] for frame in ImageSequence.Iterator(picture)]
    assert sum(frames) == 100 * (steps - 1) + 1000
    if told["model"].get("conditional"):
        oneshot("vary", tmp_path / "samples.png", "-n", 2, "-c", weights, "-o", tmp_path / "vary")
        assert list((tmp_path / "vary").rglob("*.png"))
