"""Files that are made to hang a reader or to fill the memory are refused before they do."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from oneshot_cli import checkpoint
from oneshot_cli.data import cifar10, load, mnist, svhn
from oneshot_cli.data.archives import opened_zip, tar_members, zip_member
from oneshot_cli.data.matlab import loadmat
from oneshot_cli.errors import OneshotError
from oneshot_cli.files import read_file, regular_file
from oneshot_cli.imaging.reading import read_picture

NEEDS_PROC = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
PEAK = """
{code}
for line in open("/proc/self/status"):
    if line.startswith("VmHWM:"):
        print(int(line.split()[1]) // 1024)
"""


def memory(code: str) -> int:
    """The most memory, in MB, of a process that runs `code`."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK.format(code=code)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize(
    "read",
    [regular_file, checkpoint.read_header, read_picture, lambda path: mnist.read_idx(path, "")],
)
def test_a_pipe_is_refused_and_not_waited_for(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OneshotError, match="pipe is not a regular file"):
        read(tmp_path / "pipe")


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(100))
    assert read_file(tmp_path / "file", 100) == bytes(100)
    with pytest.raises(OneshotError, match="more than 99 bytes"):
        read_file(tmp_path / "file", 99)
    with pytest.raises(OneshotError, match="is a folder"):
        read_file(tmp_path, 99)
    with pytest.raises(OneshotError, match="no such file"):
        read_file(tmp_path / "none", 99)


@NEEDS_PROC
def test_a_picture_a_pixel_high_takes_little_memory(tmp_path: Path) -> None:
    Image.new("1", (60_000, 1), 1).save(tmp_path / "blank.png")
    line = Image.new("L", (60_000, 1), 255)
    line.paste(0, (20_000, 0, 30_000, 1))
    line.save(tmp_path / "long.png")
    with pytest.raises(OneshotError):
        load("folder", data_dir=tmp_path)
    (tmp_path / "blank.png").unlink()
    code = f"""
from oneshot_cli.data import load
from oneshot_cli.errors import OneshotError
try:
    load("folder", data_dir={str(tmp_path)!r})
except OneshotError:
    pass
"""
    assert memory(code) < 900


@NEEDS_PROC
@pytest.mark.parametrize("mode", ["RGBA", "I;16"])
def test_a_large_picture_is_read_in_bands(tmp_path: Path, mode: str) -> None:
    """One of 25 million pixels: a whole copy of it in RGBA would take 100 MB more."""
    levels = np.full((5000, 5000), 255, np.uint8)
    levels[1000:4000, 2000:2600] = 0
    picture = Image.fromarray(levels)
    if mode == "I;16":
        picture = Image.fromarray(levels.astype(np.uint16) * 257)
    picture.convert(mode).save(tmp_path / "a.png", compress_level=1)
    code = f"""
from oneshot_cli.imaging.reading import read_picture
read_picture({str(tmp_path / "a.png")!r})
"""
    assert memory(code) < 230
    found = read_picture(tmp_path / "a.png").mean(-1)
    expected = np.asarray(Image.fromarray(levels).resize((800, 800), Image.Resampling.BOX)) / 255
    if mode == "RGBA":  # deep pictures are reduced by a whole factor first
        assert np.abs(found - expected).max() < 0.01
    assert found.mean() == pytest.approx(expected.mean(), abs=0.002)


@pytest.mark.parametrize(
    "text",
    [
        '<svg xmlns="http://www.w3.org/2000/svg" width="1000000" height="1000000"/>',
        '<svg xmlns="http://www.w3.org/2000/svg">' + "<g>" * 100_000 + "</g>" * 100_000 + "</svg>",
    ],
    ids=["large", "deep"],
)
def test_an_svg_that_ends_the_renderer_is_refused(text: str) -> None:
    with pytest.raises(OneshotError, match="too large, or nested too deep"):
        read_picture(text.encode())


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(bytes(100_000_000)))
    with pytest.raises(OneshotError, match=r"a\.gz holds more than"):
        mnist.read_idx(tmp_path / "a.gz", "")


def test_a_tar_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        info = tarfile.TarInfo("large")
        info.size = 300_000_000
        file.write(info.tobuf())
        for _ in range(300):
            file.write(bytes(1_000_000))
    with pytest.raises(OneshotError, match=r"a\.tar\.gz: it holds more than"):
        cifar10.read(path, cifar10.TEST)
    name = tarfile.TarInfo("name")  # of 8 GB
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 8_000_000_000
    path.write_bytes(gzip.compress(name.tobuf() + bytes(1000)))
    with pytest.raises(OneshotError, match=r"a\.tar\.gz: it holds more than"):
        cifar10.read(path, cifar10.TEST)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["test_batch.bin", "missing", "../../../etc/passwd"])
def test_links_in_a_tar_archive_are_not_followed(tmp_path: Path, kind: bytes, target: str) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("test_batch.bin")
        link.type, link.linkname = kind, target
        archive.addfile(link)
    assert tar_members(tmp_path / "a.tar", {"test_batch.bin": 0}, 10_000) == {}


def test_members_of_a_zip_archive_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bomb", bytes(10_000_000), zipfile.ZIP_DEFLATED)
        archive.writestr("odd", b"x" * 100, zipfile.ZIP_LZMA)
        archive.writestr("secret", b"abc")
        archive.writestr("good", b"abc", zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.index(b"secret") if mark[2] == 3 else data.rindex(b"secret")
        data[data.rindex(mark, 0, place) + offset] |= 1
    path.write_bytes(data)
    with opened_zip(path) as archive:
        assert zip_member(archive, "good", 3) == b"abc"
        for name, why in (
            ("bomb", "has more than 1,000 bytes"),
            ("odd", "is compressed in an unusual way"),
            ("secret", "is encrypted"),
            ("none", "is missing"),
        ):
            with pytest.raises(OneshotError, match=rf"a\.zip: {name} {why}"):
                zip_member(archive, name, 1_000)


def test_a_matlab_bomb_is_not_unpacked(tmp_path: Path) -> None:
    large = zlib.compress(bytes(300_000_000), 1)
    buffer = io.BytesIO()
    savemat(buffer, {"x": np.arange(6).reshape(2, 3)}, do_compression=True)
    bomb = (15).to_bytes(4, "little") + len(large).to_bytes(4, "little") + large
    content = buffer.getvalue()
    (tmp_path / "a.mat").write_bytes(content[:128] + content[128:])
    found = loadmat(tmp_path / "a.mat", {"x": (2, 3)}, "it")
    assert found["x"].tolist() == [[0, 1, 2], [3, 4, 5]]
    (tmp_path / "a.mat").write_bytes(content[:128] + bomb + content[128:])
    with pytest.raises(OneshotError, match="damaged"):
        loadmat(tmp_path / "a.mat", {"x": (2, 3)}, "it")


def test_svhn_with_too_few_labels_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(svhn, "COUNTS", {"train": 5, "test": 5})
    for part in svhn.COUNTS:
        content = {"X": np.zeros((32, 32, 3, 5), np.uint8), "y": np.array([[1], [2]])}
        savemat(tmp_path / f"{part}_32x32.mat", content)
    with pytest.raises(OneshotError, match=r"y is \(2, 1\), not \(5, 1\)"):
        load("svhn", data_dir=tmp_path)
