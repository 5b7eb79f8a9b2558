"""A checkpoint may come from a stranger: its header and its weights are either good or refused."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tiny import tiny_model
from typer.testing import CliRunner

from oneshot_cli import checkpoint
from oneshot_cli.cli.app import app
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.drawing.oneshot import load
from oneshot_cli.errors import OneshotError
from oneshot_cli.experiment import Experiment
from oneshot_cli.training.config import TrainConfig

DEEP = "[" * 100_000 + "]" * 100_000

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\ud800", "\x1b[31m", "[/b]", 10**400, 1_000_000, "32", [], {}])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)

ANYTHING_ELSE: tuple[Any, ...] = (None, [], "text", 3)
"""What is no mapping."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, torch.Tensor], str]:
    """The weights and the header, as JSON, of a checkpoint with all that a run writes."""
    path = tmp_path_factory.mktemp("whole") / "model.safetensors"
    model = tiny_model(size=28)
    header = checkpoint.Header(
        config=model.config,
        data=DataSpec("glyphs", "weak", 28, validation=0.1).to_dict(),
        training={**TrainConfig().to_dict(), "step": 4, "seconds": 2.0},
        figures={"validation_bound": -80.5},
        sampling={"spread": 0.5, "closeness": 0.5},
        version="0.1.0",
    )
    checkpoint.save(path, model, header)
    return load_file(path), header.to_json()


def places(document: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where a value of a nested document can be changed."""
    for name, value in document.items():
        yield (*above, name)
        if isinstance(value, dict):
            yield from places(value, (*above, name))


def changed(header: str, place: tuple[str, ...], value: Any) -> str:
    """The header with another value at a place."""
    document = json.loads(header)
    inner = document
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    return json.dumps(document)


def written(folder: Path, tensors: dict[str, torch.Tensor], header: str) -> Path:
    path = folder / "strange.safetensors"
    save_file(tensors, path, {checkpoint.HEADER: header})
    return path


def use(path: Path) -> None:
    """What commands do with a checkpoint, apart from long work."""
    with torch.inference_mode():
        model = load(path, "cpu")
        assert 0 <= model.spread <= 2
        assert 0 <= model.closeness <= 1
        assert model.sample(1).isfinite().all()
    model.trained_on.all_sizes  # noqa: B018
    TrainConfig().after(model.header.training, model.header.seen)
    Experiment.of_header(model.header)


FUZZ = settings(
    max_examples=100,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@given(data=st.data())
@FUZZ
def test_any_field_with_any_value_is_used_or_refused_in_two_lines(
    data: st.DataObject, whole: tuple[dict[str, torch.Tensor], str], tmp_path: Path
) -> None:
    tensors, header = whole
    place = data.draw(st.sampled_from(sorted(places(json.loads(header)))))
    path = written(tmp_path, tensors, changed(header, place, data.draw(JSON)))
    refused = ""
    try:
        use(path)
    except OneshotError as error:
        refused = str(error)
    assert len(refused.splitlines()) <= 2


@given(data=st.data())
@settings(FUZZ, max_examples=20)
def test_any_field_with_any_value_is_described_or_refused(
    data: st.DataObject, whole: tuple[dict[str, torch.Tensor], str], tmp_path: Path
) -> None:
    tensors, header = whole
    place = data.draw(st.sampled_from(sorted(places(json.loads(header)))))
    path = written(tmp_path, tensors, changed(header, place, data.draw(JSON)))
    words = ["info", str(path), *(["--json"] if data.draw(st.booleans()) else [])]
    result = CliRunner().invoke(app, words)
    assert result.exit_code in (0, 1), result.exception
    assert "bug" not in result.stderr
    assert "\x1b" not in result.output


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("config", "hidden"), "32"),
        (("config", "steps"), 4.0),
        (("config", "conditional"), "yes"),
        (("config", "attention"), ["gaussian"]),
        *((("sampling", "spread"), value) for value in (float("nan"), -1, 1e30, "1", None, True)),
        (("sampling", "closeness"), 1.5),
        *(((part,), value) for part in ("sampling", "data", "training", "figures")
          for value in ANYTHING_ELSE),
        (("version",), None),
        (("data", "split"), "\ud800"),
    ],
)  # fmt: skip
def test_a_field_of_the_wrong_kind_is_named(
    place: tuple[str, ...],
    value: Any,
    whole: tuple[dict[str, torch.Tensor], str],
    tmp_path: Path,
) -> None:
    path = written(tmp_path, whole[0], changed(whole[1], place, value))
    named = "not Unicode" if value == "\ud800" else place[-1]
    with pytest.raises(OneshotError, match=rf"its header does not describe a model .*{named}"):
        checkpoint.read_header(path)


def test_nesting_without_end_is_refused(
    whole: tuple[dict[str, torch.Tensor], str], tmp_path: Path
) -> None:
    path = written(tmp_path, whole[0], whole[1].replace("-80.5", DEEP))
    with pytest.raises(OneshotError, match="nested too deep"):
        checkpoint.read_header(path)
    config = tmp_path / "config.json"
    config.write_text(DEEP)
    with pytest.raises(OneshotError, match=r"config.json: cannot be read .*nested too deep"):
        Experiment.read(config)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_finite_numbers_are_refused(
    value: float, whole: tuple[dict[str, torch.Tensor], str], tmp_path: Path
) -> None:
    tensors = {name: tensor.clone() for name, tensor in whole[0].items()}
    tensors["start"][0, 3] = value
    with pytest.raises(OneshotError, match="the weights start are not all finite numbers"):
        checkpoint.load(written(tmp_path, tensors, whole[1]))
    tensors["start"] = torch.ones(tensors["start"].shape, dtype=torch.int32)
    with pytest.raises(OneshotError, match="the weights start are not all finite numbers"):
        checkpoint.load(written(tmp_path, tensors, whole[1]))


LARGE = [
    ("sequential", name, 10**6)
    for name in (
        *("hidden", "latent", "glimpse", "patch", "canvas_channels", "output_channels"),
        *("context_units", "posterior_units", "image_encoder_units", "image_encoder_channels"),
    )
] + [
    ("draw", "hidden", 10**6),
    ("vae", "hidden", [10**6]),
    ("vae", "depth", 10**6),
    ("vae", "flow", 10**6),
    ("nade", "hidden", 10**6),
    ("nade", "hidden", 10**9),
    ("sequential", "size", 10**6),
    ("sequential", "steps", 10**6),
]


def test_a_header_of_a_huge_model_takes_no_memory(tmp_path: Path) -> None:
    """In a process that may have little more than what torch takes."""
    for i, (kind, name, value) in enumerate(LARGE):
        config = tiny_model(output="residual", attention="gaussian").config.to_dict()
        fields = {**(config if kind == "sequential" else {}), name: value}
        header = {"model": kind, "config": fields, "format": checkpoint.FORMAT}
        save_file(
            {"start": torch.zeros(2, 12)},
            tmp_path / f"{i:02}.safetensors",
            {checkpoint.HEADER: json.dumps(header)},
        )
    code = """
import resource, sys
from pathlib import Path
from oneshot_cli import checkpoint
from oneshot_cli.errors import OneshotError
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        checkpoint.load(path)
    except OneshotError as error:
        print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, 6 * 2**30)),
    )
    *messages, memory = ended.stdout.splitlines()
    assert len(messages) == len(LARGE), ended.stderr
    for message in messages:
        assert re.search("larger model than its weights|must be at|has shape|are missing", message)
    assert int(memory) < 2**30
