"""The readers that are fuzzed, and the small intact files that the damage starts from."""

from __future__ import annotations

import io
import json
import struct
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.reliability.data_corpus import (
    COUNT,
    amat_seeds,
    burda_seeds,
    cifar_seeds,
    idx_seeds,
    omniglot_seeds,
    read_burda,
    read_folder,
    read_idx,
    runs_seeds,
    small,
    svhn_seeds,
    zipped,
)
from benchmarks.reliability.fuzz import Damage, Seed, Target
from benchmarks.reliability.mutation import damaged_json
from benchmarks.reliability.picture_corpus import SVG, drawn, encoded, pictures
from oneshot_cli import checkpoint
from oneshot_cli.data import cifar10, mnist_static, omniglot, svhn
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

FIELDS: dict[str, Any] = {
    **{"size": 14, "steps": 2, "latent": 2, "hidden": 6, "glimpse": 4, "patch": 4},
    **{"context_units": 4, "posterior_units": 4, "image_encoder_channels": 2},
}
EXPERIMENT: dict[str, Any] = {
    "model": {"kind": "sequential", **FIELDS},
    "training": {"iterations": 10, "batch": 2},
    "data": {"dataset": "glyphs", "split": "weak", "size": 14, "alphabets": 2, "seed": 1},
}


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
