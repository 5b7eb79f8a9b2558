"""Concerns about an exemplar: named when there are any, and none for good characters."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from typer.testing import CliRunner

from oneshot_cli import data, load
from oneshot_cli.cli.app import app
from oneshot_cli.data import omniglot
from oneshot_cli.drawing.oneshot import Oneshot
from oneshot_cli.imaging.concerns import deepest, lost_holes, missed, several_characters
from oneshot_cli.imaging.exemplar import Drawing, drawing
from oneshot_cli.imaging.ink import Mask


@pytest.fixture(scope="module")
def model() -> Oneshot:
    return load()


def canvas() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.new("L", (400, 400), 255)
    return picture, ImageDraw.Draw(picture)


def text(words: str) -> Image.Image:
    picture = Image.new("L", (60 * len(words) + 60, 160 + 80 * words.count("\n")), 255)
    font = ImageFont.load_default(size=60)
    ImageDraw.Draw(picture).multiline_text((30, 30), words, font=font, fill=0)
    return picture


def as_read(mask: Mask) -> Drawing:
    return Drawing(mask, mask)


def kinds(model: Oneshot, picture: Image.Image) -> set[str]:
    return {concern.kind for concern in model.concerns(picture)}


@pytest.mark.parametrize("words", ["hello", "a b c", "42", "one\ntwo"])
def test_a_word_or_a_number_is_told(words: str) -> None:
    assert several_characters(drawing(text(words), 52).mask)


@pytest.mark.parametrize("letter", ["i", "A", "=", "%", ":", "H", "ä"])
def test_a_letter_of_several_parts_is_one_character(letter: str) -> None:
    assert not several_characters(drawing(text(letter), 52).mask)


def test_a_filled_shape_is_told(model: Oneshot) -> None:
    picture, pen = canvas()
    pen.polygon([(200, 40), (360, 360), (40, 360)], fill=0)
    assert kinds(model, picture) == {"filled"}
    outline, pen = canvas()
    pen.polygon([(200, 40), (360, 360), (40, 360)], outline=0, width=8)
    assert kinds(model, outline) == set()


def test_detail_that_runs_together_is_told(model: Oneshot) -> None:
    picture, pen = canvas()
    for k in range(10):
        inset = 40 + 16 * k
        pen.rectangle((inset, inset, 400 - inset, 400 - inset), outline=0, width=5)
    assert kinds(model, picture) == {"too-fine"}
    bars, pen = canvas()
    for k in range(12):
        pen.line((40, 40 + 28 * k, 360, 40 + 28 * k), fill=0, width=4)
    assert kinds(model, bars) == {"too-fine"}


def test_what_the_posterior_cannot_redraw_is_told(model: Oneshot) -> None:
    picture, pen = canvas()
    for row in range(7):
        for column in range(7):
            x, y = 50 + 45 * column, 50 + 45 * row
            pen.ellipse((x, y, x + 12, y + 12), fill=0)
    assert "not-redrawn" in kinds(model, picture)


def test_lost_holes_are_counted() -> None:
    shown = np.ones((40, 40), bool)
    for k in range(4):  # of 4 x 4 pixels, more than one of 20 x 20
        shown[4:8, 4 + 8 * k : 8 + 8 * k] = False
    read = np.ones((20, 20), bool)
    assert lost_holes(shown, shown) == 0
    assert lost_holes(shown, read) == 4
    read[3, 3] = read[3, 7] = False
    assert lost_holes(shown, read) == 2
    shown[20, 20] = False
    assert lost_holes(shown, read) == 2, "a pinhole does not count"


def test_depth_is_half_of_a_bar_and_the_radius_of_a_disc() -> None:
    bar = np.zeros((52, 52), bool)
    bar[10:15, 5:40] = True
    assert deepest(bar) == pytest.approx(3 / 52)
    y, x = np.mgrid[:52, :52] - 25.5
    assert deepest(np.hypot(x, y) < 20) == pytest.approx(20 / 52, abs=1 / 52)
    assert deepest(np.zeros((52, 52), bool)) == 0


def test_the_share_that_is_missed_has_its_right_value() -> None:
    bar = np.zeros((52, 52), bool)
    bar[10:14, 10:30] = True
    assert missed(bar, bar) == 0
    assert missed(bar, np.roll(bar, 1, 0)) == 0, "within a pixel of 52 it is the same"
    half = bar.copy()
    half[:, 20:] = False
    assert missed(bar, half) == pytest.approx(0.5 - 4 / 80)
    assert missed(half, bar) == missed(bar, half)
    assert missed(bar, np.roll(bar, 20, 0)) == 2
    assert missed(bar, np.zeros_like(bar)) == 2


@pytest.mark.skipif(not omniglot.is_local(None), reason="needs Omniglot")
def test_nothing_is_told_of_the_test_characters_of_weak(model: Oneshot) -> None:
    drawings = data.load("omniglot", split="weak", part="test", size=105)
    first = torch.searchsorted(drawings.character, torch.arange(len(drawings.characters)))
    exemplars = [[as_read(drawings.images[i].numpy() > 0)] for i in first]
    found = model.concerns_batch(exemplars)
    told = [name for name, each in zip(drawings.characters, found, strict=True) if each]
    assert told == []


def test_vary_tells_in_one_line_and_draws_all_the_same(tmp_path: Path) -> None:
    text("hello").save(tmp_path / "word.png")
    options = ["vary", str(tmp_path / "word.png"), "-n", "2"]
    shown = CliRunner().invoke(app, [*options, "-o", str(tmp_path / "a")])
    assert shown.exit_code == 0, shown.output
    (line,) = [line for line in shown.stderr.splitlines() if line.startswith("note: ")]
    assert line.startswith("note: word looks like several characters, which")
    quiet = CliRunner().invoke(app, [*options, "-o", str(tmp_path / "b"), "--json"])
    (made,) = json.loads(quiet.stdout)["exemplars"]
    assert [concern["kind"] for concern in made["concerns"]][:1] == ["several-characters"]
    assert len(made["variations"]) == 2
