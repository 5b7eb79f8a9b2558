"""The recipe's comparison: what is run, and for how long."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from tiny import write_crosses

from oneshot_cli.cli.app import app

SCRIPT = Path(__file__).parents[2] / "checkpoints" / "compare.py"


@pytest.fixture
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_every_variant_is_something_that_train_takes(script: dict[str, Any]) -> None:
    command = typer.main.get_command(app)
    train = command.commands["train"]  # type: ignore[attr-defined]
    variants = script["SAME_COST"] | script["OTHER_COST"]
    assert variants.pop("baseline") == ""
    base = f"{script['BASE']} {script['MODEL']}"
    plain = train.make_context("train", base.split()).params
    for name, options in variants.items():
        changed = train.make_context("train", f"{base} {options}".split()).params
        assert changed != plain, name


def test_variants_are_compared_at_equal_cost_and_made_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    script: dict[str, Any],
) -> None:
    """The dearer one makes fewer iterations; a second call trains nothing and says the same."""
    write_crosses(tmp_path / "data")
    monkeypatch.setenv("ONESHOT_DATA", str(tmp_path / "data"))
    main = script["main"]
    shape = "--size 14 --steps 1 --hidden 4 --latent 2 --glimpse 4 --patch 4 --image-encoder 0"
    main.__globals__.update(
        BASE="--dataset folder --batch 2 --eval-drawings 2 --threads 1 --quiet",
        MODEL=shape,
        cost=lambda options: script["Cost"](1.0 if "--threads 2" in options else 9.0, 9.0),
        relative_cost=lambda options, base: 2.0 if "--steps 12" in options else 0.5,
    )
    growing = script["GROWING"]
    names = ["12 steps", growing]
    words = ["compare.py", *names, "--minutes", "0.1", "--output", str(tmp_path / "runs")]
    monkeypatch.setattr(sys, "argv", words)
    main()
    table = capsys.readouterr().out
    rows = [line.split("|") for line in table.splitlines()[2:]]
    assert [row[1].strip() for row in rows] == ["baseline", *names]
    assert [int(row[2]) for row in rows] == [6, 3, 4 + 4]
    for row in rows[1:]:
        assert float(row[5]) == pytest.approx(float(row[3]) - float(rows[0][3]), abs=0.11)
    grown = json.loads(next((tmp_path / "runs").glob("20-x-20*third/config.json")).read_text())
    assert grown["model"]["size"] == 28
    assert grown["model"]["hidden"] == 4
    main.__globals__["train"] = None
    main()
    assert capsys.readouterr().out == table
