"""CIFAR-10 and SVHN, from small files made as the official ones are."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from oneshot_cli.data import cifar10, load, svhn
from oneshot_cli.data.episodes import Episodes, TaskMix
from oneshot_cli.errors import OneshotError

COUNT = 4


def cifar_archive(folder: Path, names: tuple[str, ...] = cifar10.TRAIN + cifar10.TEST) -> Path:
    """Pictures whose red is their place in the archive, green 100, and blue their row."""
    path = folder / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for batch, name in enumerate(names):
            records = np.zeros((COUNT, 3073), np.uint8)
            for place in range(COUNT):
                red = np.full(1024, COUNT * batch + place)
                blue = np.arange(32).repeat(32)
                records[place] = np.concatenate([[9 - place], red, np.full(1024, 100), blue])
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = records.size
            archive.addfile(info, io.BytesIO(records.tobytes()))
    return path


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "BATCH", COUNT)
    monkeypatch.setattr(svhn, "COUNTS", {"train": 3, "test": 2})


def test_cifar_pictures_labels_and_parts(tmp_path: Path) -> None:
    cifar_archive(tmp_path)
    train = load("cifar10", data_dir=tmp_path)
    assert train.images.shape == (20, 3, 32, 32)
    assert (train.channels, train.levels, train.dynamic) == (3, 256, False)
    assert train.characters == tuple(f"things/{label}" for label in (6, 7, 8, 9))
    assert train.images[:5, 0, 0, 0].tolist() == [3, 7, 11, 15, 19]  # the label-6 one of each batch
    assert train.images[0, 2, :, 5].tolist() == list(range(32))
    assert load("cifar10", data_dir=tmp_path, part="test").images[:, 0, 0, 0].tolist() == [
        23,
        22,
        21,
        20,
    ]
    assert load("cifar10", data_dir=tmp_path, size=16).images.shape == (20, 3, 16, 16)


def test_episodes_in_colour(tmp_path: Path) -> None:
    cifar_archive(tmp_path)
    drawings = load("cifar10", data_dir=tmp_path)
    episode = Episodes(drawings, TaskMix.of_task(2), seed=0).batch(0, 5)
    assert episode.target.shape == (5, 3, 32, 32)
    assert episode.context.shape[2:] == (3, 32, 32)
    expected = drawings.images[episode.index].float() / 255
    assert torch.equal(episode.target, expected)


def test_a_cifar_archive_that_lacks_something(tmp_path: Path) -> None:
    path = cifar_archive(tmp_path, cifar10.TRAIN[:4] + cifar10.TEST)
    with pytest.raises(OneshotError, match=r"no data_batch_5\.bin"):
        load("cifar10", data_dir=tmp_path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(OneshotError, match="damaged"):
        load("cifar10", data_dir=tmp_path)


def test_svhn(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 3), dtype=np.uint8)
    for part, count in svhn.COUNTS.items():
        content = {"X": pictures[..., :count], "y": np.array([[10], [2], [1]])[:count]}
        savemat(tmp_path / f"{part}_32x32.mat", content)
    train = load("svhn", data_dir=tmp_path)
    assert train.characters == ("house numbers/0", "house numbers/1", "house numbers/2")
    expected = torch.from_numpy(pictures.transpose(3, 2, 0, 1).copy())
    assert torch.equal(train.images, expected[[0, 2, 1]])
    assert len(load("svhn", data_dir=tmp_path, part="all")) == 5
    savemat(tmp_path / "test_32x32.mat", {"X": pictures, "y": np.zeros(3)})
    with pytest.raises(OneshotError, match="2 cropped digits of SVHN: X is"):
        load("svhn", data_dir=tmp_path, part="test")
