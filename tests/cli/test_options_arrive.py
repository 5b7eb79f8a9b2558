"""Every option reaches the function that does the work, with the value that was given."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from commands import oneshot

from oneshot_cli.errors import OneshotError
from oneshot_cli.training.loop import Intervals
from oneshot_cli.workflows import prepare as preparation
from oneshot_cli.workflows import train as training

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "vary": (
        "vary.vary",
        {
            "n": 3,
            "per_class": 4,
            "size": 40,
            "seed": 7,
            "spread": 0.4,
            "closeness": 0.2,
            "pen": 0.05,
            "together": True,
            "keep_best": 2,
            "layout": "paper",
            "format": "svg",
            "show_input": True,
            "skip_existing": True,
            "each": True,
            "frame": 2,
            "box": "keep",
            "device": "cpu",
            "force": True,
        },
    ),
    "animate": (
        "animate.animate",
        {
            "n": 3,
            "size": 40,
            "seed": 7,
            "spread": 0.4,
            "closeness": 0.2,
            "reconstruct": True,
            "windows": False,
            "fade": True,
            "fps": 3.0,
            "hold": 2.0,
            "format": "webp",
            "device": "cpu",
            "force": True,
        },
    ),
    "sample": (
        "sample.sample",
        {
            "n": 3,
            "size": 40,
            "seed": 7,
            "spread": 0.4,
            "nearest": True,
            "device": "cpu",
            "force": True,
        },
    ),
    "alphabet": (
        "alphabet.alphabet",
        {"n": 3, "size": 40, "seed": 7, "spread": 0.4, "device": "cpu", "force": True},
    ),
    "score": (
        "score.score",
        {
            "n": 3,
            "limit": 9,
            "size": 40,
            "closeness": 0.2,
            "classify": False,
            "both_directions": False,
            "particles": 4,
            "memorization": False,
            "seed": 7,
            "seeds": 2,
            "device": "cpu",
            "force": True,
        },
    ),
    "eval-nll": (
        "nll.nll",
        {
            "limit": 9,
            "refine": 5,
            "split": "strong",
            "resample": "max",
            "size": 40,
            "batch": 30,
            "seed": 7,
            "dataset": "glyphs",
            "device": "cpu",
            "force": True,
        },
    ),
}
"""Of each command: the function that does its work, and values other than the defaults."""
SPELLED = {
    ("eval-nll", "split"): "--data-split",
    ("score", "both_directions"): "--one-direction",
}
"""The options whose names are not those of the function's arguments."""


def spelled(command: str, options: dict[str, Any]) -> list[str]:
    """The options as words of the command line."""
    words = []
    for name, value in options.items():
        usual = "-n" if name == "n" else "--" + name.replace("_", "-")
        if value is False:
            usual = usual.replace("--", "--no-", 1)
        words.append(SPELLED.get((command, name), usual))
        words += [] if isinstance(value, bool) else [str(value)]
    return words


@pytest.mark.parametrize("command", OPTIONS)
def test_every_option_arrives(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, options = OPTIONS[command]
    got: dict[str, Any] = {}

    def record(*_: Any, **given: Any) -> Any:
        got.update(given)
        raise OneshotError("recorded")

    module, name = where.split(".")
    monkeypatch.setattr(importlib.import_module(f"oneshot_cli.workflows.{module}"), name, record)
    pictures = [tmp_path / "a.png"] if command in ("vary", "animate", "alphabet") else []
    result = oneshot(command, *pictures, *spelled(command, options), code=1)
    assert "recorded" in result.stderr
    assert {name: got[name] for name in options} == options


def test_every_option_of_a_training_run_arrives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: dict[str, Any] = {}

    def prepared(_: str, **given: Any) -> Any:
        got.update(given)
        return None, None

    def trained(*_: Any, **given: Any) -> Any:
        got.update(given)
        raise OneshotError("recorded")

    monkeypatch.setattr(preparation, "prepare", prepared)
    monkeypatch.setattr(training, "train", trained)
    data = "--dataset glyphs --split strong --size 40 --resample max --binarization stochastic"
    length = "--symbols 3 --iterations 9 --objective elbo --max-time 2m"
    intervals = "--log-every 2 --eval-every 3 --save-every 4 --sample-every 5"
    others = "--compile --tensorboard --device cpu"
    words = " ".join((data, length, intervals, others)).split()
    result = oneshot("train", "-o", tmp_path / "run", "--model", "small", *words, code=1)
    assert "recorded" in result.stderr
    expected = preparation.DataChoice("glyphs", "strong", "40", "stochastic", "max", symbols=3)
    assert got["data"] == expected
    assert (got["fields"], got["iterations"]) == ({"objective": "elbo"}, 9)
    options = got["options"]
    assert options.intervals == Intervals(log=2, evaluate=3, save=4, sample=5)
    assert (options.max_seconds, options.compiled, options.tensorboard) == (120.0, True, True)
