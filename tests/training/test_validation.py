"""Validation drawings: kept from the training part, so that nothing is chosen by the test part."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import TINY, tiny_drawings, tiny_model, write_crosses
from typer.testing import CliRunner

from oneshot_cli import checkpoint, data
from oneshot_cli.cli.app import app
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.episodes import Episodes
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.data.splits import (
    DEFAULT_VALIDATION_SHARE,
    OFFICIAL,
    VALIDATION,
    WEAK,
    part_of_each,
)
from oneshot_cli.data.validation import split_off_validation
from oneshot_cli.errors import OneshotError
from oneshot_cli.experiment import Experiment
from oneshot_cli.training.config import TrainConfig
from oneshot_cli.training.evaluations import evaluated
from oneshot_cli.training.folder import RunFolder
from oneshot_cli.training.loop import Intervals, Trainer
from oneshot_cli.training.training_data import load_training_data
from oneshot_cli.workflows.prepare import DataChoice, data_spec


def numbered(characters: tuple[str, ...], each: int = 4) -> Drawings:
    """Drawings of characters by name ("a/1"), each a picture that tells it and its number."""
    alphabets = sorted({name.split("/")[0] for name in characters})
    count = len(characters) * each
    images = torch.zeros(count, 2, 2, dtype=torch.uint8)
    images[:, 0, 0] = torch.arange(count)
    return Drawings(
        images=images,
        character=torch.arange(len(characters)).repeat_interleave(each),
        alphabet=torch.tensor([alphabets.index(name.split("/")[0]) for name in characters]),
        characters=characters,
        alphabets=tuple(alphabets),
    )


def test_the_first_characters_of_every_alphabet_are_kept_for_validation() -> None:
    names = (*(f"a/{n:02}" for n in range(20)), *(f"b/{n}" for n in range(4)), "c/0", "c/1")
    drawings = numbered(names)
    train, validation = split_off_validation(drawings, 0.1, WEAK)
    assert validation.characters == ("a/00", "a/01", "b/0")
    assert set(train.characters) | set(validation.characters) == set(names)
    assert len(train) + len(validation) == len(drawings)
    pictures = torch.cat([train.images, validation.images])[:, 0, 0]
    assert sorted(pictures.tolist()) == list(range(len(drawings)))
    for part in (train, validation):
        assert [part.characters[c] for c in part.character.tolist()] == [
            names[n // 4] for n in part.images[:, 0, 0].tolist()
        ]


def test_names_decide_and_not_their_order() -> None:
    names = tuple(f"a/{n:02}" for n in range(20))
    _, one = split_off_validation(numbered(names), 0.1, WEAK)
    _, other = split_off_validation(numbered(names[::-1]), 0.1, WEAK)
    assert set(one.characters) == set(other.characters)


def test_of_a_data_sets_own_split_the_last_drawings_are_kept() -> None:
    drawings = numbered(("digits/0", "digits/1"), each=30)
    train, validation = split_off_validation(drawings, 0.1, OFFICIAL)
    assert validation.images[:, 0, 0].tolist() == [27, 28, 29, 57, 58, 59]
    assert len(train) == 54
    assert train.characters == validation.characters == drawings.characters
    assert torch.bincount(train.character).tolist() == [27, 27]


@pytest.mark.parametrize("split", [WEAK, OFFICIAL])
def test_no_share_and_too_few_to_share_keep_nothing(split: str) -> None:
    few = numbered(("a/0", "a/1"), each=2)
    for drawings, share in ((numbered(tuple(f"a/{n}" for n in range(9))), 0.0), (few, 0.3)):
        train, validation = split_off_validation(drawings, share, split)
        assert torch.equal(train.images, drawings.images)
        assert len(validation) == 0


@pytest.mark.parametrize("split", ["weak", "strong-30-20", "strong-40-10", "strong-45-5"])
def test_omniglots_validation_is_small_and_of_every_alphabet(real_data: Path, split: str) -> None:
    whole = data.load("omniglot", data_dir=real_data, split=split)
    train, validation = split_off_validation(whole, DEFAULT_VALIDATION_SHARE, split)
    alphabets = len(set(whole.alphabet.tolist()))
    assert len(set(validation.alphabet.tolist())) == alphabets
    assert len(validation.characters) <= 1.3 * alphabets
    assert len(train) > 0.95 * len(whole)
    place = part_of_each(split, [*whole.characters])
    assert set(place) == {"train"} or split == "weak"
    if split == "weak":
        every = data.load("omniglot", data_dir=real_data).characters
        within = dict(zip(every, part_of_each(VALIDATION, every), strict=True))
        assert {within[name] for name in validation.characters} == {"test"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parts that are loaded."""
    found: list[str] = []
    load = data.load

    def spying(*names: Any, part: str = "train", **options: Any) -> Drawings:
        found.append(part)
        return load(*names, part=part, **options)

    monkeypatch.setattr(data, "load", spying)
    return found


