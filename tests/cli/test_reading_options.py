"""The options that decide how a picture is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import document, names, oneshot
from PIL import Image

FIELD = Path(__file__).parents[1] / "fixtures" / "field"
SEVERAL = FIELD / "three_characters.png"


def test_each_character_of_a_picture_is_an_exemplar(weights: Path, tmp_path: Path) -> None:
    given: list[str | Path] = ["vary", SEVERAL, "-n", "1", "-c", weights]
    oneshot(*given, "--each", "-o", tmp_path / "each")
    expected = [f"three_characters-{number}-01.png" for number in (1, 2, 3)]
    assert names(tmp_path / "each") == ["grid.png", *expected]
    result = oneshot(*given, "--json", "-o", tmp_path / "one")
    (made,) = document(result)["exemplars"]
    assert made["concerns"][0]["kind"] == "several-characters"


def test_a_page_of_letters_is_an_alphabet(weights: Path, tmp_path: Path) -> None:
    words: list[str | Path] = ["alphabet", SEVERAL, "--each", "-n", "2", "-c", weights, "--json"]
    made = document(oneshot(*words, "-o", tmp_path / "letters"))
    assert len(made["given"]) == 3
    assert len(made["characters"][0]["distances"]) == 3


def test_a_film_has_a_row_for_each_character(weights: Path, tmp_path: Path) -> None:
    words: list[str | Path] = ["animate", SEVERAL, "-n", "1", "-c", weights, "--json", "-o"]
    one = document(oneshot(*words, tmp_path / "one.gif"))
    three = document(oneshot(*words, tmp_path / "three.gif", "--each"))
    assert three["height"] > 2.5 * one["height"]


@pytest.mark.parametrize(("box", "kind"), [("auto", "box-removed"), ("keep", None)])
def test_a_box_is_told_and_can_be_kept(
    box: str, kind: str | None, weights: Path, tmp_path: Path
) -> None:
    words: list[str | Path] = [
        "vary",
        FIELD / "form_box.png",
        "-n",
        "1",
        "-c",
        weights,
        "--json",
        "--box",
        box,
    ]
    (made,) = document(oneshot(*words, "-o", tmp_path / "out"))["exemplars"]
    kinds = {concern["kind"] for concern in made["concerns"]}
    assert ("box-removed" in kinds) == (kind is not None)


def test_a_frame_is_chosen_by_its_number(weights: Path, tmp_path: Path) -> None:
    words: list[str | Path] = ["vary", FIELD / "recording.gif", "-n", "1", "-c", weights, "--frame"]
    oneshot(*words, "4", "-o", tmp_path / "last")
    blank = oneshot(*words, "1", "-o", tmp_path / "first", code=1)
    assert "recording.gif: no drawing found: the picture is blank" in blank.stderr
    missing = oneshot(*words, "9", "-o", tmp_path / "none", code=1)
    assert "recording.gif: there is no frame 9: it has 4" in missing.stderr


def test_show_input_shows_the_steps_of_reading(weights: Path, tmp_path: Path) -> None:
    words: list[str | Path] = [
        "vary",
        FIELD / "photo_desk.jpg",
        "-n",
        "1",
        "-c",
        weights,
        "--show-input",
        "-o",
    ]
    oneshot(*words, tmp_path / "out")
    with Image.open(tmp_path / "out" / "photo_desk-input.png") as steps:
        assert steps.width > 5 * 208, "picture, sheet, ink, drawing, what the model reads"
        assert steps.height > 208
