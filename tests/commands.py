"""Helpers of tests that run commands: pictures to give them, and what came out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from typer.testing import CliRunner, Result

from oneshot_cli.cli.app import app


def draw(path: Path, seed: int) -> Path:
    """A picture of three random strokes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("L", (120, 90), 250)
    points = np.random.default_rng(seed).integers(15, 75, (6, 2)).tolist()
    ImageDraw.Draw(picture).line([tuple(p) for p in points], fill=20, width=5)
    picture.save(path)
    return path


def oneshot(*words: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.stderr or result.exception
    assert "Traceback" not in result.stderr
    assert "\x1b" not in result.output, "no terminal, no colour"
    return result


def document(result: Result) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(result.stdout)
    return content


def levels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"))


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