def test_a_new_run_never_loads_the_test_part(asked: list[str]) -> None:
    for share in (DEFAULT_VALIDATION_SHARE, 0.0):
        load_training_data(
            data_spec(DataChoice("glyphs", size="14,20", validation=share)), augmented=True
        )
    assert set(asked) == {"train"}


def test_validation_characters_are_in_nothing_that_is_trained_on() -> None:
    loaded = load_training_data(
        data_spec(DataChoice("glyphs", size="14,20", validation=0.1)), augmented=True
    )
    assert loaded.originals is not None
    assert len(loaded.validation)
    assert loaded.validation.size == 14
    for drawings in (loaded.drawings, loaded.originals, *loaded.others):
        assert drawings.characters == loaded.drawings.characters
        assert not set(drawings.characters) & set(loaded.validation.characters)


def test_dynamic_validation_drawings_are_drawn_once(real_data: Path) -> None:
    plan = data_spec(DataChoice("mnist", binarization="dynamic"))
    loaded = load_training_data(plan, augmented=False, data_dir=real_data)
    assert loaded.drawings.dynamic
    assert not loaded.validation.dynamic
    assert len(loaded.validation) == pytest.approx(1_800, abs=10)
    assert len(loaded.drawings) + len(loaded.validation) == 60_000


def test_a_run_from_before_trains_on_all_and_is_evaluated_as_it_was(asked: list[str]) -> None:
    plan = replace(data_spec(DataChoice("glyphs", size="14")), validation=None)
    loaded = load_training_data(plan, augmented=False)
    assert asked == ["train", "test"]
    assert loaded.evaluated_on == "held_out"
    train, test = (data.load("glyphs", split="weak", part=p, size=14) for p in ("train", "test"))
    assert torch.equal(loaded.drawings.images, train.images)
    assert torch.equal(loaded.validation.images, test.images)


def run_with(folder: Path, validation: Drawings) -> Trainer:
    drawings, config = tiny_drawings(), TrainConfig(iterations=4, batch=4, evaluation_drawings=5)
    return Trainer(
        RunFolder(folder),
        Experiment(TINY, config, DataSpec("tiny", "weak", 8)),
        Episodes(drawings, config.tasks, seed=0),
        validation,
        intervals=Intervals(log=1, evaluate=2, save=2, sample=100),
    )


def test_without_validation_the_last_weights_are_the_best(tmp_path: Path) -> None:
    _, none = split_off_validation(tiny_drawings(), 0.0, WEAK)
    run = run_with(tmp_path, none)
    assert run.fit() == "done"
    best, last = (load_file(path) for path in (run.folder.best, run.folder.last))
    assert best.keys() == last.keys()
    assert all(torch.equal(best[name], last[name]) for name in best)
    assert checkpoint.read_header(run.folder.best).training["step"] == 4
    assert not any(evaluated(row) for row in run.folder.rows())


def test_the_best_weights_are_those_of_the_best_evaluation(tmp_path: Path) -> None:
    """Here of the first: the rate is so high that the bound is worse after."""
    run = run_with(tmp_path, tiny_drawings())
    run.config = replace(run.config, learning_rate=1.0, warmup=0)
    run.average.decay = 0.0
    run.fit()
    found = {r["step"]: r["validation_bound"] for r in run.folder.rows() if evaluated(r)}
    header = checkpoint.read_header(run.folder.best)
    assert set(found) == {2, 4}
    assert header.training["step"] == max(found, key=lambda step: found[step])
    assert header.figures["validation_bound"] == max(found.values())


def oneshot(*words: object) -> Any:
    result = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert result.exit_code == 0, result.stderr or result.exception
    return json.loads(result.stdout)


TINY_RUN = {"size": 14, "steps": 1, "hidden": 4, "latent": 2, "glimpse": 4, "patch": 4, "batch": 2}
SHAPE = [
    *(word for name, value in TINY_RUN.items() for word in (f"--{name}", value)),
    *("--threads", 1, "--fp32"),
]


