"""sample, alphabet, animate and info, from the command line to the files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import document, draw, levels, names, oneshot
from PIL import Image
from tiny import tiny_drawings, tiny_model

from oneshot_cli import checkpoint, data
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.drawing import oneshot as api
from oneshot_cli.imaging.rendering import inked
from oneshot_cli.model import VAEConfig, build


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
        assert film.n_frames == content["frames"] == 4 + 1, "steps, and the drawing with a pen"
        assert film.size == (content["width"], content["height"])
    assert content["bytes"] == out.stat().st_size
    assert "exists already" in oneshot("animate", glyph, "-c", weights, "-o", out, code=1).stderr


def test_animate_and_vary_pass_over_what_was_drawn_before(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "a.png", 0)
    found = []
    for command in ("vary", "animate", "vary", "animate"):
        result = oneshot(command, ".", "-n", "1", "--size", "28", "-c", weights, "--json")
        found.append(document(result)["exemplars"])
    assert len(list((tmp_path / "out").iterdir())) == 4
    assert [len(each) if isinstance(each, list) else each for each in found] == [1, 1, 1, 1]


def test_animate_without_exemplars_and_with_reconstruction(
    glyph: Path, weights: Path, tmp_path: Path
) -> None:
    oneshot("animate", "-n", "3", "-c", weights, "-o", tmp_path / "free.gif", "--no-windows")
    words = ("-n", "1", "-c", weights, "--reconstruct", "--fade")
    oneshot("animate", glyph, "-o", tmp_path / "again.gif", *words)
    with Image.open(tmp_path / "free.gif") as film:
        assert film.n_frames == 4 + 1
    oneshot("animate", "--reconstruct", "-o", tmp_path / "no.gif", code=2)
    refused = oneshot("animate", "-c", weights, "-o", tmp_path / "film.avi", code=1)
    assert "ends in .gif" in refused.stderr


def test_info_says_what_reads_the_description_of_a_video(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"a video")
    assert "ffprobe" in oneshot("info", tmp_path / "film.mp4", code=2).stderr


def test_info_tells_what_a_checkpoint_is(weights: Path) -> None:
    text = oneshot("info", weights).stdout
    for told in ("glyphs", "1,234", "2 h 02 min", "-81.25", "9.8.7", "steps: 4"):
        assert told in text
    first, fields = re.split(r"\n *\n", text, maxsplit=1)
    for told in (
        "28 x 28 pixels",
        "glyphs; 1,234 iterations in 2 h 02 min",
        "-log p <= 81.25 nats",
    ):
        assert told in " ".join(first.split()), "what matters comes first"
    assert "iterations: 1,234" in fields
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
    refused = oneshot("animate", glyph, "-c", path, "--force", code=1)
    assert "model without a context" in refused.stderr
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
