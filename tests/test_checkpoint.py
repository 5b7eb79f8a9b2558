"""Checkpoints: what goes in comes out, and what is broken is told, never unpickled."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import context, noise, tiny_model

from oneshot_cli import checkpoint
from oneshot_cli.errors import OneshotError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    model = tiny_model(canvas="gated")
    header = checkpoint.Header(
        config=model.config, data={"split": "weak"}, figures={"elbo": -80.5}, version="0.1.0"
    )
    checkpoint.save(tmp_path / "model.safetensors", model, header)
    return tmp_path / "model.safetensors"


def test_round_trip(path: Path) -> None:
    original = tiny_model(canvas="gated")
    model, header = checkpoint.load(path)
    assert header.config == original.config
    assert header.data == {"split": "weak"}
    assert header.figures == {"elbo": -80.5}
    drawn = model.sample(context(2, 1), noise(2, 3, 2))
    with torch.inference_mode():
        assert torch.equal(drawn, original.sample(context(2, 1), noise(2, 3, 2)))
    assert not any(p.requires_grad for p in model.parameters())


def test_half_precision_is_half_the_size_and_nearly_the_same(path: Path, tmp_path: Path) -> None:
    model, header = checkpoint.load(path)
    checkpoint.save(tmp_path / "half.safetensors", model, header, dtype=torch.float16)
    half, _ = checkpoint.load(tmp_path / "half.safetensors")
    assert all(p.dtype == torch.float32 for p in half.parameters())
    drawn, other = (m.sample(context(2, 1), noise(2, 3, 2)) for m in (model, half))
    assert 0 < (drawn - other).abs().max() < 0.02


def rewritten(path: Path, change: dict[str, object]) -> None:
    tensors = load_file(path)
    fields = json.loads(checkpoint.read_header(path).to_json())
    fields.update(change)
    save_file(tensors, path, {checkpoint.HEADER: json.dumps(fields)})


def test_what_is_broken_is_told(path: Path, tmp_path: Path) -> None:
    def message(file: Path) -> str:
        with pytest.raises(OneshotError) as caught:
            checkpoint.load(file)
        assert file.name in str(caught.value)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "no such" in message(tmp_path / "missing.safetensors")
    folder = tmp_path / "folder.safetensors"
    folder.mkdir()
    assert "folder" in message(folder)
    half = tmp_path / "half.safetensors"
    half.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "not a complete safetensors file" in message(half)
    empty = tmp_path / "empty.safetensors"
    empty.touch()
    assert "not a complete safetensors file" in message(empty)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(1)}, foreign)
    assert "not a checkpoint of oneshot" in message(foreign)


class Trap:
    """Unpickling it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    disguised, sprung = tmp_path / "pickle.safetensors", tmp_path / "sprung"
    disguised.write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(OneshotError, match="not a complete safetensors"):
        checkpoint.load(disguised)
    assert not sprung.exists()


def test_a_header_that_does_not_fit_its_weights(path: Path) -> None:
    config = checkpoint.read_header(path).config.to_dict()
    rewritten(path, {"config": {**config, "hidden": 16}})
    with pytest.raises(OneshotError, match=r"has shape .* its header says"):
        checkpoint.load(path)
    rewritten(path, {"config": {**config, "image_encoder_units": 0}})
    with pytest.raises(OneshotError, match="belong to no part"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": 99}, "format 99"),
        ({"config": {"steps": -1}}, "does not describe"),
        ({"config": {"unheard": 1}}, "does not describe"),
        ({"config": "additive"}, "does not describe"),
        ({"surprise": 1}, "does not describe"),
    ],
)
def test_a_header_that_describes_nothing(path: Path, change: dict[str, object], match: str) -> None:
    rewritten(path, change)
    with pytest.raises(OneshotError, match=match):
        checkpoint.load(path)


def test_missing_weights(path: Path) -> None:
    tensors = load_file(path)
    header = checkpoint.read_header(path).to_json()
    tensors.pop("start")
    save_file(tensors, path, {checkpoint.HEADER: header})
    with pytest.raises(OneshotError, match="start are missing"):
        checkpoint.load(path)


def test_an_interrupted_save_leaves_the_old_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()
    model, header = checkpoint.load(path)

    def fails(*arguments: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint, "save_file", fails)
    with pytest.raises(OneshotError, match="disk full"):
        checkpoint.save(path, model, header)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_what_the_weights_have_seen_is_told_or_said_to_be_unrecorded() -> None:
    config = tiny_model().config
    data = {"dataset": "omniglot", "split": "weak"}
    for training, seen in (
        ({}, ("omniglot weak",)),
        ({"steps_before": 9}, (checkpoint.UNRECORDED, "omniglot weak")),
        (
            {"steps_before": 9, "data_before": ["mnist official"]},
            ("mnist official", "omniglot weak"),
        ),
        ({"steps_before": 9, "data_before": ["omniglot weak"]}, ("omniglot weak",)),
    ):
        assert checkpoint.Header(config, data, training).seen == seen
    assert checkpoint.Header(config).seen == (checkpoint.UNRECORDED,)
