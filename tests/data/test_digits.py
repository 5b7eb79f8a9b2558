"""MNIST in its binarizations, and Burda's Omniglot: real files where at hand, else made-up ones."""

from __future__ import annotations

import gzip
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from oneshot_cli.data import burda, load, mnist, mnist_static, mnist_two
from oneshot_cli.data.catalogue import DATASETS
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.episodes import Episodes, TaskMix
from oneshot_cli.errors import OneshotError

IDX = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]) + bytes(range(24))


def grey(value: int = 64, count: int = 40, side: int = 10) -> Drawings:
    return Drawings(
        images=torch.full((count, side, side), value, dtype=torch.uint8),
        character=torch.arange(2).repeat_interleave(count // 2),
        alphabet=torch.zeros(2, dtype=torch.long),
        characters=("a/0", "a/1"),
        alphabets=("a",),
        levels=256,
    )


def test_an_idx_file_is_read_gzipped_or_not(tmp_path: Path) -> None:
    expected = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    for name, data in (("raw", IDX), ("packed.gz", gzip.compress(IDX, mtime=0))):
        (tmp_path / name).write_bytes(data)
        assert np.array_equal(mnist.read_idx(tmp_path / name, md5(IDX).hexdigest()), expected)


@pytest.mark.parametrize(
    "data",
    [
        IDX[:-1],
        gzip.compress(IDX, mtime=0)[:-9],
        gzip.compress(IDX, mtime=0)[:20],
        b"\x1f\x8b",
        b"",
    ],
)
def test_a_damaged_idx_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file.gz").write_bytes(data)
    with pytest.raises(OneshotError, match=r"file\.gz"):
        mnist.read_idx(tmp_path / "file.gz", md5(IDX).hexdigest())


def test_digits_are_sorted_into_characters() -> None:
    labels = torch.tensor([7, 0, 7, 3, 0])
    images = torch.arange(5, dtype=torch.uint8)[:, None, None].expand(5, 2, 2)
    drawings = mnist.by_label(images, labels, "digits")
    assert drawings.images[:, 0, 0].tolist() == [1, 4, 3, 0, 2]
    assert drawings.character.tolist() == [0, 0, 1, 2, 2]
    assert drawings.characters == ("digits/0", "digits/3", "digits/7")


def test_dynamic_draws_anew_at_each_visit_and_once_for_the_test() -> None:
    train = mnist.binarized(grey(), "dynamic", test=False)
    generator = torch.Generator().manual_seed(0)
    first, second = (train.visit(torch.arange(40), generator) for _ in range(2))
    assert set(first.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(first, second)
    assert first.mean().item() == pytest.approx(64 / 255, abs=4 * (0.19 / 4000) ** 0.5)
    test = mnist.binarized(grey(), "dynamic", test=True)
    assert (test.levels, test.dynamic) == (2, False)
    assert torch.equal(test.images, mnist.binarized(grey(), "dynamic", test=True).images)
    assert test.images.float().mean().item() == pytest.approx(64 / 255, abs=0.03)


def test_dynamic_keeps_paper_and_ink() -> None:
    for value, ink in ((0, 0.0), (255, 1.0)):
        drawn = mnist.binarized(grey(value), "dynamic", test=True)
        assert drawn.images.float().mean().item() == ink


def test_episodes_of_a_dynamic_set_are_binary_and_a_function_of_the_step() -> None:
    drawings = mnist.binarized(grey(), "dynamic", test=False)
    episodes = Episodes(drawings, TaskMix(), seed=3)
    episode, again = episodes.batch(5, 8), episodes.batch(5, 8)
    assert set(episode.target.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(episode.target, again.target)


def test_threshold_and_none() -> None:
    assert mnist.binarized(grey(128), "threshold", test=False).images.min() == 1
    assert mnist.binarized(grey(127), "threshold", test=False).images.max() == 0
    assert mnist.binarized(grey(), "none", test=True).levels == 256
    with pytest.raises(OneshotError, match="dynamic, threshold, none"):
        mnist.binarized(grey(), "static", test=False)


def test_grey_drawings_are_resized_as_grey() -> None:
    assert grey(77).resized(4).images.unique().tolist() == [77]


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_torchvisions_folder_is_found_and_missing_labels_are_named(
    tmp_path: Path, ending: str
) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    stems = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    for stem in stems:
        (raw / f"{stem}-ubyte{ending}").touch()
    for root in (tmp_path, tmp_path / "MNIST", raw):
        assert DATASETS["mnist"].local_files(root) == [raw / f"{s}-ubyte{ending}" for s in stems]
    for stem in stems[1::2]:
        (raw / f"{stem}-ubyte{ending}").unlink()
    missing = r"^train-labels-idx1-ubyte\.gz, t10k-labels-idx1-ubyte\.gz not found in .*raw, beside"
    with pytest.raises(OneshotError, match=missing):
        load("mnist", data_dir=tmp_path)


def test_the_real_digits(real_data: Path) -> None:
    train = load("mnist", data_dir=real_data)
    assert train.images.shape == (60_000, 28, 28)
    assert train.dynamic
    assert train.images.float().mean().item() / 255 == pytest.approx(0.1307, abs=1e-4)
    test = load("mnist", data_dir=real_data, part="test")
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert torch.bincount(test.character).tolist() == counts
    assert test.images.max() == 1
    with pytest.raises(OneshotError, match="its splits: official"):
        load("mnist", data_dir=real_data, split="weak")


def test_static_rows_are_read_and_counted(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 2, (3, 784))
    path = tmp_path / "file.amat"
    text = "\n".join(" ".join(map(str, row)) + " " for row in pixels.tolist())
    path.write_text(text)
    assert np.array_equal(mnist_static.read_amat(path, 3).numpy().reshape(3, 784), pixels)
    for damaged in (text[:-4], text.replace("1", "2", 1), text + "\n0.5"):
        path.write_text(damaged)
        with pytest.raises(OneshotError, match="3 binary images"):
            mnist_static.read_amat(path, 3)


def test_static_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"train": 4, "valid": 3, "test": 2}
    monkeypatch.setattr(mnist_static, "COUNTS", counts)
    for number, (part, count) in enumerate(counts.items()):
        row = "1 " * number + "0 " * (784 - number)
        (tmp_path / f"binarized_mnist_{part}.amat").write_text(f"{row}\n" * count)
    for part, ink in (("train", [0] * 4), ("test", [2] * 2), ("all", [0] * 4 + [1] * 3 + [2] * 2)):
        drawings = load("mnist-static", data_dir=tmp_path, part=part)
        assert drawings.images.sum((1, 2)).tolist() == ink


def test_burdas_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(burda, "COUNTS", {"": 3, "test": 1})
    images = np.random.default_rng(0).random((3, 28, 28))
    columns = images.transpose(0, 2, 1).reshape(3, 784).T  # as the file has it
    alphabets = np.eye(50)[:, [4, 1, 1]]
    content = {"data": columns, "target": alphabets, "targetchar": np.array([[2, 9, 3]])}
    content |= {f"test{name}": value[:, :1] for name, value in content.items()}
    savemat(tmp_path / "chardata.mat", content)
    drawings = load("omniglot-burda", data_dir=tmp_path, binarization="none")
    assert drawings.characters == (
        "alphabet02/character03",
        "alphabet02/character09",
        "alphabet05/character02",
    )
    assert drawings.alphabet.tolist() == [0, 0, 1]
    assert np.array_equal(drawings.images.numpy(), np.round(255 * images[[2, 1, 0]]))
    assert load("omniglot-burda", data_dir=tmp_path, part="test").images.max() == 1
    (tmp_path / "chardata.mat").write_bytes(b"MATLAB 5.0 MAT-file, cut" * 9)
    with pytest.raises(OneshotError, match="damaged or not a MATLAB"):
        load("omniglot-burda", data_dir=tmp_path)
    savemat(tmp_path / "chardata.mat", {"data": columns})
    with pytest.raises(OneshotError, match="not Burda's"):
        load("omniglot-burda", data_dir=tmp_path)


def test_two_digits_on_a_canvas() -> None:
    digits = torch.full((400, 4, 4), 150, dtype=torch.uint8)
    first, second = (
        mnist_two.pairs(digits, torch.Generator().manual_seed(seed), 10) for seed in (0, 0)
    )
    assert torch.equal(first, second)
    assert set(first.unique().tolist()) <= {0, 150, 255}
    covered = (first > 0).sum((1, 2))
    overlap = (first == 255).sum((1, 2))
    assert torch.equal(covered + overlap, torch.full((400,), 32))
    assert (first > 0).any(0).all()  # a digit may lie anywhere


def test_two_real_digits(real_data: Path) -> None:
    drawings = load("mnist-two", data_dir=real_data, part="test")
    assert drawings.images.shape == (10_000, 60, 60)
    assert 1.9 < drawings.images.float().sum((1, 2)).mean() / 103.9 < 2.0
