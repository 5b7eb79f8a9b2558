"""`--example`: the first commands work with nothing else at hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from oneshot_cli.cli.app import app
from oneshot_cli.paths import CHARACTERS, LETTERS, examples

ROOT = Path(__file__).parents[2]


def oneshot(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_vary_draws_each_of_the_characters_that_ship(tmp_path: Path, weights: Path) -> None:
    oneshot("vary", "--example", "-n", 2, "-c", weights, "--size", 28, "-o", tmp_path)
    stems = [Path(name).stem for name in CHARACTERS]
    drawn = {f"{stem}-{number:02}.png" for stem in stems for number in (1, 2)}
    assert {path.name for path in tmp_path.iterdir()} == drawn | {"grid.png"}


def test_alphabet_takes_the_letters_that_ship(tmp_path: Path, weights: Path) -> None:
    words = ("-n", 2, "-c", weights, "--size", 28, "-o", tmp_path / "a", "--json")
    told = oneshot("alphabet", "--example", *words)
    assert [name for name in LETTERS if name in told] == list(LETTERS)


def test_animate_has_a_row_for_each_character_that_ships(tmp_path: Path, weights: Path) -> None:
    film = tmp_path / "film.gif"
    one = ("animate", "-n", 1, "-c", weights, "--size", 28, "--force", "-o", film)
    oneshot(*one, examples(CHARACTERS)[0])
    with Image.open(film) as picture:
        row = picture.height
    oneshot(*one, "--example")
    with Image.open(film) as picture:
        assert picture.height > 2.5 * row


@pytest.mark.parametrize("command", ["vary", "alphabet"])
def test_without_a_picture_the_example_is_named(command: str) -> None:
    assert "--example takes some that ship" in oneshot(command, code=2)


@pytest.mark.parametrize("command", ["vary", "alphabet", "animate"])
def test_the_example_does_not_hide_pictures_that_are_named(command: str) -> None:
    assert "--example goes without" in oneshot(command, "--example", "a.png", code=2)


def test_the_wheel_holds_the_pictures_and_their_licence() -> None:
    pairs = re.findall(
        r'^"(docs/.+)" = "oneshot_cli/examples/(.+)"$',
        (ROOT / "pyproject.toml").read_text(),
        re.MULTILINE,
    )
    assert {name for _, name in pairs} == {*CHARACTERS, *LETTERS, "README.md"}
    for source, name in pairs:
        assert (ROOT / source).is_file()
        assert Path(source).name == name
    assert "The MIT License" in (ROOT / "docs" / "exemplars" / "README.md").read_text()
