"""From small pictures to large ones: `train --size 28,52 --from`, and both bounds of the result."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny import write_crosses
from typer.testing import CliRunner

from oneshot_cli import checkpoint, load
from oneshot_cli.cli.app import app

SMALL = ["--steps", "2", "--hidden", "8", "--glimpse", "4", "--patch", "4", "--image-encoder", "0"]
BRIEF = ["--dataset", "folder", "--batch", "4", "--eval-drawings", "4", "--threads", "1"]


@pytest.fixture(scope="module", autouse=True)
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("drawings")
    write_crosses(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONESHOT_DATA", str(folder))
        yield


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output if code else result.stdout


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "run"
    run("train", *BRIEF, *SMALL, "--size", 14, "--iterations", 2, "--output", folder)
    return folder / "last.safetensors"


@pytest.fixture(scope="module")
def grown(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grown") / "run"
    options = [*BRIEF, "--size", "26,14", "--kl-warmup", 0, "--output", folder]
    run("train", *options, "--from", small, "--iterations", 2)
    run("train", "--resume", "--output", folder, "--iterations", 3)
    return folder


def test_it_begins_with_the_weights_and_reads_at_the_smaller_size(
    small: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    still = ["--learning-rate", "1e-30", "--set", "weight_decay=0"]
    run(
        "train",
        *BRIEF,
        *still,
        "--from",
        small,
        "--size",
        "14,26",
        "--iterations",
        1,
        "-o",
        folder,
    )
    before, _ = checkpoint.load(small)
    after, header = checkpoint.load(folder / "last.safetensors")
    assert (header.config.size, header.config.input_size) == (26, 14)
    assert header.data["sizes"] == [14, 26]
    assert (header.training["steps_before"], header.training["step"]) == (2, 1)
    assert header.training["data_before"] == list(header.seen) == ["folder weak"]
    for name, weights in before.state_dict().items():
        own = after.state_dict()[name]
        torch.testing.assert_close(own, weights.expand_as(own))  # one network for each size


def test_both_sizes_have_a_bound_and_larger_pictures_cost_more(grown: Path) -> None:
    path = grown / "last.safetensors"
    found = {}
    for size in (None, 14, 26):
        chosen = [] if size is None else ["--size", size]
        text = run("eval-nll", path, "--particles", 1, "--limit", 6, "--json", *chosen)
        found[size] = json.loads(text)["results"][0]["elbo"]["nats"]
    assert found[None] == found[14] < found[26]
    assert "13 pixels wide" in run("eval-nll", path, "--size", 13, "--limit", 6, code=1)


def test_it_draws_at_the_larger_size(grown: Path) -> None:
    model = load(grown / "last.safetensors")
    assert model.sample(2).shape == (2, 1, 26, 26)
    assert json.loads((grown / "config.json").read_text())["data"]["sizes"] == [14, 26]
    assert checkpoint.read_header(grown / "last.safetensors").figures["size"] == 14


def test_a_prior_an_output_network_and_encoders_can_be_added(small: Path, tmp_path: Path) -> None:
    """They change nothing at first; what the checkpoint has stays as it is."""
    without = ["--prior", "standard", "--output-network", "linear", "--image-encoder", 0]
    words = ["--size", 14, "--iterations", 2, *without, "--output", tmp_path / "plain"]
    run("train", *BRIEF, *SMALL, *words)
    start = ["--from", tmp_path / "plain" / "last.safetensors", "--output", tmp_path / "more"]
    run("train", *BRIEF, *start, "--size", "14,26", "--prior", "learned",
        "--output-network", "residual", "--image-encoder", 5, "--iterations", 1)  # fmt: skip
    before = load(tmp_path / "plain" / "last.safetensors").model
    after = load(tmp_path / "more" / "last.safetensors").model
    config = after.config.to_dict()
    assert (config["prior"], config["output"]) == ("learned", "residual")
    added = after.state_dict().keys() - before.state_dict().keys()
    assert {name.split(".")[0] for name in added} == {"prior", "output", "context", "posterior"}
    assert all("image" in name for name in added if name.startswith(("context", "posterior")))
    wrong = ["--from", small, "--size", 14, "--iterations", 1, "--output", tmp_path / "wrong"]
    assert "prior" in run("train", *BRIEF, *wrong, "--prior", "none", code=2)


def test_the_context_encoder_can_be_left_out_but_no_other_part(tmp_path: Path) -> None:
    whole = ["--prior", "learned", "--output-network", "residual", "--image-encoder", 5]
    run("train", *BRIEF, *SMALL, *whole, "--size", 14, "--iterations", 1, "-o", tmp_path / "whole")
    start = ["--from", tmp_path / "whole" / "last.safetensors", "--iterations", 1]
    words = ["train", *BRIEF, *start, "--set", "encode_context=false", "-o", tmp_path / "less"]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    assert "encoder is left out" in " ".join(result.stderr.split())
    before, after = (
        checkpoint.load(tmp_path / name / "last.safetensors")[0] for name in ("whole", "less")
    )
    gone = before.state_dict().keys() - after.state_dict().keys()
    assert gone
    assert all(name.startswith(("context.image_", "context.embed_image")) for name in gone)
    assert not after.state_dict().keys() - before.state_dict().keys()
    for without in (["--prior", "standard"], ["--output-network", "linear"],
                    ["--image-encoder", 0], ["--image-encoder", 6]):  # fmt: skip
        text = run("train", *BRIEF, *start, *without, "-o", tmp_path / "none", code=2)
        assert "neither changed nor left out" in " ".join(text.replace("│", " ").split())
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("model", ["st-add-30", "st-cgru-30", "draw-64-gauss"])
def test_more_steps_begin_with_the_weights_of_fewer(model: str, tmp_path: Path) -> None:
    """All steps have the same weights, so any number of steps can start from them; it is said."""
    few = ["--model", model, "--steps", 2, "--hidden", 8, "--glimpse", 4, "--patch", 4]
    run("train", *BRIEF, *few, "--size", 14, "--iterations", 2, "--output", tmp_path / "few")
    start = tmp_path / "few" / "last.safetensors"
    still = ["--learning-rate", "1e-30", "--set", "weight_decay=0", "--iterations", 1, "--task", 1]
    words = ["train", *BRIEF, *still, "--from", start, "--steps", 7, "-o", tmp_path / "many"]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    assert "used in 7 steps instead of 2" in " ".join(result.stderr.split())
    before, _ = checkpoint.load(start)
    after, header = checkpoint.load(tmp_path / "many" / "last.safetensors")
    assert header.config.steps == 7
    for name, weights in before.state_dict().items():
        torch.testing.assert_close(after.state_dict()[name], weights, atol=0, rtol=0)
    measured = json.loads(
        run("eval-nll", tmp_path / "many" / "last.safetensors", "--limit", 4, "--particles", 1,
            "--json")
    )  # fmt: skip
    assert math.isfinite(measured["results"][0]["elbo"]["nats"])


def test_a_field_that_the_checkpoints_model_has_not_is_refused(tmp_path: Path) -> None:
    options = [*BRIEF, "--model", "vae", "--size", 14, "--hidden", 8, "--iterations", 1]
    run("train", *options, "--output", tmp_path / "vae")
    start = ["--from", tmp_path / "vae" / "last.safetensors", "--output", tmp_path / "more"]
    text = run("train", *BRIEF, *start, "--steps", 3, "--iterations", 1, code=2)
    assert "no field 'steps'" in text


def test_what_cannot_grow_is_refused(small: Path, tmp_path: Path) -> None:
    there = ["--output", tmp_path / "run"]
    assert "one --size" in run("train", *BRIEF, "--model", "vae", "--size", "14,26", *there, code=2)
    assert "give pixels" in run("train", *BRIEF, "--size", "big", *there, code=2)
    assert "8 to 105" in run("train", *BRIEF, "--size", "28,300", *there, code=2)
    wider = ["--patch", "5", "--from", small, "--size", 14, "--iterations", 1]
    assert "patch cannot be set" in run("train", *BRIEF, *wider, *there, code=2)
    assert not (tmp_path / "run").exists()


def test_a_model_that_has_its_size_in_its_weights_cannot_grow(tmp_path: Path) -> None:
    options = [*BRIEF, "--model", "vae", "--iterations", 1]
    run("train", *options, "--size", 14, "--output", tmp_path / "small")
    start = ["--from", tmp_path / "small" / "last.safetensors", "--output", tmp_path / "large"]
    text = run("train", *options, *start, "--size", 26, code=1)
    assert "do not fit this model" in text
    assert "theirs has size 14, not 26" in text
    assert not (tmp_path / "large").exists()


def test_weights_of_another_model_than_that_of_a_configuration_are_refused(
    small: Path, tmp_path: Path
) -> None:
    """The fields that differ are named. A part that may be added is not one of them."""
    config = json.loads((small.parent / "config.json").read_text())
    hidden, steps = config["model"]["hidden"], config["model"]["steps"]
    config["model"] |= {"hidden": hidden + 1, "prior": "learned", "steps": steps + 1}
    (tmp_path / "wider.json").write_text(json.dumps(config))
    given = ["--config", tmp_path / "wider.json", "--output", tmp_path / "run"]
    reason = run("train", *given, "--from", small, code=1).partition("do not fit this model")[2]
    assert reason.split() == f"theirs has hidden {hidden}, not {hidden + 1}".split()
    run("train", *BRIEF, "--model", "vae", "--iterations", 1, "--output", tmp_path / "vae")
    other = tmp_path / "vae" / "last.safetensors"
    text = run("train", *given, "--from", other, code=1)
    assert "theirs has kind vae, not sequential" in text
    assert not (tmp_path / "run").exists()


def test_max_pooled_drawings_are_trained_and_measured_as_such(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    options = [*BRIEF, *SMALL, "--size", 26, "--resample", "max", "--augment", 1, "--turn", 0.5]
    run("train", *options, "--iterations", 2, "--output", folder)
    measured = json.loads(
        run("eval-nll", folder / "last.safetensors", "--limit", 4, "--particles", 1, "--json")
    )
    assert measured["checkpoints"][0]["measured_on"]["resample"] == "max"
    assert "area, max" in run("train", *BRIEF, "--resample", "min", "-o", tmp_path / "x", code=2)
