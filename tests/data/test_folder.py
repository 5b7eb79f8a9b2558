"""A folder of the user's own pictures, in any of its shapes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from oneshot_cli.data import load
from oneshot_cli.errors import OneshotError
from oneshot_cli.imaging.exemplar import exemplar
from oneshot_cli.workflows.jobs import find


def picture(path: Path, ink: np.ndarray, paper: int = 255, pen: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.where(ink, pen, paper).astype(np.uint8)).save(path)


def square(side: int = 40, column: int = 10) -> np.ndarray:
    ink = np.zeros((side, side), bool)
    ink[10:30, column : column + 8] = True
    return ink


def test_alphabets_and_characters(tmp_path: Path) -> None:
    for name in ("runes/b/2.png", "runes/b/1.png", "runes/a/1.png", "old/greek/x/1.png"):
        picture(tmp_path / name, square())
    drawings = load("folder", data_dir=tmp_path, size=40)
    assert drawings.characters == ("old/greek/x", "runes/a", "runes/b")
    assert drawings.alphabets == ("old/greek", "runes")
    assert drawings.character.tolist() == [0, 1, 2, 2]
    assert drawings.alphabet.tolist() == [0, 1, 1]
    assert torch.equal(drawings.images[0], torch.from_numpy(square()).to(torch.uint8))


def test_characters_alone_and_pictures_alone(tmp_path: Path) -> None:
    deep, flat = tmp_path / "mine", tmp_path / "flat"
    for character in "dcba":
        for drawing in (1, 2):
            picture(deep / character / f"{drawing}.png", square())
        picture(flat / f"{character}.png", square())
    drawings = load("folder", data_dir=deep)
    assert drawings.characters == ("mine/a", "mine/b", "mine/c", "mine/d")
    assert torch.bincount(drawings.character).tolist() == [2, 2, 2, 2]
    assert load("folder", data_dir=flat).characters == ("flat/a", "flat/b", "flat/c", "flat/d")
    test = load("folder", data_dir=deep, split="weak", part="test")
    assert test.characters == ("mine/a",)
    train = load("folder", data_dir=deep, split="weak")
    assert train.characters == ("mine/b", "mine/c", "mine/d")
    assert train.character.tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(("paper", "pen"), [(255, 0), (0, 255), (200, 90), (40, 120)])
def test_ink_is_what_differs_from_the_paper(tmp_path: Path, paper: int, pen: int) -> None:
    picture(tmp_path / "a" / "1.png", square(), paper, pen)
    drawings = load("folder", data_dir=tmp_path, size=40)
    assert torch.equal(drawings.images[0], torch.from_numpy(square()).to(torch.uint8))


def test_transparent_and_oblong_pictures(tmp_path: Path) -> None:
    pixels = np.zeros((20, 40, 4), np.uint8)
    pixels[5:15, 15:25, 3] = 255  # black ink on nothing
    (tmp_path / "a").mkdir()
    Image.fromarray(pixels).save(tmp_path / "a" / "1.png")
    (image,) = load("folder", data_dir=tmp_path, size=40).images
    expected = torch.zeros(40, 40, dtype=torch.uint8)
    expected[15:25, 15:25] = 1
    assert torch.equal(image, expected)


def test_a_blank_picture_is_named(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "1.png", np.zeros((30, 30), bool))
    with pytest.raises(OneshotError, match=r"1\.png: no drawing found: the picture is blank"):
        load("folder", data_dir=tmp_path)


def test_white_ink_on_transparency_and_photos_are_read(tmp_path: Path) -> None:
    white = np.full((40, 40, 4), 255, np.uint8)
    white[..., 3] = 255 * square()
    (tmp_path / "a").mkdir()
    Image.fromarray(white).save(tmp_path / "a" / "1.png")
    field = Path(__file__).parents[1] / "fixtures" / "field"
    shutil.copy(field / "photo_hard_shadow.jpg", tmp_path / "a")
    white_ink, photo = load("folder", data_dir=tmp_path, size=40).images
    assert torch.equal(white_ink, torch.from_numpy(square()).to(torch.uint8))
    assert torch.equal(photo.float(), exemplar(field / "photo_hard_shadow.jpg", 40))


def test_hidden_and_other_files_are_left_out(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "1.png", square())
    (tmp_path / "a" / "notes.txt").write_text("hello")
    (tmp_path / "a" / "._1.png").write_text("hello")
    assert len(load("folder", data_dir=tmp_path)) == 1


def test_sheets_beside_the_drawings_of_a_command_are_left_out(tmp_path: Path) -> None:
    """But a picture of one's own may be called grid.png."""
    for name in ("grid", "grid-001", "K-grid", "K-input", "alphabet", "samples"):
        picture(tmp_path / "drawn" / f"{name}.png", square())
        picture(tmp_path / "mine" / f"{name}.png", square())
    picture(tmp_path / "drawn/K-01.png", square())
    picture(tmp_path / "drawn/K-02.png", square())
    picture(tmp_path / "drawn/letters/a-001.png", square())
    picture(tmp_path / "drawn/letters/a-grid.png", square())
    drawings = load("folder", data_dir=tmp_path)
    counts = dict(zip(drawings.characters, torch.bincount(drawings.character), strict=True))
    assert counts == {f"{tmp_path.name}/drawn": 2, "drawn/letters": 1, f"{tmp_path.name}/mine": 6}
    found = find([tmp_path / "drawn"])  # as the drawing commands find them
    assert [source.path.name for source in found.sources] == ["K-01.png", "K-02.png", "a-001.png"]
    assert len(found.left_out) == 7


def test_links_to_folders_are_followed_but_not_in_a_circle(tmp_path: Path) -> None:
    picture(tmp_path / "elsewhere" / "1.png", square())
    root = tmp_path / "root"
    root.mkdir()
    for name in "ab":
        (root / name).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(root)
    assert load("folder", data_dir=root).characters == ("root/a", "root/b")


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONESHOT_DATA", raising=False)
    with pytest.raises(OneshotError, match="--data-dir"):
        load("folder")
    with pytest.raises(OneshotError, match="not a folder"):
        load("folder", data_dir=tmp_path / "missing")
    with pytest.raises(OneshotError, match="no pictures"):
        load("folder", data_dir=tmp_path)
    picture(tmp_path / "a" / "1.png", square())
    (tmp_path / "a" / "2.png").write_text("not a picture")
    with pytest.raises(OneshotError, match=r"2\.png is not a picture"):
        load("folder", data_dir=tmp_path)
