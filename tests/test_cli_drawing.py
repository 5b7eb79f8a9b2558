"""vary, alphabet, sample, animate and info, from the command line to the files."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from tiny import tiny_drawings, tiny_model
from typer.testing import CliRunner, Result

from oneshot_cli import checkpoint, data
from oneshot_cli.cli.app import app
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.drawing import oneshot as api
from oneshot_cli.imaging.exemplar import exemplar
from oneshot_cli.imaging.rendering import inked
from oneshot_cli.model import VAEConfig, build


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


def test_vary_writes_every_variation_and_a_grid(glyph: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = oneshot("vary", glyph, "-n", "3", "-c", weights, "-o", out, "--size", "40")
    assert names(out) == ["glyph-01.png", "glyph-02.png", "glyph-03.png", "glyph-grid.png"]
    assert result.stdout == f"{out}/glyph-01.png ... glyph-03.png\n{out}/glyph-grid.png\n"
    model = api.load(weights)
    expected = model.render(model.vary(glyph, 3, size=40))
    for i in range(3):
        assert abs(levels(out / f"glyph-0{i + 1}.png").astype(int) - expected[i]).max() <= 1


@pytest.mark.parametrize("command", ["vary", "alphabet", "sample"])
def test_the_pen_draws_strokes_anew_above_the_models_own_size(
    command: str, glyph: Path, weights: Path, tmp_path: Path
) -> None:
    given: list[Path] = [] if command == "sample" else [glyph]
    made: dict[Any, Any] = {}
    for pen, size in ((None, 28), (None, 64), ("off", 64), ("0.05", 64), ("0.1", 64), ("0.1", 28)):
        out = tmp_path / f"out{len(made)}"
        chosen = [] if pen is None else ["--pen", pen]
        words = ("-n", "2", "-c", weights, "-o", out, "--size", str(size), "--json")
        content = document(oneshot(command, *given, *words, *chosen))
        first = next(path for path in sorted(out.iterdir()) if path.stem.endswith("-01"))
        made[pen, size] = content["pen"], levels(first)
    pens = {key: pen for key, (pen, _) in made.items()}
    assert pens == {
        (None, 28): 0, (None, 64): 0.05, ("off", 64): 0, ("0.05", 64): 0.05,
        ("0.1", 64): 0.1, ("0.1", 28): 0.1,
    }  # fmt: skip
    shown = {key: picture for key, (_, picture) in made.items()}
    assert (shown[None, 64] == shown["0.05", 64]).all()
    assert (shown[None, 64] != shown["off", 64]).any()
    assert (shown["0.1", 28] != shown[None, 28]).any()
    assert shown["0.1", 64].mean() < shown["0.05", 64].mean(), "a wider pen leaves more ink"
    model = api.load(weights)
    if command == "vary":
        drawn = model.vary(glyph, 2, size=64)
        assert (shown["off", 64] == inked(drawn, 28)[0]).all()
        assert (shown["0.1", 64] == model.render(drawn, pen=0.1)[0]).all()


@pytest.mark.parametrize("wrong", ["thick", "0", "0.5", "-1", "nan", ""])
def test_a_pen_that_cannot_be_is_refused(
    wrong: str, glyph: Path, weights: Path, tmp_path: Path
) -> None:
    result = oneshot("vary", glyph, "-c", weights, "-o", tmp_path / "x", f"--pen={wrong}", code=2)
    assert "0.01 to 0.2" in " ".join(result.stderr.split())
    assert not (tmp_path / "x").exists()


def test_vary_json_is_one_document_that_names_the_files(
    glyph: Path, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = oneshot("vary", glyph, "-n", "2", "-c", weights, "-o", out, "--json", "--show-input")
    content = document(result)
    assert content["n"] == 2
    assert content["size"] == 112
    assert content["checkpoint"] == str(weights)
    (made,) = content["exemplars"]
    assert made["exemplar"] == [str(glyph)]
    for path in [*made["variations"], made["input"], *content["grids"]]:
        assert Path(path).is_file()
    assert levels(Path(made["variations"][0])).shape == (112, 112)
    seen = levels(Path(made["input"]))
    assert (seen == 255 - 255 * exemplar(glyph, 28).numpy()).all()


def test_a_variation_is_the_same_in_any_company(glyph: Path, weights: Path, tmp_path: Path) -> None:
    other = draw(tmp_path / "other.png", 1)
    common = ("-c", weights, "--size", "28", "--layout", "none")
    oneshot("vary", glyph, "-n", "2", "-o", tmp_path / "a", *common)
    oneshot("vary", other, glyph, "-n", "4", "-o", tmp_path / "b", *common)
    oneshot("vary", glyph, "-n", "2", "-o", tmp_path / "c", "--seed", "1", *common)
    assert names(tmp_path / "a") == ["glyph-01.png", "glyph-02.png"]
    for name in names(tmp_path / "a"):
        alone = levels(tmp_path / "a" / name).astype(int)
        assert abs(alone - levels(tmp_path / "b" / name)).max() <= 1
        assert abs(alone - levels(tmp_path / "c" / name)).max() > 1


def test_nothing_is_overwritten_without_force(glyph: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("vary", glyph, "-n", "2", "-c", weights, "-o", out)
    oneshot(*words)
    (out / "glyph-02.png").unlink()
    before = {path: path.read_bytes() for path in out.iterdir()}
    result = oneshot(*words, "--seed", "1", code=1)
    assert "exists already" in result.stderr
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    oneshot(*words, "--seed", "1", "--force")
    assert (out / "glyph-01.png").read_bytes() != before[out / "glyph-01.png"]


def test_skip_existing_makes_what_is_missing(weights: Path, tmp_path: Path) -> None:
    for i in range(3):
        draw(tmp_path / "in" / f"{i}.png", i)
    out = tmp_path / "out"
    words = ("vary", tmp_path / "in", "-n", "2", "-c", weights, "-o", out, "--skip-existing")
    oneshot(*words)
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    again = oneshot(*words, "--json")
    assert document(again)["skipped"] == 3
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    grid = (out / "grid.png").read_bytes()
    (out / "1-02.png").unlink()
    (out / "grid.png").unlink()
    content = document(oneshot(*words, "--json"))
    assert content["skipped"] == 2
    assert [made["exemplar"] for made in content["exemplars"]] == [[str(tmp_path / "in/1.png")]]
    assert out.joinpath("grid.png").read_bytes() == grid, "with the skipped ones in it"


def test_an_output_that_ends_like_a_picture_is_the_grid_alone(
    glyph: Path, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "sheet.webp"
    result = oneshot("vary", glyph, "-n", "2", "-c", weights, "-o", out)
    assert names(tmp_path / "new") == ["sheet.webp"]
    assert result.stdout == f"{out}\n"
    refused = oneshot("vary", glyph, "-c", weights, "-o", tmp_path / "sheet.doc", code=1)
    assert "not written as .doc" in refused.stderr


def test_layouts(glyph: Path, weights: Path, tmp_path: Path) -> None:
    other = draw(tmp_path / "other.png", 1)
    sizes = {}
    for layout in ("sheet", "paper", "none"):
        out = tmp_path / layout
        words = ("-n", "4", "-c", weights, "-o", out, "--layout", layout)
        content = document(oneshot("vary", glyph, other, *words, "--json"))
        sizes[layout] = [Image.open(path).size for path in content["grids"]]
    assert sizes["none"] == []
    (sheet,), (paper,) = sizes["sheet"], sizes["paper"]
    assert sheet[0] > sheet[1]
    assert paper[0] < paper[1], "exemplars across, variations down"


def test_together_reads_the_exemplars_as_one_set(weights: Path, tmp_path: Path) -> None:
    for i in range(2):
        draw(tmp_path / "letter" / f"{i}.png", i)
    out = tmp_path / "out"
    words = ("-n", "2", "-c", weights, "-o", out, "--size", "28")
    oneshot("vary", tmp_path / "letter", "--together", *words)
    assert names(out) == ["letter-01.png", "letter-02.png", "letter-grid.png"]
    both: list[Any] = [tmp_path / "letter" / f"{i}.png" for i in range(2)]
    expected = inked(api.load(weights).vary(both, 2), 28)
    assert abs(levels(out / "letter-01.png").astype(int) - expected[0]).max() <= 1


def test_keep_best_keeps_so_many(glyph: Path, weights: Path, tmp_path: Path) -> None:
    words = ("vary", glyph, "-n", "6", "-c", weights, "--layout", "none", "--size", "28")
    oneshot(*words, "-o", tmp_path / "out", "--keep-best", "2")
    expected = inked(api.load(weights).vary(glyph, 6, keep_best=2), 28)
    assert names(tmp_path / "out") == ["glyph-01.png", "glyph-02.png"]
    assert abs(levels(tmp_path / "out" / "glyph-01.png").astype(int) - expected[0]).max() <= 1
    assert "best 7 of 6" in oneshot(*words, "--keep-best", "7", code=2).stderr


def test_folders_keep_their_shape_and_names_do_not_collide(weights: Path, tmp_path: Path) -> None:
    draw(tmp_path / "in" / "a" / "1.png", 1)
    draw(tmp_path / "in" / "b" / "1.png", 2)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    out = tmp_path / "out"
    oneshot("vary", tmp_path / "in", "-n", "1", "-c", weights, "-o", out)
    assert names(out) == ["a/1-01.png", "b/1-01.png", "grid.png"]
    both: list[Any] = [tmp_path / "in" / name / "1.png" for name in ("a", "b")]
    oneshot("vary", *both, "-n", "1", "-c", weights, "-o", tmp_path / "flat", "--layout", "none")
    assert names(tmp_path / "flat") == ["1-01.png", "1-2-01.png"]
    (tmp_path / "empty").mkdir()
    assert "no pictures" in oneshot("vary", tmp_path / "empty", "-c", weights, code=1).stderr


def test_many_exemplars_come_in_pages(weights: Path, tmp_path: Path) -> None:
    for i in range(23):
        draw(tmp_path / "in" / f"{i:02}.png", i)
    words = ("-n", "1", "-c", weights, "-o", tmp_path / "out", "--size", "28")
    result = oneshot("vary", tmp_path / "in", *words)
    assert result.stdout == f"{tmp_path}/out/grid-001.png ... grid-002.png\n"
    assert "23 variations of 23 exemplars" in result.stderr
    assert len(names(tmp_path / "out")) == 25


def test_one_bad_picture_among_many_is_told_and_passed_over(
    glyph: Path, weights: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("no picture")
    words = ("-n", "1", "-c", weights, "-o", tmp_path / "out", "--json")
    result = oneshot("vary", bad, glyph, *words, code=1)
    content = document(result)
    assert [failure["exemplar"] for failure in content["failed"]] == ["bad"]
    assert f"{bad} is not a picture" in result.stderr
    assert names(tmp_path / "out") == ["glyph-01.png", "grid.png"]


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "cut", "blank"])
def test_bad_exemplars_are_one_clear_error(
    kind: str, glyph: Path, weights: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bad" / f"{kind}.png"
    path.parent.mkdir()
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("no picture")
    elif kind == "cut":
        content = glyph.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    elif kind == "blank":
        Image.new("L", (50, 50), 255).save(path)
    for command in ("vary", "alphabet", "animate"):
        out = tmp_path / "out" / ("film.gif" if command == "animate" else "grid.png")
        result = oneshot(command, path, "-c", weights, "-o", out, code=1)
        assert str(path) in result.stderr
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") <= 2
        assert result.stdout == ""
    assert not (tmp_path / "out").exists(), "nothing half-written"


@pytest.mark.parametrize("kind", ["missing", "folder", "cut", "shape", "pickle", "other"])
def test_bad_checkpoints_are_one_clear_error(
    kind: str, glyph: Path, weights: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bad.safetensors"
    content = weights.read_bytes()
    if kind == "folder":
        path.mkdir()
    elif kind == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "shape":
        model, header = checkpoint.load(weights)
        config: Any = model.config
        wider = replace(config, hidden=config.hidden + 1)
        checkpoint.save(path, model, replace(header, config=wider))
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"weights": [1.0, 2.0]}))
    elif kind == "other":
        path.write_text("no checkpoint")
    out = tmp_path / "out"
    result = oneshot("vary", glyph, "-c", path, "-o", out, code=1)
    assert str(path) in result.stderr
    assert result.stderr.count("\n") <= 2
    assert not out.exists()
    if kind != "shape":
        assert str(path) in oneshot("info", path, code=1).stderr


def test_sample(weights: Path, tmp_path: Path) -> None:
    content = document(
        oneshot("sample", "-n", "5", "-c", weights, "-o", tmp_path, "--size", "28", "--json")
    )
    assert names(tmp_path) == [f"sample-0{i}.png" for i in range(1, 6)] + ["samples.png"]
    assert content["spread"] == 1.0
    expected = inked(api.load(weights).sample(5), 28)
    assert abs(levels(tmp_path / "sample-03.png").astype(int) - expected[2]).max() <= 1


def test_sample_shows_the_nearest_training_drawings(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawings = tiny_drawings(size=28)
    asked: list[Any] = []

    def load(name: str, **words: Any) -> Any:
        asked.append((name, words))
        return drawings

    monkeypatch.setattr("oneshot_cli.data.load", load)
    words = ("sample", "-n", "4", "-c", weights, "-o", tmp_path / "s.png", "--nearest", "--json")
    content = document(oneshot(*words))
    assert asked[0][0] == "glyphs"
    assert asked[0][1]["size"] == 28
    assert len(content["nearest"]) == 4
    assert all(row["character"] in drawings.characters for row in content["nearest"])
    alone = oneshot(*words[:-2], "-o", tmp_path / "alone.png")
    assert alone.exit_code == 0
    widths = [Image.open(tmp_path / name).width for name in ("s.png", "alone.png")]
    assert widths[0] > 1.9 * widths[1]


def test_the_nearest_are_of_the_pictures_that_were_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Max-pooled ones, and without validation drawings, where the checkpoint says so."""
    model = tiny_model(size=26, steps=2)
    trained = {"dataset": "glyphs", "split": "weak", "size": 26, "resample": "max"}
    made = {"alphabets": 3, "characters": 9, "validation": 0.3}
    header = checkpoint.Header(config=model.config, data={**trained, **made})
    checkpoint.save(tmp_path / "max.safetensors", model, header)
    shown: list[torch.Tensor] = []

    def nearest(inks: torch.Tensor, drawings: torch.Tensor) -> Any:
        shown.append(drawings)
        return torch.zeros(4).long(), torch.zeros(4)

    monkeypatch.setattr("oneshot_cli.imaging.distances.nearest_drawings", nearest)
    options = ("-n", "4", "-c", tmp_path / "max.safetensors", "-o", tmp_path / "s.png")
    oneshot("sample", *options, "--nearest")
    expected = DataSpec.from_dict(header.data).load(size=model.config.size)
    assert torch.equal(shown[0], expected.images > 0)
    whole = data.load("glyphs", split="weak", size=26, alphabets=3, characters=9)
    assert len(expected) < len(whole)