def test_an_old_folder_goes_on_bit_for_bit(tmp_path: Path) -> None:
    """It has trained on all and goes on so; what it says keeps its name."""
    write_crosses(tmp_path / "data")
    there = ["--data-dir", tmp_path / "data", "--eval-drawings", 2, "-q"]
    old, new = tmp_path / "old", tmp_path / "new"
    words = ["--dataset", "folder", "--validation", 0, *SHAPE, *there]
    for folder in (old, new):
        oneshot("train", "-o", folder, *words, "--iterations", 2, "--set", "decay=0")
    config = json.loads((old / "config.json").read_text())
    del config["data"]["validation"]
    (old / "config.json").write_text(json.dumps(config))
    told = oneshot("train", "--resume", "-o", old, "--iterations", 4, *there)
    assert told["held_out"]["drawings"] == 2
    assert "validation" not in told
    silent = oneshot("train", "--resume", "-o", new, "--iterations", 4, *there)
    assert silent["validation"] == {}
    assert "held_out_bound" in RunFolder(old).rows()[-1]
    one, two = (load_file(folder / "state/state.safetensors") for folder in (old, new))
    assert all(torch.equal(one[name], two[name]) for name in two)


def test_training_figures_are_of_what_was_trained_on(tmp_path: Path) -> None:
    """`eval-nll --part train` leaves validation drawings out; the words of a run name them."""
    write_crosses(tmp_path / "data")
    there = ["--data-dir", tmp_path / "data"]
    run = tmp_path / "run"
    told = oneshot("train", "--dataset", "folder", "-o", run, *SHAPE, *there, "--iterations", 2)
    assert told["validation"]["drawings"] == 3
    assert set(json.loads((run / "config.json").read_text())["data"]) >= {"validation"}
    last = run / "last.safetensors"
    found = oneshot("eval-nll", last, *there, "--part", "both", "--particles", 1)["results"]
    assert {row["part"]: row["images"] for row in found} == {"test": 3, "train": 9}


def test_weights_that_saw_the_validation_drawings_are_warned_of(tmp_path: Path) -> None:
    write_crosses(tmp_path / "data")
    there = ["--dataset", "folder", "--data-dir", tmp_path / "data", "--threads", 1, "--fp32"]
    first = tmp_path / "first"
    oneshot("train", "-o", first, *there, *SHAPE, "--iterations", 1, "--validation", 0)
    words = ["train", "--from", first / "last.safetensors", *there, "--size", 14]
    for share in (0, 0.03):
        output = ["-o", tmp_path / str(share), "--iterations", 1, "--validation", share]
        result = CliRunner().invoke(app, [*map(str, words), *map(str, output)])
        assert result.exit_code == 0, result.stderr
        assert ("trained on these validation drawings" in result.stderr) == bool(share)


def test_weights_that_saw_another_split_are_warned_of(tmp_path: Path) -> None:
    """Its training part may have what this split holds out, however long ago it was trained on."""
    write_crosses(tmp_path / "data")
    there = ["--dataset", "folder", "--data-dir", tmp_path / "data", "--threads", 1, "--fp32"]
    run = tmp_path / "run"
    oneshot("train", "-o", run, *there, *SHAPE, "--iterations", 1)
    model, header = checkpoint.load(run / "last.safetensors")
    assert header.seen == ("folder weak",)
    for before, warned in (("folder other", True), ("glyphs other", False), ("folder weak", False)):
        training = {**header.training, "steps_before": 3, "data_before": [before]}
        checkpoint.save(tmp_path / "a.safetensors", model, replace(header, training=training))
        words = ["train", "--from", tmp_path / "a.safetensors", *there, "--iterations", 1]
        result = CliRunner().invoke(app, [*map(str, words), "-o", str(tmp_path / before)])
        assert result.exit_code == 0, result.stderr
        assert (f"trained on {before}, which may have" in result.stderr) == warned
        again = checkpoint.read_header(tmp_path / before / "last.safetensors")
        assert again.seen == tuple(dict.fromkeys((before, "folder weak")))


def test_earlier_training_of_a_header_that_is_none_is_refused(tmp_path: Path) -> None:
    """The share of validation drawings may be unknown, as in older headers."""
    write_crosses(tmp_path / "data")
    model = tiny_model(size=14)
    old = {"dataset": "folder", "split": "weak", "validation": None}
    header = checkpoint.Header(model.config, data=old)
    checkpoint.save(tmp_path / "old.safetensors", model, header)
    there = ["--dataset", "folder", "--data-dir", tmp_path / "data", "--threads", 1, "--fp32"]
    words = ["train", "--from", tmp_path / "old.safetensors", *there, "--iterations", 1]
    result = CliRunner().invoke(app, [*map(str, words), "-o", str(tmp_path / "run")])
    assert result.exit_code == 0, result.stderr
    with pytest.raises(OneshotError, match="earlier training"):
        TrainConfig().after({"seconds": 10**400, "seconds_before": 0.5}, ())
