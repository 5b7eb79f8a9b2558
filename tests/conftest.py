"""What all tests share: a cache of their own, and real data where it is at hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from commands import draw
from tiny import tiny_model

from oneshot_cli import checkpoint


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test reads or writes the user's cache; decoded data is shared within a session."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("ONESHOT_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the official files; the test is skipped where there is none."""
    folder = os.environ.get("ONESHOT_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("ONESHOT_DATA names no folder with the official files")
    return Path(folder)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    model = tiny_model(size=28, steps=4)
    with torch.no_grad():  # random weights hardly touch the canvas: let them press the pen
        model.canvas.get_submodule("output").get_parameter("weight").mul_(30)
    header = checkpoint.Header(
        config=model.config,
        data={"dataset": "glyphs", "split": None},
        training={"iterations": 1234, "seconds": 7325.0},
        figures={"held_out_bound": -81.25},
        version="9.8.7",
    )
    checkpoint.save(path, model, header)
    return path


@pytest.fixture
def glyph(tmp_path: Path) -> Path:
    return draw(tmp_path / "glyph.png", 0)
