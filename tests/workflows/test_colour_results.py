"""DRAW in colour: train, measure, and show samples beside the nearest training pictures.

The files are made up, in the form of the official ones.
"""

from __future__ import annotations

import io
import math
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import document, oneshot
from PIL import Image
from scipy.io import savemat

from oneshot_cli import load
from oneshot_cli.data import cifar10, svhn
from oneshot_cli.data import load as load_data
from oneshot_cli.imaging.distances import nearest_in_colour

COUNT = 4


def scenes(count: int) -> np.ndarray:
    """(count, 3, 32, 32): a disc on a ground, each of a colour of its own."""
    generator = np.random.default_rng(0)
    row, column = np.mgrid[:32, :32]
    pictures = np.empty((count, 3, 32, 32), np.uint8)
    for picture in pictures:
        ground, disc = generator.integers(0, 256, (2, 3, 1, 1))
        y, x, radius = generator.integers(8, 24, 3)
        inside = (row - y) ** 2 + (column - x) ** 2 < radius**2 / 4
        picture[:] = np.where(inside, disc, ground)
    return pictures


def write_cifar10(folder: Path) -> None:
    pictures = scenes(6 * COUNT).reshape(-1, COUNT, 3072)
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for batch, name in zip(pictures, cifar10.TRAIN + cifar10.TEST, strict=True):
            records = np.concatenate([np.arange(COUNT, dtype=np.uint8)[:, None], batch], 1)
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = records.size
            archive.addfile(info, io.BytesIO(records.tobytes()))


def write_svhn(folder: Path) -> None:
    for part, count in {"train": 20, "test": 4}.items():
        content = {"X": scenes(count).transpose(2, 3, 1, 0), "y": np.arange(count)[:, None] % 9 + 1}
        savemat(folder / f"{part}_32x32.mat", content)


@pytest.mark.parametrize(("name", "write"), [("cifar10", write_cifar10), ("svhn", write_svhn)])
def test_samples_in_colour_stand_beside_the_nearest_training_pictures(
    name: str, write: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar10, "BATCH", COUNT)
    monkeypatch.setattr(svhn, "COUNTS", {"train": 20, "test": 4})
    monkeypatch.setenv("ONESHOT_DATA", str(tmp_path))
    assert callable(write)
    write(tmp_path)
    small = ("--steps", "3", "--hidden", "12", "--latent", "4", "--glimpse", "5", "--patch", "5")
    words = ("--batch", "4", "--iterations", "3", "--validation", "0", "--threads", "1")
    run = tmp_path / "run"
    oneshot("train", "--dataset", name, "--model", "draw-64-gauss", *small, *words, "-o", run)
    weights = run / "last.safetensors"
    measured = document(oneshot("eval-nll", weights, "--particles", "1", "--json"))
    assert math.isfinite(measured["results"][0]["elbo"]["nats"])
    sheet = tmp_path / "samples.png"
    drawn = document(
        oneshot("sample", "-n", "4", "-c", weights, "--nearest", "-o", sheet, "--json")
    )
    pictures = load(weights).sample(4)
    assert pictures.shape == (4, 3, 32, 32)
    known = load_data(name).pictures(torch.arange(20))
    off = (pictures[:, None] - known).square().mean((2, 3, 4)).sqrt()
    assert [row["distance"] for row in drawn["nearest"]] == pytest.approx(
        off.min(1).values.tolist(), abs=1e-3
    )
    with Image.open(sheet) as picture:
        right = np.asarray(picture.convert("RGB"))[:, picture.width // 2 :].reshape(-1, 3)
    for index in off.argmin(1):  # each is there, in its colours
        ground = load_data(name).images[index][:, 0, 0].numpy()
        assert (right == ground).all(1).any()


def test_a_copy_is_nearest_to_its_original_in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneshot_cli.imaging.distances.TOGETHER", 3)
    images = torch.from_numpy(scenes(10))
    index, distance = nearest_in_colour(images[[7, 0, 4]] / 255, images)
    assert index.tolist() == [7, 0, 4]
    assert distance.abs().max() < 1e-6
