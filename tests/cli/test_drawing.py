"""`vary`, from the command line to the files; bad exemplars and checkpoints."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import document, draw, levels, names, oneshot
from PIL import Image

from oneshot_cli import checkpoint
from oneshot_cli.drawing import oneshot as api
from oneshot_cli.imaging.exemplar import exemplar
from oneshot_cli.imaging.rendering import inked


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
    last = levels(Path(made["input"]))[12:220, -220:-12]
    paper = Image.fromarray(np.uint8(255 * (1 - exemplar(glyph, 28).numpy())))
    read = np.asarray(paper.resize((208, 208), Image.Resampling.BOX))
    assert (last[1:-1, 1:-1] == read[1:-1, 1:-1]).all(), "the last panel is what the model reads"


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
    assert "--keep-best is 7" in oneshot(*words, "--keep-best", "7", code=2).stderr


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


def test_skip_existing_draws_again_what_is_damaged_or_of_another_size(
    weights: Path, tmp_path: Path
) -> None:
    for i in range(2):
        draw(tmp_path / "in" / f"{i}.png", i)
    out = tmp_path / "out"
    words = ("vary", tmp_path / "in", "-n", "2", "-c", weights, "-o", out, "--skip-existing")
    oneshot(*words, "--size", "40")
    picture = (out / "1-02.png").read_bytes()
    (out / "1-02.png").write_bytes(b"")
    assert document(oneshot(*words, "--size", "40", "--json"))["skipped"] == 1
    assert (out / "1-02.png").read_bytes() == picture
    (out / "1-02.png").write_bytes(picture[:-40])
    assert document(oneshot(*words, "--size", "40", "--json"))["skipped"] == 1
    assert document(oneshot(*words, "--size", "30", "--json"))["skipped"] == 0
    for path in out.glob("[01]-0*.png"):
        with Image.open(path) as drawn:
            assert drawn.size == (30, 30)
