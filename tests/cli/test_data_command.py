"""`oneshot data`, as a person and as a program uses it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from oneshot_cli.cli.app import app
from oneshot_cli.data import DATASETS

runner = CliRunner()


@pytest.fixture(autouse=True)
def nothing_at_hand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ONESHOT_DATA", raising=False)
    monkeypatch.setenv("ONESHOT_CACHE", str(tmp_path / "cache"))


def test_the_list_has_every_data_set() -> None:
    result = runner.invoke(app, ["data"])
    assert result.exit_code == 0
    for name in DATASETS:
        assert name in result.stdout
    document = json.loads(runner.invoke(app, ["data", "--json"]).stdout)
    at_hand = {row["name"]: row["at_hand"] for row in document["datasets"]}
    assert at_hand.pop("glyphs")
    assert at_hand.pop("symbols")
    assert not any(at_hand.values())


def test_one_is_verified_and_counted(tmp_path: Path) -> None:
    for character in "abcd":
        (tmp_path / "mine" / character).mkdir(parents=True)
        Image.fromarray(np.eye(20, dtype=np.uint8) * 255).save(
            tmp_path / "mine" / character / "1.png"
        )
    arguments = ["data", "folder", "--data-dir", str(tmp_path / "mine"), "--json"]
    document = json.loads(runner.invoke(app, arguments).stdout)
    assert (document["drawings"], document["characters"]) == (4, 4)
    assert document["splits"] == {"weak": {"train": 3, "test": 1}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data", "imagenet"], "there is no data set 'imagenet'"),
        (["data", "folder"], "--data-dir"),
        (["data", "omniglot-burda"], "chardata.mat"),
    ],
)
def test_what_cannot_be_had_is_one_clear_error(arguments: list[str], message: str) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") <= 2
    assert result.stdout == ""
