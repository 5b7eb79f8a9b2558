"""checkpoints/measure_row.py: from a run to the files that `make tables` reads."""

from __future__ import annotations

import json
import os
import runpy
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot_cli import checkpoint
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.experiment import Experiment
from oneshot_cli.model import VAEConfig
from oneshot_cli.training.config import TrainConfig
from oneshot_cli.workflows.train import train

HERE = Path(__file__).parents[2] / "checkpoints"
MNIST = Path(os.environ.get("ONESHOT_DATA", "/nowhere")) / "mnist"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(str(HERE))
    return runpy.run_path(str(HERE / "measure_row.py"))


def test_a_curve_has_the_means_of_blocks(script: dict[str, Any]) -> None:
    rows = [
        {
            "step": i,
            "bound": -100.0 - i % 2,
            "kl_weight": 0.5 if i <= 20 else 1.0,
            "learning_rate": 1e-3,
            "seconds": 2.0 * i,
        }
        for i in range(1, 1021)
    ]
    points = script["curve"]([*rows, {"step": 1020, "held_out_bound": -90.0}])
    assert len(points) == 200
    assert points[0] == {"iteration": 23, "nats": 100.6, "learning_rate": 1e-3, "seconds": 50}
    assert points[-1]["seconds"] == 2040


@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not at hand")
def test_a_run_becomes_a_checkpoint_a_result_and_a_curve(
    script: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = script["main"]
    for name, value in (("HERE", tmp_path), ("RUNS", tmp_path), ("RESULTS", tmp_path)):
        monkeypatch.setitem(main.__globals__, name, value)
    monkeypatch.setitem(main.__globals__, "TRAINING_IMAGES", 30)
    spec = DataSpec("mnist", "official", options={"binarization": "dynamic"}, validation=0.0)
    training = TrainConfig(iterations=50, batch=5, kl_warmup=0)
    train(Experiment(VAEConfig(latent=(2,), hidden=(8,)), training, spec), tmp_path / "vae-nf")
    options = ["vae-nf", "--particles", "3", "--limit", "20", "--machine", "a machine"]
    monkeypatch.setattr(sys, "argv", ["measure_row.py", *options])
    main()
    path = tmp_path / "tables" / "vae-nf.safetensors"
    model, header = checkpoint.load(path)
    assert header.training["machine"] == "a machine"
    document = json.loads((tmp_path / "vae-nf.json").read_text())
    test, trained = document["results"]
    assert (test["part"], test["images"], list(test["iwae"])) == ("test", 20, ["3"])
    assert (trained["part"], trained["images"]) == ("train", 30)
    assert json.loads((tmp_path / "curves" / "vae-nf.json").read_text())[-1]["iteration"] == 50
    checkpoint.save(path, model, replace(header, figures={"published": 1}))
    main()
    assert checkpoint.read_header(path).figures == {"published": 1}
    checkpoint.save(path, model, replace(header, figures={"published": 1}, training={"step": 9}))
    main()
    assert checkpoint.read_header(path).figures == {}, "another run's figures are not kept"
