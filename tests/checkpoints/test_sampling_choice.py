"""How a checkpoint's default closeness and spread are chosen from what was measured."""

from __future__ import annotations

import math
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import tiny_model

from oneshot_cli import checkpoint
from oneshot_cli.checkpoint import Header

SCRIPT = Path(__file__).parents[2] / "checkpoints" / "sampling.py"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_the_best_recognized_is_taken_unless_it_copies(script: dict[str, Any]) -> None:
    choice = script["Choice"]
    modest, better = choice(0.5, 0.7, 0.95, 0.42), choice(0.8, 0.8, 0.98, 0.44)
    copier = choice(1.0, 0.9, 0.999, 0.38 + script["MAX_EXCESS_OVERLAP"] + 0.01)
    unreached = choice(0.0, math.nan, math.nan, math.nan)
    assert script["best"]([unreached, modest, better, copier], 0.38) == better
    assert script["best"]([better, copier, modest], 0.40) == copier


def test_a_model_that_is_never_as_diverse_as_people_has_no_default(script: dict[str, Any]) -> None:
    unreached = script["Choice"](0.5, math.nan, math.nan, math.nan)
    with pytest.raises(ValueError, match="as diverse as people"):
        script["best"]([unreached], 0.38)


def test_only_the_header_of_the_file_changes(
    script: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, model = tmp_path / "tiny.safetensors", tiny_model()
    checkpoint.save(path, model, Header(config=model.config))
    before = load_file(path)
    chosen = {"spread": 0.7, "closeness": 0.8}
    monkeypatch.setitem(script["main"].__globals__, "sampling", lambda *_: (chosen, {}))
    monkeypatch.setattr(sys, "argv", ["sampling.py", str(path)])
    script["main"]()
    assert checkpoint.read_header(path).sampling == chosen
    after = load_file(path)
    assert before.keys() == after.keys()
    for name, weight in before.items():
        assert weight.dtype == after[name].dtype == torch.float32
        assert torch.equal(weight, after[name])
