"""Pictures of other programs: what is read, and what is said of what cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation.folders import picture_ink, read_folders


def cross(shift: int = 0, size: int = 28) -> np.ndarray:
    picture = np.full((size, size), 255, np.uint8)
    picture[10 + shift : 12 + shift, 4:24] = 0
    picture[4:24, 10 + shift : 12 + shift] = 0
    return picture


def write(folder: Path, **pictures: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for name, picture in pictures.items():
        Image.fromarray(picture).save(folder / f"{name}.png")


def test_reads_every_character(tmp_path: Path) -> None:
    write(tmp_path / "a", exemplar=cross(), one=cross(1), two=cross(2))
    write(tmp_path / "b", EXEMPLAR=255 - cross(3), one=cross(4))
    found = read_folders(tmp_path)
    assert found.names == ("a", "b")
    assert found.present.tolist() == [[True, True], [True, False]]
    assert found.variations.shape == (2, 2, 1, 28, 28)
    expected = torch.from_numpy(cross() < 128).float()
    assert torch.equal(found.exemplars[0, 0], expected)
    inverted = torch.from_numpy(cross(3) < 128).float()
    assert torch.equal(found.exemplars[1, 0], inverted)
    assert len(found.notes) == 1
    assert "single variation" in found.notes[0]


def test_leaves_out_what_cannot_be_scored_and_says_so(tmp_path: Path) -> None:
    write(tmp_path / "fine", exemplar=cross(), one=cross(1), two=cross(2))
    (tmp_path / "fine" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    write(tmp_path / "lonely", exemplar=cross())
    write(tmp_path / "headless", one=cross(1))
    write(tmp_path / "blank", exemplar=np.full((28, 28), 255, np.uint8), one=cross())
    (tmp_path / "notes.txt").write_text("beside the folders")
    found = read_folders(tmp_path)
    assert found.names == ("fine",)
    assert found.present.sum() == 2
    said = "\n".join(found.notes)
    for folder, words in (
        ("broken.png", "left out"),
        ("lonely", "no variation"),
        ("headless", "exemplar.*"),
        ("blank", "no usable exemplar"),
    ):
        assert any(folder in note and words in note for note in found.notes), (folder, said)


@pytest.mark.parametrize("content", ["nothing", "flat", "missing"])
def test_nothing_to_score_is_an_error_with_advice(tmp_path: Path, content: str) -> None:
    root = tmp_path / "pictures"
    if content != "missing":
        root.mkdir()
    if content == "flat":
        Image.fromarray(cross()).save(root / "exemplar.png")
    with pytest.raises(OneshotError, match="one folder per character"):
        read_folders(root)


def test_pictures_are_padded_to_squares_and_brought_to_size() -> None:
    grey = np.ones((56, 112), np.float32)
    grey[20:28, 40:72] = 0
    ink = picture_ink(grey)
    assert ink.shape == (1, 28, 28)
    expected = torch.zeros(28, 28)
    expected[12:14, 10:18] = 1
    assert torch.equal(ink[0], expected)
    assert not picture_ink(np.full((30, 30), 0.3, np.float32)).any()
