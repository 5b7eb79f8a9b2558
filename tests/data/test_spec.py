"""The description of a data set: to JSON and back, and the one way to its drawings."""

import json

import pytest
import torch

from oneshot_cli import data
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.data.validation import split_off_validation
from oneshot_cli.errors import OneshotError

GLYPHS = DataSpec(
    "glyphs", "weak", 26, (14, 26), "max", 0.2, {"alphabets": 3, "characters": 8, "seed": 4}
)


@pytest.mark.parametrize(
    "spec", [GLYPHS, DataSpec("omniglot", "weak"), DataSpec("mnist", "official", validation=0.0)]
)
def test_it_survives_json(spec: DataSpec) -> None:
    assert DataSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_what_older_versions_wrote_is_read() -> None:
    """A header from before there were validation drawings, and unknown fields."""
    old = {"dataset": "mnist", "split": "official", "size": 28, "binarization": "dynamic", "x": 1}
    spec = DataSpec.from_dict(old)
    assert spec.validation is None
    assert spec.options == {"binarization": "dynamic"}
    assert spec.to_dict() == {name: value for name, value in old.items() if name != "x"}
    with pytest.raises(OneshotError, match="does not say"):
        DataSpec.from_dict({"split": "weak"})


def test_it_loads_what_it_describes() -> None:
    """Every field reaches the pictures: size, resampling, split, part and options."""
    whole = data.load(
        "glyphs", split="weak", size=26, resample="max", alphabets=3, characters=8, seed=4
    )
    train, validation = split_off_validation(whole, 0.2, "weak")
    assert torch.equal(GLYPHS.load().images, train.images)
    assert torch.equal(GLYPHS.load("validation").images, validation.images)
    assert len(validation)
    test = data.load(
        "glyphs", split="weak", part="test", size=14, alphabets=3, characters=8, seed=4
    )
    assert torch.equal(GLYPHS.load("test", 14, resample="area").images, test.images)
    assert GLYPHS.all_sizes == (14, 26)
    assert DataSpec("glyphs", "weak", 14).all_sizes == (14,)


def test_an_unknown_data_set_is_an_error_when_it_is_loaded() -> None:
    spec = DataSpec.from_dict({"dataset": "tiny", "split": "weak"})
    with pytest.raises(OneshotError, match="no data set 'tiny'"):
        spec.load()
