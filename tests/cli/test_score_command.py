"""`oneshot score` from the command line: a tiny checkpoint, folders of pictures, mistakes."""

from __future__ import annotations

import builtins
import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tiny import tiny_model
from typer.testing import CliRunner

from oneshot_cli import checkpoint
from oneshot_cli.cli.app import app
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.evaluation.critics import critic_path
from oneshot_cli.evaluation.published import tables
from oneshot_cli.workflows.score import may_have_seen_the_test

DATA = Path(os.environ.get("ONESHOT_DATA", "/nowhere")) / "omniglot"
needs_omniglot = pytest.mark.skipif(
    not (DATA / "images_evaluation.zip").is_file(), reason="Omniglot is not at hand"
)
QUICK = ["--limit", "22", "-n", "3", "--particles", "1"]


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["score", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two sizes, as the flagship is: the critics and the runs see the smaller one."""
    model = tiny_model(size=52, read_size=28)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    data = {"dataset": "omniglot", "split": "weak", "size": 52, "sizes": [28, 52]}
    checkpoint.save(path, model, checkpoint.Header(config=model.config, data=data))
    return path


@pytest.fixture(scope="module")
def unseen_checkpoint(tiny_checkpoint: Path) -> Path:
    """The same weights, of a run that saw no evaluation alphabet."""
    model, header = checkpoint.load(tiny_checkpoint)
    path = tiny_checkpoint.with_name("unseen.safetensors")
    header = replace(header, data={**header.data, "split": "strong-30-20"})
    checkpoint.save(path, model, header)
    return path


@pytest.fixture
def few_to_train_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty training characters instead of 1,473."""
    from oneshot_cli.workflows import score as scoring

    original = scoring.data.load

    def load(*arguments: Any, **options: Any) -> Drawings:
        drawings = original(*arguments, **options)
        if options["part"] == "test":
            return drawings
        keep = torch.zeros(len(drawings.characters), dtype=torch.bool)
        keep[::25] = True
        return drawings.subset(keep)

    monkeypatch.setattr(scoring.data, "load", load)


@pytest.fixture
def two_runs(tmp_path: Path) -> Path:
    """The first two of the official classification runs."""
    path = tmp_path / "all_runs.zip"
    with zipfile.ZipFile(DATA / "all_runs.zip") as whole, zipfile.ZipFile(path, "w") as few:
        for name in whole.namelist():
            if name.startswith(("run01/", "run02/")):
                few.writestr(name, whole.read(name))
    return path


@needs_omniglot
@pytest.mark.usefixtures("few_to_train_on")
def test_measures_everything_and_repeats_to_the_byte(
    unseen_checkpoint: Path, two_runs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    shipped = critic_path("protonet").parent
    options = [*QUICK, "--runs", two_runs, "--seeds", 2, "--critics", shipped]
    code, stdout, stderr = run(unseen_checkpoint, *options, "--json", "-o", folder)
    assert code == 0, stderr
    found = json.loads(stdout)
    people, copies, others = (
        found["references"][name] for name in ("people", "copies", "other characters")
    )
    assert people["recognizability"]["value"] > 0.85
    assert copies["recognizability"]["value"] == 1
    assert copies["diversity"]["value"] == 0
    assert others["recognizability"]["value"] < 0.1
    assert [point["spread"] for point in found["curve"]] == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert found["curve"][0]["diversity"]["value"] == pytest.approx(0, abs=0.01)
    assert found["default"]["recognizability"]["value"] < 0.5
    assert len(found["headline"]["per_seed"]) == 2
    assert len(found["headline"]["per_critic"]) == 2
    assert len(set(found["headline"]["per_critic"])) == 1, "the same critics twice"
    errors = found["classification"]["errors"]
    assert list(errors) == ["forward", "backward", "both"]
    assert all(0 < error["value"] <= 1 for error in errors.values())
    assert found["classification"]["protonet_error"] is None, "it saw these characters"
    assert found["classification"]["published"]["people"] == 0.045
    assert found["memorization"]["samples_pixel_median"] > 0.3
    assert 1 <= found["penmanship"]["people"]["parts"]["value"] < 1.6
    assert found["penmanship"]["size"] == 52
    assert len(found["per_character"]) == 22
    written = sorted(path.name for path in folder.iterdir())
    assert written == ["nearest.png", "report.html", "scatter.png", "score.json"]
    assert json.loads((folder / "score.json").read_text()) == found
    html = (folder / "report.html").read_text()
    assert "http" not in html
    assert html.count("data:image/png;base64,") == 5
    assert "Alphabet_of_the_Magi/character01" in html
    again = run(unseen_checkpoint, *options, "--json")
    assert again[1] == stdout
    code, _, stderr = run(unseen_checkpoint, *options, "-o", folder)
    assert code == 1
    assert "--force" in stderr


@needs_omniglot
def test_prints_the_three_reference_points_and_the_headline(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    quick = [*QUICK, "--no-memorization"]
    (tmp_path / "nearest.png").write_text("not of this run")
    code, stdout, stderr = run(tiny_checkpoint, *quick, "-o", tmp_path)
    assert code == 0, stderr
    assert "nearest.png" not in stdout + stderr
    assert (tmp_path / "nearest.png").read_text() == "not of this run"
    assert "One-shot classification is not measured for the model: its split, weak" in stdout
    assert "BPL" not in stdout, "published errors stand beside measured ones only"
    for words in ("people", "copies", "other characters", "spread 0.4", "people's", "thickest"):
        assert words in stdout
    assert run(tiny_checkpoint, *quick, "--seed", 1)[1] != stdout


def pictures(root: Path, characters: int) -> Path:
    generator = torch.Generator().manual_seed(0)
    for c in range(characters):
        folder = root / f"c{c:02}"
        folder.mkdir(parents=True)
        shape = torch.rand((28, 28), generator=generator) > 0.8
        for name in ("exemplar", "one", "two"):
            noisy = shape ^ (torch.rand((28, 28), generator=generator) > 0.99)
            Image.fromarray((~noisy).numpy()).save(folder / f"{name}.png")
    return root


def test_scores_a_folder_and_tells_what_it_left_out(tmp_path: Path) -> None:
    root = pictures(tmp_path / "in", 6)
    (root / "c00" / "two.png").write_bytes(b"not a picture")
    (root / "c01" / "one.png").unlink()
    (root / "c01" / "two.png").unlink()
    code, stdout, stderr = run(
        "--images", root, "--json", "-o", tmp_path / "out", "--data-dir", tmp_path
    )
    assert code == 0, stderr
    found = json.loads(stdout)
    assert found["characters"] == found["ways"] == 5
    assert found["variations"] == 9
    assert found["recognizability"]["value"] > 0.5
    assert 0 < found["diversity"]["value"] < 1
    assert found["per_character"][0]["diversity"] is None
    for words in ("two.png", "on this machine", "single variation", "c01: no variation", "5-way"):
        assert words in stderr
    assert (tmp_path / "out" / "scatter.png").read_bytes().startswith(b"\x89PNG")


def test_mistakes_are_told_before_the_work(tiny_checkpoint: Path, tmp_path: Path) -> None:
    code, _, stderr = run("--images", tmp_path / "nothing")
    assert code == 1
    assert "not a folder" in stderr
    assert run(tiny_checkpoint, "--images", tmp_path)[0] == 2
    assert run(tiny_checkpoint, "-c", tiny_checkpoint)[0] == 2
    free = tiny_model(size=28, conditional=False)
    checkpoint.save(tmp_path / "free.safetensors", free, checkpoint.Header(config=free.config))
    code, _, stderr = run(tmp_path / "free.safetensors")
    assert code == 1
    assert "without a context" in stderr
    code, _, stderr = run(tmp_path / "no.safetensors")
    assert code == 1
    assert "no.safetensors" in stderr


def test_plots_without_matplotlib_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return original(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    root = pictures(tmp_path / "in", 3)
    images = ["--images", root, "--data-dir", tmp_path]
    code, _, stderr = run(*images, "--plot", tmp_path / "scatter.png")
    assert code == 1
    assert "oneshot-cli[plot]" in stderr
    assert run(*images)[0] == 0


@needs_omniglot
@pytest.mark.usefixtures("few_to_train_on")
def test_trains_critics_into_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from oneshot_cli.evaluation.critics import critic_settings
    from oneshot_cli.workflows import train_critics as training

    for name in ("PROTONET", "SIMCLR"):
        few = replace(getattr(training, name), iterations=2, classes=8)
        monkeypatch.setattr(training, name, few)
    code, stdout, stderr = run("--train-critics", "--seed", 5, "-o", tmp_path / "critics")
    assert code == 0, stderr
    assert "people" in stdout
    for name in ("protonet", "simclr"):
        path = tmp_path / "critics" / f"{name}.safetensors"
        assert path.stat().st_size < 2**20
        settings = critic_settings(name, path)
        assert settings["iterations"] == 2
        assert settings["seed"] == 5
        assert settings["split"] == "weak"
        assert settings["characters"] == 59


def test_published_tables_name_their_sources() -> None:
    mnist = {row.name: row for row in tables()["mnist"].rows}
    best = mnist["spatial transformer, CGRU, 80 steps"]
    assert (best.value, best.error, best.bound) == (80.5, 0.3, True)
    assert all(row.source and row.value > 0 for table in tables().values() for row in table.rows)


def test_no_result_replaces_the_checkpoint_or_another(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    before = tiny_checkpoint.read_bytes()
    code, _, stderr = run(tiny_checkpoint, "--plot", tiny_checkpoint, "--force")
    assert (code, tiny_checkpoint.read_bytes()) == (1, before)
    assert "is read, and would be overwritten" in stderr
    same = tmp_path / "same.out"
    code, _, stderr = run(tiny_checkpoint, "--plot", same, "--report", same)
    assert code == 1
    assert "named for two results" in stderr


@pytest.mark.parametrize(
    ("data", "before", "told"),
    [
        ("omniglot weak", [], []),
        ("omniglot weak-validation", [], []),
        ("omniglot strong-30-20", [], ["omniglot strong-30-20"]),
        ("omniglot weak", ["omniglot strong-45-5"], ["omniglot strong-45-5"]),
        ("glyphs weak", [], []),
        ("glyphs weak", ["omniglot strong-45-5"], ["omniglot strong-45-5"]),
        ("glyphs weak", ["unrecorded data"], ["unrecorded data"]),
        ("omniglot weak", ["unrecorded data"], []),
        ("", [], ["unrecorded data"]),
    ],
)
def test_it_is_said_what_may_have_been_of_the_test(
    data: str, before: list[str], told: list[str]
) -> None:
    names = dict(zip(("dataset", "split"), data.split(), strict=False))
    header = checkpoint.Header(
        config=tiny_model().config, data=names, training={"data_before": before}
    )
    assert may_have_seen_the_test(header) == told
