"""What pyproject.toml promises, held against the files that repeat it."""

from __future__ import annotations

import re
from pathlib import Path

from oneshot_cli import __version__

ROOT = Path(__file__).parent.parent
PYPROJECT = (ROOT / "pyproject.toml").read_text()


def minimums() -> dict[str, str]:
    """The oldest version of each requirement, by name, as pyproject.toml states it."""
    return dict(re.findall(r'"([a-z0-9-]+)(?:\[\w+\])?>=([\d.]+)"', PYPROJECT))


def test_version_is_the_same_everywhere() -> None:
    for file, pattern in (
        ("pyproject.toml", r'^version = "(.+)"$'),
        ("CITATION.cff", r"^version: (.+)$"),
    ):
        found = re.search(pattern, (ROOT / file).read_text(), re.MULTILINE)
        assert found is not None
        assert found[1] == __version__, file


def test_oldest_constraints_are_the_minimums_of_pyproject() -> None:
    lines = (ROOT / "constraints-oldest.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    allowed = minimums()
    assert len(allowed) > 10
    for name, version in pinned.items():
        assert (version + ".").startswith(allowed[name] + "."), name
    unpinned = set(allowed) - set(pinned)
    # build and lint tools, and extras that the tests do without
    tools = {"hatchling", "ruff", "mypy", "docutils"}
    extras = {"tensorboard", "imageio-ffmpeg", "onnx", "onnxscript", "onnxruntime"}
    extras |= {"mkdocs", "mkdocs-material"}
    assert unpinned <= tools | extras


def test_the_lock_has_the_versions_of_the_constraints_and_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([\w-]+)==([\w.]+)", lock, re.M))
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = dict(
        line.split(" ")[0].split("==") for line in lines if "==" in line and line[0] != "#"
    )
    assert len(pinned) > 20
    for name, version in pinned.items():
        if name not in ("torch", "torchvision"):
            assert locked[name] == version, name
    assert all(
        "--hash=sha256:" in part for part in re.split(r"^(?=[\w-]+==)", lock, flags=re.M)[1:]
    )
