"""The readers that are fuzzed, and the small intact files that the damage starts from."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.io import savemat

from benchmarks.reliability.fuzz import Damage, Seed, Target
from benchmarks.reliability.mutation import damaged_json
from oneshot_cli import checkpoint
from oneshot_cli.data import burda, cifar10, folder, mnist, mnist_static, omniglot, svhn
from oneshot_cli.data.splits import Selection
from oneshot_cli.evaluation import classification
from oneshot_cli.evaluation.critics import WIDTHS, Critic, load_critic, save_critic
from oneshot_cli.experiment import Experiment
from oneshot_cli.imaging.exemplar import exemplar
from oneshot_cli.imaging.formats import about_of
from oneshot_cli.imaging.reading import read_picture
from oneshot_cli.model import build, config_from
from oneshot_cli.pad.requests import Wanted, document
from oneshot_cli.training import state
from oneshot_cli.training.averaging import WeightAverage
from oneshot_cli.training.folder import RunFolder

COUNT = 4
"""Pictures in a batch of the small data sets."""

FIELDS: dict[str, Any] = {
    **{"size": 14, "steps": 2, "latent": 2, "hidden": 6, "glimpse": 4, "patch": 4},
    **{"context_units": 4, "posterior_units": 4, "image_encoder_channels": 2},
}
EXPERIMENT: dict[str, Any] = {
    "model": {"kind": "sequential", **FIELDS},
    "training": {"iterations": 10, "batch": 2},
    "data": {"dataset": "glyphs", "split": "weak", "size": 14, "alphabets": 2, "seed": 1},
}


# Pictures


def drawn(mode: str = "L", size: tuple[int, int] = (40, 36)) -> Image.Image:
    """A picture of a bent stroke."""
    picture = Image.new("L", size, 250)
    ImageDraw.Draw(picture).line([(8, 6), (30, 12), (12, 30)], fill=20, width=4)
    return picture.convert(mode)


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def pictures() -> list[Seed]:
    """A picture of every format and kind."""
    deep = Image.fromarray(np.asarray(drawn()).astype(np.uint16) * 257)
    frames = [drawn("L"), drawn("L").rotate(90)]
    exif = Image.Exif()
    exif[0x0112] = 6
    found = [
        encoded(drawn("1"), "PNG"),
        encoded(drawn("RGBA"), "PNG"),
        encoded(drawn("P"), "PNG", transparency=0),
        encoded(deep, "PNG"),
        encoded(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        encoded(drawn("RGB"), "JPEG", exif=exif),
        encoded(drawn("CMYK"), "JPEG", progressive=True),
        encoded(Image.new("L", (30, 30), 9), "GIF", save_all=True, append_images=frames),
        encoded(drawn("RGB"), "BMP"),
        encoded(deep, "TIFF"),
        encoded(drawn("RGB"), "TIFF", compression="tiff_lzw"),
        encoded(drawn("L"), "TIFF", compression="jpeg", save_all=True, append_images=frames),
        encoded(drawn("F"), "TIFF"),
        encoded(drawn("RGBA"), "WEBP", lossless=True),
        encoded(drawn("RGB"), "WEBP", save_all=True, append_images=[drawn("RGB")]),
        encoded(drawn("1"), "PPM"),
        encoded(drawn("RGB"), "PPM"),
        encoded(drawn("RGBA"), "ICO", sizes=[(16, 16), (32, 32)]),
    ]
    found += _heic()
    seeds = [Seed(content) for content in found]
    return seeds + [Seed(content, checked_png) for content in found if content[1:4] == b"PNG"]


def _heic() -> list[bytes]:
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return []
    register_heif_opener()
    return [encoded(drawn("RGB"), "HEIF", quality=40)]


def checked_png(data: bytes) -> bytes:
    """A damaged PNG with right checksums, as far as its chunks can be followed."""
    found, at = bytearray(data), 8
    while at + 12 <= len(found):
        (size,) = struct.unpack(">I", found[at : at + 4])
        end = at + 8 + size
        if end + 4 > len(found):
            break
        found[end : end + 4] = struct.pack(">I", zlib.crc32(found[at + 4 : end]))
        at = end + 4
    return bytes(found)


SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" width="60" height="50" viewBox="0 0 60 50">
<defs><filter id="f"><feGaussianBlur stdDeviation="1"/></filter></defs>
<g id="ink" transform="rotate(3)"><path d="M9 6 L40 12 Q20 20 12 40" fill="none" stroke="#111"
stroke-width="4" filter="url(#f)"/><use href="#ink2"/></g><circle id="ink2" r="3"/></svg>"""


