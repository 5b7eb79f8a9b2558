"""A data set is added by a module and one line: the steps of docs/data.md."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tiny import TINY, tiny_drawings
from typer.testing import CliRunner

import oneshot_cli as oneshot
from oneshot_cli import data
from oneshot_cli.cli.app import app
from oneshot_cli.data.catalogue import DATASETS, PublishedOn
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.fetch import Progress, RemoteFile
from oneshot_cli.data.splits import WEAK, Selection


def load(
    data_dir: str | Path | None,
    selection: Selection,
    progress: Progress | None = None,
    marks: int = 8,
) -> Drawings:
    """A stand-in for a module that reads a data set."""
    whole = tiny_drawings(characters=marks, each=4).resized(selection.size)
    return whole.subset(torch.tensor(selection.keeps(whole.characters)))


@pytest.fixture(autouse=True)
def runes(monkeypatch: pytest.MonkeyPatch) -> Iterator[data.DataSet]:
    module = ModuleType("my_package.runes")
    module.load = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_package.runes", module)
    yield data.register(
        data.DataSet(
            name="runes",
            title="marks on stones",
            module="my_package.runes",
            splits=(WEAK,),
            options=("marks",),
            size=8,
            published=(PublishedOn(("mnist",), size=8),),
        )
    )
    del DATASETS["runes"]


def test_it_is_loaded_and_described() -> None:
    spec = oneshot.DataSpec("runes", WEAK, 8, options={"marks": 9})
    assert len(spec.load("all")) == 36
    assert oneshot.DataSpec.from_dict(spec.to_dict()) == spec
    assert len(spec.load("test")) + len(spec.load("train")) == 36


def test_it_is_listed_trained_on_and_measured(tmp_path: Path) -> None:
    listed = CliRunner().invoke(app, ["data", "--json"])
    assert "runes" in [row["name"] for row in json.loads(listed.stdout)["datasets"]]
    fields = TINY.to_dict()
    for name in ("size", "channels", "observation", "ink", "read_size"):
        fields.pop(name)
    experiment = oneshot.new_experiment(
        data=oneshot.DataChoice("runes"), fields={**fields, "iterations": 1, "batch": 2}
    )
    assert experiment.data.split == WEAK
    result = oneshot.train(experiment, tmp_path / "run")
    assert result.ended == "done"
    measured = CliRunner().invoke(
        app, ["eval-nll", str(result.folder.last), "--limit", "2", "--particles", "1", "--json"]
    )
    assert measured.exit_code == 0, measured.stderr
    document = json.loads(measured.stdout)
    assert document["checkpoints"][0]["measured_on"]["dataset"] == "runes"
    assert document["published"]


def test_files_need_a_folder() -> None:
    with pytest.raises(ValueError, match="folder"):
        data.DataSet("runes", "marks", "my_package.runes", (WEAK,), (RemoteFile("runes.zip"),))