def test_alphabet_reports_how_far_each_character_is(weights: Path, tmp_path: Path) -> None:
    for i in range(3):
        draw(tmp_path / "in" / f"{i}.png", i)
    words = ("-n", "4", "-c", weights, "-o", tmp_path / "out", "--size", "30", "--json")
    content = document(oneshot("alphabet", tmp_path / "in", *words))
    assert names(tmp_path / "out") == [
        "alphabet.png",
        *[f"character-0{i}.png" for i in range(1, 5)],
    ]
    assert levels(tmp_path / "out" / "character-01.png").shape == (30, 30)
    for made in content["characters"]:
        assert len(made["distances"]) == 3
        assert made["distance"] == min(made["distances"])
        nearest = made["distances"].index(min(made["distances"]))
        assert made["nearest"] == content["given"][nearest]


@pytest.mark.parametrize("ending", ["gif", "webp", "apng", "png"])
def test_animate(ending: str, glyph: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / f"film.{ending}"
    content = document(oneshot("animate", glyph, "-n", "2", "-c", weights, "-o", out, "--json"))
    with Image.open(out) as film:
        assert film.n_frames == content["frames"] == 4
        assert film.size == (content["width"], content["height"])
    assert content["bytes"] == out.stat().st_size
    assert "exists already" in oneshot("animate", glyph, "-c", weights, "-o", out, code=1).stderr


def test_animate_without_exemplars_and_with_reconstruction(
    glyph: Path, weights: Path, tmp_path: Path
) -> None:
    oneshot("animate", "-n", "3", "-c", weights, "-o", tmp_path / "free.gif", "--no-windows")
    words = ("-n", "1", "-c", weights, "--reconstruct", "--fade")
    oneshot("animate", glyph, "-o", tmp_path / "again.gif", *words)
    with Image.open(tmp_path / "free.gif") as film:
        assert film.n_frames == 4
    oneshot("animate", "--reconstruct", "-o", tmp_path / "no.gif", code=2)
    refused = oneshot("animate", "-c", weights, "-o", tmp_path / "film.avi", code=1)
    assert "ends in .gif" in refused.stderr


def test_info_tells_what_a_checkpoint_is(weights: Path) -> None:
    text = oneshot("info", weights).stdout
    for told in ("glyphs", "1,234", "2 h 02 min", "-81.25", "9.8.7", "steps: 4"):
        assert told in text
    content = document(oneshot("info", weights, "--json"))
    model = api.load(weights).model
    assert content["parameters"] == sum(p.numel() for p in model.parameters())
    assert content["bytes"] == weights.stat().st_size
    assert content["model"]["hidden"] == model.config.to_dict()["hidden"]
    assert content["figures"] == {"held_out_bound": -81.25}


@pytest.mark.parametrize("channels", [1, 3])
def test_models_of_other_kinds_are_sampled_and_animated(
    channels: int, glyph: Path, tmp_path: Path
) -> None:
    observation: Any = "bernoulli" if channels == 1 else "logistic"
    config = VAEConfig(
        latent=(3, 2), hidden=(8, 7), depth=1, channels=channels, observation=observation
    )
    path = tmp_path / "vae.safetensors"
    checkpoint.save(path, build(config), checkpoint.Header(config=config))
    assert "kind: vae" in oneshot("info", path).stdout
    oneshot("sample", "-n", "4", "-c", path, "-o", tmp_path / "out", "--size", "32")
    with Image.open(tmp_path / "out" / "sample-01.png") as picture:
        assert picture.size == (32, 32)
        assert picture.mode == ("L" if channels == 1 else "RGB")
        expected = api.load(path).render(api.load(path).sample(1, size=32))[0]
        assert abs(np.asarray(picture).astype(int) - expected).max() <= 1
    film = tmp_path / "film.png"
    oneshot("animate", "-n", "2", "-c", path, "-o", film, "--fade")
    for command in ("vary", "alphabet"):
        refused = oneshot(command, glyph, "-c", path, "-o", tmp_path / "no", code=1)
        assert "model without a context" in refused.stderr
    assert "no exemplar" in oneshot("animate", glyph, "-c", path, "--force", code=1).stderr
    assert not (tmp_path / "no").exists()
    if channels == 3:
        words = ("--reconstruct", "-c", path, "-o", tmp_path / "no.gif")
        assert "draws in colour" in oneshot("animate", glyph, *words, code=1).stderr


def test_an_unconditional_model_redraws_an_exemplar(glyph: Path, tmp_path: Path) -> None:
    config = VAEConfig(latent=(3,), hidden=(8,), depth=1)
    path = tmp_path / "vae.safetensors"
    checkpoint.save(path, build(config), checkpoint.Header(config=config))
    oneshot("animate", glyph, "--reconstruct", "-n", "1", "-c", path, "-o", tmp_path / "a.gif")
    assert (tmp_path / "a.gif").is_file()
