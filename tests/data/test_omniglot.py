"""Omniglot: small made-up archives for what goes wrong, the real ones for what is in them."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from oneshot_cli.data import load, omniglot
from oneshot_cli.errors import OneshotError

ALPHABETS = {"background": {"Greek": 2, "Latin": 4}, "evaluation": {"ULOG": 1}}
Change = Callable[[dict[str, bytes]], None]


def png(number: int, size: int = 105) -> bytes:
    """A picture, one for each number: `number` dots of ink, black on white."""
    pixels = np.full((size, size), 255, np.uint8)
    pixels.reshape(-1)[: number + 1] = 0
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert("1").save(buffer, "PNG")
    return buffer.getvalue()


def write_archives(folder: Path, change: Change = lambda members: None) -> Path:
    number = 0
    for part, alphabets in ALPHABETS.items():
        members: dict[str, bytes] = {}
        for alphabet, count in alphabets.items():
            for character in range(1, count + 1):
                for drawing in range(1, 21):
                    name = f"{alphabet}/character{character:02d}/{number // 20:04d}_{drawing:02d}"
                    members[f"images_{part}/{name}.png"] = png(number)
                    number += 1
        if part == "background":
            change(members)
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(folder / f"images_{part}.zip", "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "real_data" not in request.fixturenames:
        monkeypatch.setattr(omniglot, "PARTS", ALPHABETS)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("ONESHOT_CACHE", str(folder))
    return folder


def drawn(drawings: omniglot.Drawings) -> list[int]:
    """The numbers of the pictures, as `png` wrote them."""
    return (drawings.images.sum((1, 2)) - 1).tolist()


def test_order_names_and_ink(tmp_path: Path, cache: Path) -> None:
    drawings = load("omniglot", data_dir=write_archives(tmp_path / "data"), size=105)
    assert drawn(drawings) == list(range(140))
    assert drawings.alphabets == ("Greek", "Latin", "ULOG")
    assert drawings.characters[:3] == (
        "Greek/character01",
        "Greek/character02",
        "Latin/character01",
    )
    assert drawings.alphabet.tolist() == [0, 0, 1, 1, 1, 1, 2]
    assert drawings.character.tolist() == [i // 20 for i in range(140)]


def test_files_are_found_in_a_folder_of_their_own(tmp_path: Path, cache: Path) -> None:
    write_archives(tmp_path / "omniglot")
    assert omniglot.is_local(tmp_path)
    assert len(load("omniglot", data_dir=tmp_path)) == 140
    assert not omniglot.is_local(tmp_path / "elsewhere")
    with pytest.raises(OneshotError, match=r"images_background\.zip, images_evaluation\.zip not"):
        load("omniglot", data_dir=tmp_path / "elsewhere")


def unpack(folder: Path) -> Path:
    """Unpack the archives in `folder`, as torchvision does, without leaving them. Returns it."""
    for path in folder.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        path.unlink()
    return folder


def test_torchvisions_unpacked_folders_are_the_archives(tmp_path: Path, cache: Path) -> None:
    packed = load("omniglot", data_dir=write_archives(tmp_path / "zips"), size=105)
    unpack(write_archives(tmp_path / "root" / "omniglot-py"))
    assert omniglot.is_local(tmp_path / "root")
    for place in (tmp_path / "root", tmp_path / "root" / "omniglot-py"):
        found = load("omniglot", data_dir=place, size=105)
        assert torch.equal(found.images, packed.images)
        assert found.characters == packed.characters


def test_what_is_missing_in_an_unpacked_folder_is_named(tmp_path: Path, cache: Path) -> None:
    folder = unpack(write_archives(tmp_path / "omniglot-py"))
    (drawing,) = folder.rglob("0001_07.png")
    drawing.unlink()
    with pytest.raises(OneshotError, match="19 of the 20 drawings of Greek/character02") as caught:
        load("omniglot", data_dir=tmp_path)
    assert str(folder / "images_background") in str(caught.value)
    drawing.write_bytes(png(3)[:60])
    with pytest.raises(OneshotError, match=r"0001_07\.png is not a readable picture"):
        load("omniglot", data_dir=tmp_path)
    shutil.rmtree(folder / "images_evaluation")
    with pytest.raises(OneshotError, match=r"^images_evaluation\.zip not found in .*omniglot-py,"):
        load("omniglot", data_dir=tmp_path)


def test_a_changed_drawing_in_an_unpacked_folder_is_decoded(tmp_path: Path, cache: Path) -> None:
    folder = unpack(write_archives(tmp_path / "omniglot"))
    assert drawn(load("omniglot", data_dir=tmp_path, size=105))[0] == 0
    (drawing,) = folder.rglob("0000_01.png")
    drawing.write_bytes(png(99))
    assert drawn(load("omniglot", data_dir=tmp_path, size=105))[0] == 99


def drop(pattern: str) -> Change:
    def change(members: dict[str, bytes]) -> None:
        for name in [name for name in members if pattern in name]:
            del members[name]

    return change


def replace(pattern: str, data: bytes) -> Change:
    def change(members: dict[str, bytes]) -> None:
        members.update({name: data for name in members if pattern in name})

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("Latin/character04"), r"no drawing of Latin/character04"),
        (drop("Greek"), r"no drawing of Greek/character01"),
        (drop("character02/0001_07"), r"19 of the 20 drawings of Greek/character02"),
        (replace("0001_07", png(3, size=28)), r"0001_07\.png is 28 x 28 pixels, not 105"),
        (replace("0001_07", png(3)[:60]), r"0001_07\.png is not a readable picture"),
        (replace("0001_07", b"hello"), r"0001_07\.png is not a readable picture"),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, cache: Path, change: Change, message: str
) -> None:
    folder = write_archives(tmp_path / "data", change)
    with pytest.raises(OneshotError, match=message) as caught:
        load("omniglot", data_dir=folder)
    assert str(folder / "images_background.zip") in str(caught.value)
    assert not cache.exists()


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.999])
def test_a_truncated_archive_is_refused(tmp_path: Path, cache: Path, keep: float) -> None:
    path = write_archives(tmp_path / "data") / "images_evaluation.zip"
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(OneshotError, match=r"images_evaluation\.zip is damaged"):
        load("omniglot", data_dir=path.parent)


def test_damage_inside_an_archive_is_refused(tmp_path: Path, cache: Path) -> None:
    path = write_archives(tmp_path / "data") / "images_background.zip"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(OneshotError, match=r"images_background\.zip"):
        load("omniglot", data_dir=path.parent)


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one each time that archives are decoded."""
    calls: list[int] = []
    decode = omniglot.decode

    def counted(*arguments: Any) -> Any:
        calls.append(1)
        return decode(*arguments)

    monkeypatch.setattr(omniglot, "decode", counted)
    return calls


