"""Learning curves of a run, as a picture and for TensorBoard."""

from __future__ import annotations

import io
import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from oneshot_cli.errors import OneshotError
from oneshot_cli.training.folder import RunFolder
from oneshot_cli.training.learning_curves import (
    TENSORBOARD_NAMES,
    learning_curves,
    tensorboard_writer,
    write_curves,
)

ROWS = [
    {"step": s, "bound": -200 + s, "reconstruction": -190 + s, "kl": 10.0} for s in (1, 50, 100)
] + [
    {
        "step": 100,
        "validation_bound": -105.0,
        "validation_error": 2.0,
        "validation_kl": 11.0,
        "validation_kl_per_step": [5.0, 4.0, 2.0],
    }
]


OLD = [{name.replace("validation", "held_out"): row[name] for name in row} for row in ROWS]
"""What a run has whose evaluations are of the test part."""


@pytest.mark.parametrize(("metrics", "name"), [(ROWS, "validation"), (OLD, "held out")])
def test_the_curves_are_the_metrics(metrics: list[dict[str, Any]], name: str) -> None:
    pytest.importorskip("matplotlib")
    axes: Any = learning_curves(metrics).axes
    total, parts, steps = axes
    assert total.get_legend_handles_labels()[1] == ["training", name]
    assert steps.get_title() == f"KL of each step, {name}, nats"
    assert total.lines[0].get_xydata().tolist() == [[1, 199], [50, 150], [100, 100]]
    assert any(line.get_xydata().tolist() == [[100, 105]] for line in total.lines[1:])
    assert parts.lines[1].get_ydata().tolist() == [10, 10, 10]
    assert [bar.get_height() for bar in steps.patches] == [5, 4, 2]
    assert len(learning_curves([]).axes) == 3


@pytest.mark.parametrize("odd", [-math.inf, math.nan])
@pytest.mark.parametrize("place", range(len(ROWS)))
def test_rows_with_numbers_that_are_not_finite_are_left_out(odd: float, place: int) -> None:
    pytest.importorskip("matplotlib")
    row = {"step": 60, "bound": odd, "reconstruction": odd, "kl": math.nan}
    total = learning_curves([*ROWS[:place], row, *ROWS[place:]]).axes[0]
    assert total.get_ylim() == learning_curves(ROWS).axes[0].get_ylim()


def test_a_run_gets_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    folder = RunFolder(tmp_path)
    for row in ROWS:
        folder.log(row)
    with folder.metrics.open("a") as file:
        file.write('{"step": 101, "bou')  # a kill
    assert folder.rows() == ROWS
    write_curves(folder)
    with Image.open(io.BytesIO(folder.curves.read_bytes())) as picture:
        assert picture.width > 1000
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10
    folder.drop_rows_after(50)
    assert [row["step"] for row in folder.rows()] == [1, 50]
    assert json.loads(folder.metrics.read_text().splitlines()[0]) == ROWS[0]


def test_without_tensorboard_it_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(OneshotError, match=r"oneshot-cli\[tensorboard\]"):
        tensorboard_writer(tmp_path)


def test_tensorboard_gets_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, float, int]] = []

    class Recorder:
        def __init__(self, folder: str) -> None:
            assert Path(folder) == tmp_path

        def add_scalar(self, label: str, value: float, step: int) -> None:
            written.append((label, value, step))

        def flush(self) -> None:
            pass

    stub = SimpleNamespace(SummaryWriter=Recorder)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stub)
    show = tensorboard_writer(tmp_path)
    for row in ROWS:
        show(row)
    expected = [
        (label, row[name], row["step"])
        for row in ROWS
        for name, label in TENSORBOARD_NAMES.items()
        if name in row
    ]
    assert sorted(written) == sorted(expected)
    assert ("nats/bound", -199, 1) in written
