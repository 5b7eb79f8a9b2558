"""Results of drawing: they show themselves, save themselves, and are still arrays."""

from __future__ import annotations

import copy
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from oneshot_cli.drawing.oneshot import Oneshot, load
from oneshot_cli.drawing.results import SHOWN, Pictures
from oneshot_cli.errors import OneshotError, UsageError
from oneshot_cli.imaging.grid import GAP


@pytest.fixture(scope="module")
def model(weights: Path) -> Oneshot:
    return load(weights, device="cpu")


@pytest.fixture(scope="module")
def letter() -> np.ndarray:
    picture = np.full((40, 40), 255, np.uint8)
    picture[8:32, 10:14] = picture[28:32, 10:30] = 0
    return picture


@pytest.fixture(scope="module")
def drawn(model: Oneshot, letter: np.ndarray) -> Pictures:
    return model.vary(letter, 3, size=40)


def test_drawings_are_tensors_and_arrays(drawn: Pictures) -> None:
    assert isinstance(drawn, Tensor)
    assert np.asarray(drawn).shape == drawn.shape == (3, 1, 40, 40)
    for computed in (drawn > 0.5, 1 - drawn, drawn.mean(), drawn.flatten(1), drawn[:, 0]):
        assert type(computed) is Tensor
    torch.testing.assert_close(torch.stack(list(drawn)), drawn)


def test_a_part_of_the_drawings_is_drawings(drawn: Pictures) -> None:
    assert [part.shape for part in drawn] == [(1, 40, 40)] * 3
    for part in (drawn[1:], drawn[[2, 0]], drawn[0], copy.deepcopy(drawn)):
        assert isinstance(part, Pictures)
        assert part.exemplars.shape == (1, 1, 28, 28)
    assert torch.equal(copy.deepcopy(drawn), drawn)


def test_drawings_survive_pickling(drawn: Pictures) -> None:
    again = pickle.loads(pickle.dumps(drawn))  # noqa: S301
    assert torch.equal(again, drawn)
    assert again._repr_png_() == drawn._repr_png_()


def opened(content: bytes | None) -> Image.Image:
    assert content is not None
    return Image.open(io.BytesIO(content))


def test_a_notebook_shows_the_sheet_with_the_exemplar(drawn: Pictures, model: Oneshot) -> None:
    shown = opened(drawn._repr_png_())
    assert shown.format == "PNG"
    assert np.array_equal(np.asarray(shown), np.asarray(drawn.grid()))
    alone = model.sample(3, size=40)
    assert alone.grid().width < shown.width, "without an exemplar"
    assert opened(drawn[0]._repr_png_()).size == (40, 40)
    assert model.sample(0)._repr_png_() is None


def test_a_notebook_shows_only_the_first_of_very_many(model: Oneshot) -> None:
    many = model.sample(SHOWN + 30, size=28)
    few = many[:SHOWN].grid()
    assert opened(many._repr_png_()).height == pytest.approx(few.height, abs=30)
    assert many.grid().height > few.height + 200


def test_several_exemplars_are_shown_as_given(model: Oneshot, letter: np.ndarray) -> None:
    new = model.alphabet([letter, letter.T, letter[::-1]], 4)
    assert len(new.exemplars) == 3
    assert new.grid().height > model.sample(4).grid().height + 100


def test_pictures_are_what_the_model_renders(drawn: Pictures, model: Oneshot) -> None:
    levels = model.render(drawn)
    assert all(
        np.array_equal(np.asarray(picture), level)
        for picture, level in zip(drawn.pictures(), levels, strict=True)
    )
    outlined = drawn.pictures(pen=0)[0]
    assert not np.array_equal(np.asarray(outlined), levels[0]), "the pen can be turned off"


def test_drawings_are_saved_as_a_sheet_or_into_a_folder(drawn: Pictures, tmp_path: Path) -> None:
    (sheet,) = drawn.save(tmp_path / "sheet.webp")
    assert Image.open(sheet).size == drawn.grid().size
    files = drawn.save(tmp_path / "new" / "folder")
    assert [file.name for file in files] == ["01.png", "02.png", "03.png"]
    assert np.array_equal(np.asarray(Image.open(files[1])), np.asarray(drawn.pictures()[1]))
    assert drawn.save(str(tmp_path / "new" / "folder")) == files, "again"
    (one,) = drawn[2].save(tmp_path / "one.png")
    assert np.array_equal(np.asarray(Image.open(one)), np.asarray(drawn.pictures()[2]))
    with pytest.raises(UsageError, match=r"not written as \.gi;"):
        drawn.save(tmp_path / "x.gi")
    with pytest.raises(OneshotError, match="n is 0"):
        drawn[:0].save(tmp_path / "x.png")
    (tmp_path / "taken").write_text("")
    with pytest.raises(OneshotError, match="is a file"):
        drawn.save(tmp_path / "taken")


def test_films_play_save_and_are_arrays(model: Oneshot, letter: np.ndarray, tmp_path: Path) -> None:
    film = model.draw(letter, n=2, size=40)
    assert np.asarray(film).shape == (2, 4, 1, 40, 40)
    assert np.asarray(film, np.float64).dtype == np.float64
    assert len(film) == 2
    assert torch.equal(film.last, film.frames[:, -1])
    assert film.last.grid().size == model.vary(letter, 2, size=40).grid().size
    (file,) = film.save(tmp_path / "film.gif")
    for played in (Image.open(file), opened(film._repr_png_())):
        assert getattr(played, "n_frames", 1) == len(film.pictures()) == 5
    with pytest.raises(OneshotError, match="animation ends in"):
        film.save(tmp_path / "film.txt")
    free, again = model.draw(n=2, size=40), model.draw(letter, size=40, reconstruct=True)
    assert free.pictures()[0].width < film.pictures()[0].width, "no exemplar to show"
    assert again.pictures()[1] != again.pictures(windows=False)[1]


def test_a_film_ends_with_the_drawings_that_vary_gives(model: Oneshot, letter: np.ndarray) -> None:
    """Above the model's own size they are drawn with a pen, in a frame of their own."""
    film = model.draw(letter, n=2, size=112)
    *_, canvas, finished = (np.asarray(frame.convert("L")) for frame in film.pictures())
    assert not np.array_equal(canvas, finished)
    y, x = GAP, GAP + 112 + 2 * GAP
    for drawn in model.vary(letter, 2, size=112).pictures():
        assert np.array_equal(finished[y : y + 112, x : x + 112], np.asarray(drawn))
        x += 112 + GAP
    assert len(model.draw(letter, n=1).pictures()) == 4, "there the canvas is the drawing"


def test_what_is_printed_says_what_it_is(drawn: Pictures, model: Oneshot) -> None:
    assert repr(drawn) == "<Pictures (3, 1, 40, 40): 3 drawings of 40 x 40 pixels>"
    assert repr(drawn[0]) == "<Pictures (1, 40, 40): one drawing of 40 x 40 pixels>"
    assert "2 drawings in 4 steps" in repr(model.draw(n=2))
    assert repr(model).endswith("tiny.safetensors: sequential, reads 28 and draws 28 pixels>")