def test_archives_are_decoded_once(tmp_path: Path, cache: Path, decodings: list[int]) -> None:
    folder = write_archives(tmp_path / "data")
    first = load("omniglot", data_dir=folder, split="weak", part="all")
    second = load("omniglot", data_dir=folder, split="weak", part="all")
    assert len(decodings) == 1
    assert torch.equal(first.images, second.images)
    assert first.characters == second.characters


def flip_a_byte(data: bytes) -> bytes:
    return data[:-2000] + bytes([data[-2000] ^ 1]) + data[-1999:]


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_byte,
        lambda data: data[:-1],
        lambda data: data[:40],
        lambda data: b"",
        lambda data: b"not a cache" * 100,
        lambda data: data.replace(b'\\"format\\": 1', b'\\"format\\": 0'),
        lambda data: data + b"x",
    ],
)
def test_a_damaged_cache_is_rebuilt(
    tmp_path: Path, cache: Path, decodings: list[int], damage: Callable[[bytes], bytes]
) -> None:
    folder = write_archives(tmp_path / "data")
    load("omniglot", data_dir=folder)
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert kept.read_bytes() != whole
    assert drawn(load("omniglot", data_dir=folder, size=105)) == list(range(140))
    assert len(decodings) == 2
    assert kept.read_bytes() == whole


def test_a_cache_of_other_archives_is_not_used(
    tmp_path: Path, cache: Path, decodings: list[int]
) -> None:
    load("omniglot", data_dir=write_archives(tmp_path / "data"))
    folder = write_archives(tmp_path / "data", replace("Greek/character01/0000_01", png(999)))
    assert drawn(load("omniglot", data_dir=folder, size=105))[0] == 999
    assert len(decodings) == 2


def test_without_a_cache_it_works_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder can be made here")
    monkeypatch.setenv("ONESHOT_CACHE", str(tmp_path / "file" / "cache"))
    assert len(load("omniglot", data_dir=write_archives(tmp_path / "data"))) == 140


def test_progress_ends_at_the_total(tmp_path: Path, cache: Path) -> None:
    told: list[tuple[int, int]] = []
    folder = write_archives(tmp_path / "data")
    load("omniglot", data_dir=folder, progress=lambda what, done, total: told.append((done, total)))
    assert told[-1] == (140, 140)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_the_real_data_set(real_data: Path) -> None:
    drawings = load("omniglot", data_dir=real_data)
    assert drawings.images.shape == (32_460, 28, 28)
    assert (len(drawings.characters), len(drawings.alphabets)) == (1623, 50)
    assert torch.bincount(drawings.character).tolist() == [20] * 1623
    assert drawings.images.float().mean().item() == pytest.approx(0.087, abs=5e-4)


def test_a_real_drawing_is_where_its_name_says(real_data: Path) -> None:
    drawings = load("omniglot", data_dir=real_data, split="strong-45-5", part="test", size=105)
    place = drawings.characters.index("Tibetan/character17")
    first = int((drawings.character == place).nonzero()[0])
    path = omniglot.DATASETS["omniglot"].obtain(real_data)[1]
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if "Tibetan/character17/" in n and ".png" in n)
        for offset in (0, 13):
            image = Image.open(io.BytesIO(archive.read(names[offset])))
            expected = torch.from_numpy(~np.asarray(image.convert("1"))).to(torch.uint8)
            assert torch.equal(drawings.images[first + offset], expected)


def test_real_drawings_at_52(real_data: Path) -> None:
    large = load("omniglot", data_dir=real_data, split="weak", part="test", size=105)
    at_52 = load("omniglot", data_dir=real_data, split="weak", part="test", size=52)
    assert len(at_52) == 3000
    assert torch.equal(large.resized(52).images, at_52.images)
    # The whole data set's is 0.0895; characters 01 to 03 are simpler than most.
    assert at_52.images.float().mean().item() == pytest.approx(0.0869, abs=5e-4)
