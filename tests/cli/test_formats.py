"""The formats that drawings are written in, and what the files say of themselves."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import document, draw, levels, names, oneshot
from PIL import Image

import oneshot_cli
from oneshot_cli.cli.options import FilmFormat, PictureFormat
from oneshot_cli.errors import OneshotError
from oneshot_cli.imaging import animation
from oneshot_cli.imaging.formats import encoded
from oneshot_cli.workflows import targets


def tree(folder: Path) -> Path:
    """Two classes: one of three pictures, one of one."""
    for i, name in enumerate(("cat/a.png", "cat/b.png", "cat/more/c.png", "dog/a.png")):
        draw(folder / name, i)
    return folder


def test_the_options_offer_the_formats_that_there_are() -> None:
    assert tuple(format.value for format in PictureFormat) == targets.FORMATS
    assert tuple(format.value for format in FilmFormat) == animation.FORMATS


@pytest.mark.parametrize("format", ["webp", "svg"])
@pytest.mark.parametrize("command", ["vary", "alphabet", "sample"])
def test_pictures_and_their_grid_have_the_format(
    command: str, format: str, glyph: Path, weights: Path, tmp_path: Path
) -> None:
    given: list[Path] = [] if command == "sample" else [glyph]
    options = ("-n", "2", "--size", "64", "-c", weights, "--pen", "0.05")
    words: tuple[str | Path, ...] = (command, *given, *options)
    oneshot(*words, "-o", tmp_path / "png")
    content = document(oneshot(*words, "-o", tmp_path / "out", "--format", format, "--json"))
    assert content["format"] == format
    expected = [name.replace(".png", f".{format}") for name in names(tmp_path / "png")]
    assert names(tmp_path / "out") == expected
    for name in names(tmp_path / "png") if format == "webp" else []:
        webp = tmp_path / "out" / name.replace("png", "webp")
        assert (levels(webp) == levels(tmp_path / "png" / name)).all(), "WebP loses nothing"


def test_an_svg_has_a_path_for_each_stroke_of_the_pen(
    glyph: Path, weights: Path, tmp_path: Path
) -> None:
    words = ("vary", glyph, "-n", "1", "-c", weights, "--format", "svg")
    for pen, stroked in (("0.05", True), ("off", False)):
        oneshot(*words, "--pen", pen, "-o", tmp_path / pen)
        text = (tmp_path / pen / "glyph-01.svg").read_text()
        assert ("stroke-width" in text) == stroked
        assert "<path" in text


def test_a_file_of_another_format_than_its_ending_is_refused(
    glyph: Path, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.svg"
    refused = oneshot("vary", glyph, "-o", out, "--format", "png", "-c", weights, code=2)
    assert "does not fit the ending" in refused.stderr
    refused = oneshot("animate", glyph, "-o", tmp_path / "a.gif", "--format", "webp", code=2)
    assert "does not fit the ending" in refused.stderr


def test_skip_existing_makes_the_same_svg_grid(weights: Path, tmp_path: Path) -> None:
    for i in range(2):
        draw(tmp_path / "in" / f"{i}.png", i)
    out = tmp_path / "out"
    words = ("vary", tmp_path / "in", "-n", "2", "-c", weights, "-o", out, "--format", "svg")
    oneshot(*words, "--pen", "0.05")
    grid = (out / "grid.svg").read_bytes()
    (out / "grid.svg").unlink()
    (out / "1-02.svg").unlink()
    assert document(oneshot(*words, "--pen", "0.05", "--skip-existing", "--json"))["skipped"] == 1
    assert (out / "grid.svg").read_bytes() == grid


def test_an_npz_has_all_pictures(weights: Path, tmp_path: Path) -> None:
    given = [draw(tmp_path / f"{name}.png", i) for i, name in enumerate("ab")]
    words: tuple[str | Path, ...] = ("vary", *given, "-n", "3", "--size", "28", "-c", weights)
    oneshot(*words, "-o", tmp_path / "out")
    result = oneshot(*words, "-o", tmp_path / "all.npz")
    assert result.stdout == f"{tmp_path}/all.npz\n"
    with np.load(tmp_path / "all.npz") as archive:
        assert archive["names"].tolist() == ["a", "b"]
        assert archive["pictures"].shape == (6, 28, 28)
        assert archive["exemplars"].shape == (2, 28, 28)
        for picture, row, number in zip(
            archive["pictures"], archive["exemplar"], archive["number"], strict=True
        ):
            assert (picture == levels(tmp_path / "out" / f"{'ab'[row]}-0{number}.png")).all()
    oneshot("sample", "-n", "5", "-c", weights, "-o", tmp_path / "s.npz")
    oneshot("alphabet", *given, "-n", "5", "-c", weights, "-o", tmp_path / "c.npz")
    with np.load(tmp_path / "s.npz") as sample, np.load(tmp_path / "c.npz") as alphabet:
        assert sample["pictures"].shape == alphabet["pictures"].shape == (5, 112, 112)
        assert alphabet["distance"].shape == (5, 2)


@pytest.mark.parametrize("name", ["out/grid.npz", "grid.png"])
def test_skip_existing_draws_again_what_has_no_files_of_its_own(
    weights: Path, tmp_path: Path, name: str
) -> None:
    """One file holds all drawings: the pictures of the exemplars beside it are not enough."""
    given = [draw(tmp_path / f"{name}.png", i) for i, name in enumerate("ab")]
    out = tmp_path / name
    words: tuple[str | Path, ...] = ("-n", "2", "--size", "28", "-c", weights, "-o", out)
    oneshot("vary", *given, *words, "--show-input")
    before = out.read_bytes()
    out.unlink()
    again = oneshot("vary", *given, *words, "--show-input", "--skip-existing", "--json")
    assert document(again)["skipped"] == 0
    assert out.read_bytes() == before


def test_a_pdf_has_a_page_for_each_page_of_the_grid(weights: Path, tmp_path: Path) -> None:
    pytest.importorskip("fpdf", reason="the extra pdf is not installed")
    for i in range(21):
        draw(tmp_path / "in" / f"{i:02}.png", i)
    words = ("-n", "1", "--size", "28", "-c", weights)
    result = oneshot("vary", tmp_path / "in", *words, "--format", "pdf", "-o", tmp_path / "out")
    assert result.stdout == f"{tmp_path}/out/grid.pdf\n"
    content = (tmp_path / "out" / "grid.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", content)) == 2
    assert b"/DCTDecode" not in content, "lines are not compressed like photos"


def test_a_pdf_without_the_extra_says_what_to_install(
    glyph: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fpdf", None)
    refused = oneshot("vary", glyph, "-c", weights, "-o", tmp_path / "a.pdf", code=1)
    assert "oneshot-cli[pdf]" in refused.stderr


def test_a_tree_becomes_a_tree_that_torchvision_loads(weights: Path, tmp_path: Path) -> None:
    folder = _image_folder()
    words = ("vary", tree(tmp_path / "in"), "--size", "28", "-c", weights)
    oneshot(*words, "-n", "2", "-o", tmp_path / "all")
    loaded = folder(tmp_path / "all")
    assert loaded.classes == folder(tmp_path / "in").classes == ["cat", "dog"]
    assert loaded.targets == [0] * 6 + [1] * 2
    oneshot(*words, "--per-class", "4", "-o", tmp_path / "balanced")
    loaded = folder(tmp_path / "balanced")
    assert loaded.classes == ["cat", "dog"]
    assert loaded.targets == [0] * 4 + [1] * 4
    assert names(tmp_path / "balanced" / "cat") == [
        "a-01.png", "a-02.png", "b-01.png", "more-c-01.png"
    ]  # fmt: skip
    picture, _ = loaded[0]
    assert (np.asarray(picture.convert("L")) == levels(tmp_path / "all/cat/a-01.png")).all()


def _image_folder() -> Any:
    """torchvision's ImageFolder; the test is skipped if it is not installed.

    The wheel on PyPI is built for CUDA. Beside a torch for CPUs its operators do not load, and its
    import fails for want of two declarations. ImageFolder needs no operator.
    """
    if torch.version.cuda is None:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    datasets = pytest.importorskip("torchvision.datasets", reason="torchvision is not installed")
    return datasets.ImageFolder


def test_classes_are_folders_or_else_pictures(weights: Path, tmp_path: Path) -> None:
    folder = tree(tmp_path / "in")
    words = ("--per-class", "2", "--size", "28", "-c", weights, "--layout", "none")
    oneshot("vary", folder / "cat" / "more", *words, "-o", tmp_path / "flat")
    assert names(tmp_path / "flat") == ["c/c-01.png", "c/c-02.png"]
    oneshot("vary", folder / "cat" / "more", folder / "dog", *words, "-o", tmp_path / "two")
    assert {name.split("/")[0] for name in names(tmp_path / "two")} == {"more", "dog"}
    refused = oneshot("vary", folder, *words, "--keep-best", "1", code=2)
    assert "--per-class goes with neither" in refused.stderr


@pytest.mark.parametrize("ending", ["png", "webp", "svg", "npz", "jpg", "tif"])
def test_a_picture_says_how_it_was_drawn(
    ending: str, glyph: Path, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / f"x.{ending}"
    oneshot("vary", glyph, "-n", "2", "--seed", "5", "-c", weights, "-o", out)
    told = document(oneshot("info", out, "--json"))
    assert told["seed"] == 5
    assert told["exemplar"] == "glyph.png"
    assert told["version"] == oneshot_cli.__version__
    assert told["checkpoint"] == weights.name
    assert "number" not in told, "it is a grid"
    text = oneshot("info", out).stdout
    assert "glyph.png" in text
    assert oneshot_cli.__version__ in text


def test_a_picture_can_be_drawn_again_from_what_it_says(
    glyph: Path, weights: Path, tmp_path: Path
) -> None:
    oneshot("vary", glyph, "-n", "3", "--seed", "5", "-c", weights, "-o", tmp_path / "a")
    told = document(oneshot("info", tmp_path / "a" / "glyph-03.png", "--json"))
    model = oneshot_cli.load(weights)
    given = {name: told[name] for name in ("seed", "spread", "closeness", "size")}
    drawn = model.render(model.vary(glyph, told["number"], **given), told["pen"])
    assert (drawn[-1] == levels(tmp_path / "a" / "glyph-03.png")).all()
    with Image.open(tmp_path / "a" / "glyph-03.png") as picture:
        assert picture.info["Software"] == f"oneshot {oneshot_cli.__version__}"


@pytest.mark.parametrize("ending", ["gif", "webp", "apng"])
def test_a_film_says_how_it_was_drawn(ending: str, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / f"x.{ending}"
    oneshot("animate", "-n", "1", "--seed", "7", "-c", weights, "-o", out)
    assert document(oneshot("info", out, "--json"))["seed"] == 7


def test_a_webm_is_written_by_the_extra(weights: Path, tmp_path: Path) -> None:
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="no extra video")
    out = tmp_path / "film.webm"
    oneshot("animate", "-n", "1", "-c", weights, "-o", out, "--fps", "10", "--hold", "1")
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(out))
    assert frames == 14
    assert seconds == pytest.approx(1.4, abs=0.11)


def test_info_refuses_pictures_that_say_nothing(glyph: Path, tmp_path: Path) -> None:
    assert "does not say that oneshot drew it" in oneshot("info", glyph, code=1).stderr
    (tmp_path / "bad.png").write_text("no picture")
    (tmp_path / "bad.svg").write_text("<svg")
    (tmp_path / "list.npz").write_text(json.dumps([1]))
    for name in ("bad.png", "bad.svg", "list.npz", "missing.png"):
        refused = oneshot("info", tmp_path / name, code=1)
        assert refused.stderr.startswith(f"error: {tmp_path / name}: ")
        assert "bug" not in refused.stderr


def test_what_is_too_large_for_a_format_is_one_clear_error() -> None:
    for kind, side in (("WEBP", 16_384), ("JPEG", 65_501)):
        with pytest.raises(OneshotError, match=f"{kind} has at most .* {side:,} x 1"):
            encoded(Image.new("L", (side, 1)), kind)
    frames = [Image.new("L", (16_384, 1), shade) for shade in (0, 255)]
    with pytest.raises(OneshotError, match="WEBP has at most 16,383"):
        animation.film_bytes(frames, "webp", fps=8, hold=2)