# Checkpoints, states and what a run's folder has


@cache
def small_checkpoint() -> bytes:
    model = build(config_from("sequential", dict(FIELDS)))
    data, training = EXPERIMENT["data"], EXPERIMENT["training"]
    header = checkpoint.Header(
        model.config, data, training, {"held_out_bound": -80.5}, {"spread": 1.0}, "0.1.0"
    )
    with TemporaryDirectory() as folder:
        checkpoint.save(Path(folder) / "a.safetensors", model, header)
        return (Path(folder) / "a.safetensors").read_bytes()


def _small_run() -> tuple[torch.nn.Module, WeightAverage[Any], torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = build(config_from("sequential", dict(FIELDS)))
    return model, WeightAverage(model, 0.9), torch.optim.AdamW(model.parameters(), fused=True)


@cache
def small_state() -> bytes:
    model, average, optimizer = _small_run()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        state.save(path, model, average, optimizer, state.Counters(3, 1.5, 0, -80.0))
        return path.read_bytes()


def split_safetensors(content: bytes) -> tuple[bytes, bytes]:
    """The JSON header of a safetensors file, and the bytes after it."""
    (size,) = struct.unpack("<Q", content[:8])
    return content[8 : 8 + size], content[8 + size :]


def safetensors_seeds(content: bytes, key: str) -> list[Seed]:
    """A file damaged anywhere, in its JSON header, or in the JSON that oneshot keeps in that."""
    header, rest = split_safetensors(content)
    outer = json.loads(header)

    def with_header(damage: bytes) -> bytes:
        return struct.pack("<Q", len(damage)) + damage + rest

    def with_own(own: bytes) -> bytes:
        text = own.decode("utf-8", "replace")
        metadata = {**outer["__metadata__"], key: text}
        return with_header(json.dumps({**outer, "__metadata__": metadata}).encode())

    own = outer["__metadata__"][key].encode()
    return [
        Seed(content),
        Seed(header, with_header, damaged_json),
        Seed(own, with_own, damaged_json),
        Seed(own, with_own, damaged_json),
    ]


def resume(path: Path) -> None:
    """Restore a state into a small run, and make one step."""
    model, average, optimizer = _small_run()
    state.read(path).restore(model, average, optimizer)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()


def metrics(path: Path) -> None:
    """Read the metrics of a run, and drop the rows of repeated iterations."""
    run = RunFolder(path.parent)
    run.drop_rows_after(5)
    run.rows()


def metrics_rows() -> bytes:
    rows = [{"step": n, "bound": -100.0 + n, "kl": 3.5, "seconds": 0.1 * n} for n in range(1, 9)]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def critic() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        save_critic(path, "protonet", Critic(WIDTHS["protonet"]), {"seed": 1})
        return path.read_bytes()


def request(path: Path) -> None:
    """A request of the pad's page."""
    Wanted.of(document(path.read_bytes()))


REQUEST: dict[str, Any] = {
    "letters": [{"strokes": [[[0.1, 0.2], [0.5, 0.5]]], "width": 0.05}],
    **{"mode": "variations", "seed": 3, "spread": 1.0, "closeness": 0.5},
}


# Data sets, made small


@contextmanager
def small_data_sets() -> Iterator[None]:
    """The readers of data sets expect few pictures while the block runs."""
    with ExitStack() as stack:
        changes: tuple[tuple[Any, str, Any], ...] = (
            (cifar10, "BATCH", COUNT),
            (svhn, "COUNTS", {"train": COUNT, "test": COUNT}),
            (burda, "COUNTS", {"": COUNT, "test": COUNT}),
            (mnist_static, "COUNTS", dict.fromkeys(("train", "valid", "test"), COUNT)),
            (omniglot, "PARTS", {"background": {"Latin": 1}}),
        )
        for module, name, value in changes:
            stack.enter_context(patch.object(module, name, value))
        yield


def small(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """`read`, with small data sets."""

    def reader(path: Path) -> Any:
        with small_data_sets():
            return read(path)

    return reader


def zipped(name: str, others: dict[str, bytes], data: bytes) -> bytes:
    """A zip archive with `data` in the file `name`, beside the files `others`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in {**others, name: data}.items():
            archive.writestr(member, content)
    return buffer.getvalue()


def omniglot_seeds() -> list[Seed]:
    square = encoded(drawn("1", (105, 105)), "PNG")
    files = {f"images/Latin/character01/{n:02d}.png": square for n in range(omniglot.DRAWINGS)}
    first = next(iter(files))
    whole = zipped(first, files, square)
    odd = [_odd_zip(files, kind) for kind in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)]
    return [
        Seed(whole),
        Seed(whole),
        Seed(square, partial(zipped, first, files)),
        Seed(square, lambda data: zipped(first, files, checked_png(data))),
        *(Seed(other, intact=False) for other in odd),
    ]


def _odd_zip(files: dict[str, bytes], kind: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def runs_seeds() -> list[Seed]:
    square = encoded(drawn("1", (105, 105)), "PNG")
    pairs = [(f"run01/test/{n}.png", f"run01/training/{n}.png") for n in range(3)]
    labels = "\n".join(f"{a} {b}" for a, b in pairs).encode()
    files = {name: square for pair in pairs for name in pair}
    name = "run01/class_labels.txt"
    whole = zipped(name, files, labels)
    first = pairs[0][0]
    return [
        Seed(whole),
        Seed(labels, partial(zipped, name, files)),
        Seed(square, partial(zipped, first, {**files, name: labels})),
    ]


def cifar_seeds() -> list[Seed]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("readme-ä.html", *cifar10.TEST):
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = COUNT * cifar10.RECORD
            archive.addfile(info, io.BytesIO(bytes(info.size)))
        for kind, name in ((tarfile.SYMTYPE, "a"), (tarfile.LNKTYPE, "b")):
            link = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            link.type, link.linkname = kind, cifar10.TEST[0]
            archive.addfile(link)
    plain = buffer.getvalue()
    return [
        Seed(plain, checked_tar),
        Seed(plain),
        Seed(plain, gzip.compress),
        Seed(_gzipped(plain)),
    ]


def _gzipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def checked_tar(data: bytes) -> bytes:
    """A damaged tar archive whose blocks that look like headers have right checksums."""
    found = bytearray(data)
    for at in range(0, len(found) - 511, 512):
        block = found[at : at + 512]
        if block[257:262] == b"ustar":
            block[148:156] = b" " * 8
            found[at + 148 : at + 156] = b"%06o\0 " % sum(block)
    return bytes(found)


def matlab(content: dict[str, Any], *, compressed: bool) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, content, do_compression=compressed)
    return buffer.getvalue()


def packed_matlab(data: bytes) -> bytes:
    """An uncompressed MATLAB file with each of its elements compressed."""
    found, at = bytearray(data[:128]), 128
    while at + 8 <= len(data):
        _, size = struct.unpack("<II", data[at : at + 8])
        element = zlib.compress(data[at : at + 8 + size], 1)
        found += struct.pack("<II", 15, len(element)) + element
        at += 8 + size
    return bytes(found)


def matlab_seeds(content: dict[str, Any]) -> list[Seed]:
    plain = matlab(content, compressed=False)
    return [Seed(plain), Seed(plain, packed_matlab), Seed(matlab(content, compressed=True))]


def svhn_seeds() -> list[Seed]:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3, COUNT), dtype=np.uint8)
    return matlab_seeds({"X": pixels, "y": np.arange(1, COUNT + 1)[:, None]})


def burda_seeds() -> list[Seed]:
    images = np.random.default_rng(0).random((784, COUNT))
    alphabets = np.eye(burda.ALPHABETS)[:, [4, 1, 1, 2]]
    return matlab_seeds(
        {"data": images, "target": alphabets, "targetchar": np.array([[2, 9, 3, 1]])}
    )


def read_burda(path: Path) -> None:
    burda.load(path.parent, Selection(part="train"))


def idx_seeds() -> list[Seed]:
    return [Seed(_idx()), Seed(_idx(), gzip.compress), Seed(_gzipped(_idx()))]


def _idx() -> bytes:
    return bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]) + bytes(range(24))


def read_idx(path: Path) -> None:
    from hashlib import md5

    mnist.read_idx(path, md5(_idx(), usedforsecurity=False).hexdigest())


def amat_seeds() -> list[Seed]:
    return [Seed(b"".join(b"1 0 " * (28 * 14) + b"\n" for _ in range(COUNT)))]


def read_folder(path: Path) -> None:
    """The picture in a folder of a user's own, beside an intact one."""
    beside = path.parent / "intact.png"
    if not beside.exists():
        beside.write_bytes(encoded(drawn(), "PNG"))
    folder.load(path.parent, Selection(part="all"))


def with_about() -> list[Seed]:
    from oneshot_cli.imaging.formats import exif_of, npz_of

    about = {"version": "0.1.0", "command": "vary", "seed": 3}
    npz = npz_of({"ink": np.zeros((2, 3))}, about)
    return [Seed(encoded(drawn(), "PNG", exif=exif_of(about))), Seed(npz)]


def read_npz(path: Path) -> Any:
    """What a written archive says about itself."""
    return about_of(path)


def npz_seeds() -> list[Seed]:
    seeds = with_about()[1:]
    array = io.BytesIO()
    np.save(array, np.array('{"version": "0.1.0"}'))
    return [*seeds, Seed(array.getvalue(), partial(zipped, "about.npy", {}))]


def json_seed(content: Any, damage: Damage = damaged_json) -> list[Seed]:
    return [Seed(json.dumps(content).encode(), damage=damage)]


TARGETS = (
    Target("pictures", pictures, read_picture, "case.png", 0.4),
    Target("exemplars", pictures, lambda path: exemplar(path, 28), "case.png", 0.005),
    Target("svg", lambda: [Seed(SVG)], read_picture, "case.svg", 0.002),
    Target("folders", pictures, read_folder, "case.png", 0.004),
    Target("about", lambda: with_about()[:1], about_of, "case.png", 0.05),
    Target("npz", npz_seeds, read_npz, "case.npz", 0.05),
    Target(
        "checkpoints",
        lambda: safetensors_seeds(small_checkpoint(), checkpoint.HEADER),
        checkpoint.load,
        "case.safetensors",
        0.04,
    ),
    Target(
        "states",
        lambda: safetensors_seeds(small_state(), state.HEADER),
        resume,
        "case.safetensors",
        0.01,
    ),
    Target(
        "critics",
        lambda: safetensors_seeds(critic(), "settings"),
        partial(load_critic, "protonet"),
        "case.safetensors",
        0.002,
    ),
    Target("experiments", lambda: json_seed(EXPERIMENT), Experiment.read, "case.json", 0.12),
    Target("metrics", lambda: [Seed(metrics_rows())], metrics, "metrics.jsonl", 0.05),
    Target("requests", lambda: json_seed(REQUEST), request, "case.json", 0.06),
    Target(
        "omniglot",
        omniglot_seeds,
        small(lambda path: omniglot.decode([path])),
        "case.zip",
        0.02,
    ),
    Target("runs", runs_seeds, classification.official_runs, "case.zip", 0.02),
    Target("mnist", idx_seeds, read_idx, "case.gz", 0.03),
    Target(
        "mnist-static",
        amat_seeds,
        lambda path: mnist_static.read_amat(path, COUNT),
        "case.amat",
        0.02,
    ),
    Target(
        "cifar10",
        cifar_seeds,
        small(lambda path: cifar10.read(path, cifar10.TEST)),
        "case.tar.gz",
        0.045,
    ),
    Target("svhn", svhn_seeds, small(lambda path: svhn._read(path, COUNT)), "case.mat", 0.045),
    Target("burda", burda_seeds, small(read_burda), "chardata.mat", 0.03),
)
"""All readers. Their shares add up to a little more than 1. Slow readers have small ones."""
