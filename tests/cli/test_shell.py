"""How the drawing commands behave in a shell: pipes, folders, names, paths that cannot be read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import document, draw, levels, names, oneshot
from PIL import Image, ImageSequence
from typer.testing import CliRunner

from oneshot_cli.cli.app import app
from oneshot_cli.errors import OneshotError
from oneshot_cli.files import atomic_write_bytes

SMALL = ("-n", "1", "--size", "28")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def piped(*words: str | Path, given: bytes = b"", code: int = 0) -> bytes:
    """What a command writes to standard output, as bytes, with `given` on standard input."""
    result = CliRunner().invoke(app, [str(word) for word in words], input=given)
    assert result.exit_code == code, result.stderr or result.exception
    return result.stdout_bytes


def opened(content: bytes, path: Path) -> Image.Image:
    path.write_bytes(content)
    return Image.open(path)


def test_a_picture_is_read_from_standard_input_and_one_written_to_standard_output(
    glyph: Path, weights: Path, tmp_path: Path
) -> None:
    oneshot("vary", glyph, *SMALL, "-c", weights, "-o", tmp_path / "out")
    words = ("vary", "-", *SMALL, "-c", weights, "-o", "-")
    picture = opened(piped(*words, given=glyph.read_bytes()), tmp_path / "one")
    assert picture.format == "PNG"
    assert (np.asarray(picture) == levels(tmp_path / "out" / "glyph-01.png")).all()
    assert picture.info["oneshot"].count("standard input") == 1
    assert names(Path()) == []


@pytest.mark.parametrize("command", ["vary", "alphabet", "sample"])
def test_of_several_pictures_the_grid_is_written_to_standard_output(
    command: str, glyph: Path, weights: Path, tmp_path: Path
) -> None:
    given = () if command == "sample" else ("-",)
    words = (command, *given, "-n", "3", "--size", "28", "-c", weights)
    grid = opened(piped(*words, "-o", "-", given=glyph.read_bytes()), tmp_path / "grid")
    oneshot(*(glyph if word == "-" else word for word in words), "-o", tmp_path / "a.png")
    assert grid.size == Image.open(tmp_path / "a.png").size
    assert "--json and -o -" in oneshot(*words, "-o", "-", "--json", code=2).stderr
    assert names(Path()) == []


def test_a_film_is_written_to_standard_output(weights: Path, tmp_path: Path) -> None:
    film = opened(piped("animate", "-n", "1", "-c", weights, "-o", "-"), tmp_path / "film")
    assert (film.format, len(list(ImageSequence.Iterator(film)))) == ("GIF", 4 + 1)


@pytest.mark.parametrize("given", [b"", b"no picture"])
def test_what_is_no_picture_on_standard_input_is_one_clear_error(
    given: bytes, weights: Path
) -> None:
    for command in ("vary", "alphabet", "animate"):
        result = CliRunner().invoke(app, [command, "-", "-c", str(weights)], input=given)
        assert result.exit_code == 1
        assert result.stderr.startswith("error: standard input is ")
        assert result.stderr.count("\n") == 1
    assert list(Path().iterdir()) == [], "no empty folder is left"


def test_a_pipe_is_read_like_a_file(glyph: Path, weights: Path, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.write(write, glyph.read_bytes())
    os.close(write)
    oneshot("vary", f"/dev/fd/{read}", *SMALL, "-c", weights, "-o", tmp_path / "piped")
    os.close(read)
    oneshot("vary", glyph, *SMALL, "-c", weights, "-o", tmp_path / "file")
    (one,) = (tmp_path / "piped").glob("*-01.png")
    assert (levels(one) == levels(tmp_path / "file" / "glyph-01.png")).all()


def test_urls_are_refused_by_name(glyph: Path, weights: Path) -> None:
    url = "https://example.com/a.png"
    for command in ("vary", "alphabet", "animate"):
        refused = oneshot(command, url, "-c", weights, code=1)
        assert refused.stderr.startswith(f"error: {url} is a URL, but pictures are read from files")
    assert "is a URL" in oneshot("vary", "file:///a.png", "-c", weights, code=1).stderr
    assert "is a URL" in oneshot("vary", glyph, "-o", url, "-c", weights, code=2).stderr
    assert "is a URL" in oneshot("animate", glyph, "-o", url, "-c", weights, code=2).stderr


def test_without_an_output_each_run_has_a_new_folder(glyph: Path, weights: Path) -> None:
    for number in (1, 2):
        result = oneshot("vary", glyph, *SMALL, "-c", weights)
        assert result.stdout.splitlines()[0] == f"out/glyph-{number}/glyph-01.png"
    Path("out/glyph-7").mkdir()
    oneshot("vary", glyph, *SMALL, "-c", weights)
    oneshot("animate", glyph, "-n", "1", "-c", weights)
    oneshot("alphabet", glyph, *SMALL, "-c", weights)
    oneshot("sample", *SMALL, "-c", weights)
    assert [path.name for path in sorted(Path("out").iterdir())] == [
        "glyph-1", "glyph-10", "glyph-2", "glyph-7", "glyph-8", "glyph-9", "sample-1"
    ]  # fmt: skip
    assert names(Path("out/glyph-9")) == ["animation.gif"]
    assert "needs --output" in oneshot("vary", glyph, "--skip-existing", code=2).stderr


@pytest.mark.parametrize("output", ["name.with.dots", "sheet.doc", "sheet.png/"])
def test_what_does_not_end_like_a_picture_or_ends_with_a_slash_is_a_folder(
    output: str, glyph: Path, weights: Path
) -> None:
    oneshot("vary", glyph, *SMALL, "-c", weights, "-o", output)
    assert names(Path(output)) == ["glyph-01.png", "glyph-grid.png"]


def test_a_run_stands_for_its_best_checkpoint(glyph: Path, weights: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "last.safetensors").write_text("not this one")
    (run / "best.safetensors").write_bytes(weights.read_bytes())
    content = document(oneshot("vary", glyph, *SMALL, "-c", run, "--json"))
    assert content["checkpoint"] == str(run / "best.safetensors")
    assert "1,234" in oneshot("info", run).stdout
    (run / "last.safetensors").write_bytes((run / "best.safetensors").read_bytes())
    (run / "best.safetensors").unlink()
    assert document(oneshot("info", run, "--json"))["checkpoint"] == str(run / "last.safetensors")


def test_names_never_collide_with_each_other_or_with_the_grid(
    weights: Path, tmp_path: Path
) -> None:
    given = [draw(tmp_path / name, i) for i, name in enumerate(("a-2.png", "a.jpg", "a.png"))]
    given += [draw(tmp_path / "other" / "a.png", 3), draw(tmp_path / "grid.png", 4)]
    content = document(oneshot("vary", *given, *SMALL, "-c", weights, "-o", "out", "--json"))
    written = [path for made in content["exemplars"] for path in made["variations"]]
    assert [Path(path).name for path in written] == [
        "a-2-01.png", "a-01.png", "a-3-01.png", "a-4-01.png", "grid-2-01.png"
    ]  # fmt: skip
    assert content["grids"] == ["out/grid.png"]
    assert [made["exemplar"] for made in content["exemplars"]] == [[str(path)] for path in given]


def test_no_exemplar_is_ever_overwritten(weights: Path) -> None:
    for name in ("a", "b", "grid"):
        draw(Path("in") / f"{name}.png", 1)
    before = {path: path.read_bytes() for path in Path("in").iterdir()}
    words = ("vary", "in/a.png", "in/b.png", "in/grid.png", *SMALL, "-c", weights)
    refused = oneshot(*words, "-o", "in", "--force", code=1)
    assert "in/grid.png is one of the exemplars" in refused.stderr
    assert {path: path.read_bytes() for path in Path("in").iterdir()} == before


def test_hidden_files_are_passed_over_and_other_files_are_told(weights: Path) -> None:
    draw(Path("in/a.png"), 0)
    for name in ("._a.png", ".DS_Store", ".cache/b.png", "notes.txt"):
        Path("in", name).parent.mkdir(exist_ok=True)
        Path("in", name).write_text("no picture")
    result = oneshot("vary", "in", *SMALL, "-c", weights, "-o", "out")
    assert names(Path("out")) == ["a-01.png", "a-grid.png"]
    assert "left out: in/notes.txt\n" in result.stderr
    assert "DS_Store" not in result.stderr


def test_drawings_of_earlier_runs_are_not_read_as_exemplars(glyph: Path, weights: Path) -> None:
    draw(Path("a.png"), 0)
    oneshot("vary", ".", *SMALL, "-c", weights)
    again = oneshot("vary", ".", *SMALL, "-c", weights)
    assert names(Path("out/here-2")) == ["a-01.png", "a-grid.png"]
    assert "left out: out\n" in again.stderr


def test_linked_folders_are_followed_but_not_in_circles(weights: Path, tmp_path: Path) -> None:
    draw(tmp_path / "elsewhere" / "b.png", 0)
    draw(Path("in/a.png"), 1)
    Path("in/link").symlink_to(tmp_path / "elsewhere")
    Path("in/up").symlink_to("..")
    (tmp_path / "elsewhere" / "back").symlink_to(Path("in").resolve())
    oneshot("vary", "in", *SMALL, "-c", weights, "-o", "out")
    assert names(Path("out")) == ["a-01.png", "grid.png", "link/b-01.png"]


def test_one_path_that_cannot_be_read_does_not_stop_the_rest(glyph: Path, weights: Path) -> None:
    Path("empty").mkdir()
    bad = ("missing.png", "empty", "x" * 300, "http://example.com")
    for command, count in (("vary", 2), ("alphabet", 2), ("animate", 1)):
        given = ("-n", "1", "-c", weights, "-o", f"{command}/", "--json")
        result = oneshot(command, *bad, glyph, *given, code=1)
        assert len(names(Path(command))) == count
        assert result.stderr.count("error: ") == 4
        assert len(document(result)["failed"]) == 4
    alone = oneshot("vary", "missing.png", "empty", "-c", weights, code=1)
    assert alone.stderr.count("error: ") == 2
    assert not Path("out").exists()


def test_together_goes_on_without_a_picture_that_cannot_be_read(
    glyph: Path, weights: Path, tmp_path: Path
) -> None:
    words = ("--together", *SMALL, "-c", weights)
    oneshot("vary", glyph, "missing.png", *words, "-o", "a", code=1)
    oneshot("vary", glyph, *words, "-o", "b")
    assert (levels(Path("a/glyph-01.png")) == levels(Path("b/glyph-01.png"))).all()


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31mred", "x" * 251, "é" * 125, "a\udcff"])
def test_any_file_name_works(name: str, weights: Path) -> None:
    given = draw(Path("in/plain.png"), 0).rename(Path("in") / f"{name}.png")
    draw(Path("in/b.png"), 1)
    result = oneshot("vary", "in", *SMALL, "-c", weights, "-o", "out")
    assert "\x1b" not in result.output
    assert len(names(Path("out"))) == 3
    content = document(oneshot("vary", given, *SMALL, "-c", weights, "--json"))
    assert len(content["exemplars"]) == 1


def test_a_link_is_written_through_and_a_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    atomic_write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OneshotError, match="pipe is no file"):
        atomic_write_bytes(tmp_path / "pipe", b"new")
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_json_on_a_full_disk_is_one_clear_error(weights: Path) -> None:
    words = [sys.executable, "-m", "oneshot_cli", "info", str(weights), "--json"]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "full" in result.stderr
