"""One-shot classification by the generative model (Lake et al. 2015).

There are 20 runs. In each, one training image shows each of 20 characters of one alphabet, and 20
drawings by another person have to be classified. A test image is given the class of the training
image that maximizes p(test image | training image).
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from oneshot_cli.data.archives import opened_zip, zip_member
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation.critics import Critic, features
from oneshot_cli.evaluation.oneshot_scores import Estimate, bootstrap
from oneshot_cli.imaging.resampling import box_ink
from oneshot_cli.model import Context, GenerativeModel

WAYS = 20
SIDE = 105
MAX_RUNS = 100
MAX_WAYS = 100
MAX_MEMBER_BYTES = 100_000
"""A file of a run has some 2,000 bytes."""


@dataclass(frozen=True)
class Runs:
    """R runs of W-way one-shot classification, ink 0 or 1.

    `train` and `test` are (R, W, S, S). `label` (R, W) is, for each test image, the index of the
    training image of the same character. `source` describes where the runs are from.
    """

    train: Tensor
    test: Tensor
    label: Tensor
    source: str


@dataclass(frozen=True)
class Classification:
    """The share of errors over all trials, with its interval over runs; `wrong` (R, W) is bool."""

    error: Estimate
    wrong: Tensor


def official_runs(path: str | Path, size: int = 28) -> Runs:
    """Lake's runs from the file `all_runs.zip`, resampled to (size, size).

    Raises OneshotError if the file, a run or a picture is missing or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise OneshotError(f"{path}: no such file; it is Omniglot's all_runs.zip")
    with opened_zip(path) as archive:
        names = archive.namelist()
        folders = sorted({n.split("/")[0] for n in names if n.endswith("class_labels.txt")})
        runs = [_official_run(archive, folder) for folder in folders[:MAX_RUNS]]
    if not runs:
        raise OneshotError(f"{path}: holds no run (no class_labels.txt)")
    if len({tuple(len(part) for part in run) for run in runs}) > 1:
        raise OneshotError(f"{path}: its runs have different numbers of drawings")
    train, test, label = (torch.stack(column) for column in zip(*runs, strict=True))
    small = [
        box_ink(images.flatten(0, 1), size).unflatten(0, images.shape[:2])
        for images in (train, test)
    ]
    return Runs(small[0], small[1], label, f"{len(runs)} official runs ({path.name})")


def _official_run(archive: zipfile.ZipFile, folder: str) -> tuple[Tensor, Tensor, Tensor]:
    lines = zip_member(archive, f"{folder}/class_labels.txt", MAX_MEMBER_BYTES).decode().split()
    pairs = list(zip(lines[::2], lines[1::2], strict=True))
    shown = sorted({training for _, training in pairs})
    if not 1 <= len(pairs) <= MAX_WAYS:
        raise ValueError(f"{folder} has {len(pairs)} drawings to classify")
    train = torch.stack([_drawing(archive, name) for name in shown])
    test = torch.stack([_drawing(archive, name) for name, _ in pairs])
    return train, test, torch.tensor([shown.index(training) for _, training in pairs])


def _drawing(archive: zipfile.ZipFile, name: str) -> Tensor:
    content = zip_member(archive, name, MAX_MEMBER_BYTES)
    with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
        if picture.size != (SIDE, SIDE):
            raise ValueError(f"{name} is not {SIDE} x {SIDE} pixels")
        return torch.from_numpy((np.asarray(picture.convert("L")) < 128).astype(np.uint8))


def seeded_runs(drawings: Drawings, runs: int = 20, ways: int = WAYS, seed: int = 0) -> Runs:
    """Runs like Lake's from the alphabets of `drawings`, drawn at random with `seed`.

    A run has one alphabet, `ways` of its characters, and two people (Omniglot's k-th drawings of an
    alphabet are by one person).

    Raises OneshotError if no alphabet has `ways` characters with two drawings each.
    """
    counts = torch.bincount(drawings.character, minlength=len(drawings.characters))
    first = counts.cumsum(0) - counts
    sizes = torch.bincount(drawings.alphabet[counts > 1], minlength=len(drawings.alphabets))
    large = (sizes >= ways).nonzero().flatten()
    if not len(large):
        raise OneshotError(f"no alphabet has {ways} characters with two drawings each")
    generator = torch.Generator().manual_seed(seed)
    order = large[torch.randperm(len(large), generator=generator)]
    train, test, labels = [], [], []
    for run in range(runs):
        able = ((drawings.alphabet == order[(run // 2) % len(order)]) & (counts > 1)).nonzero()[
            :, 0
        ]
        chosen = able[torch.randperm(len(able), generator=generator)[:ways]]
        people = torch.randperm(int(counts[chosen].min()), generator=generator)[:2]
        shuffle = torch.randperm(ways, generator=generator)
        train.append(drawings.images[first[chosen] + people[0]])
        test.append(drawings.images[(first[chosen] + people[1])[shuffle]])
        labels.append(shuffle)
    return Runs(torch.stack(train), torch.stack(test), torch.stack(labels), f"{runs} seeded runs")


def classify(scores: Tensor, label: Tensor, seed: int = 0) -> Classification:
    """The errors when the training image with the highest score is chosen.

    `scores` are (R, W test, W train), `label` (R, W) the right choices. `seed` draws the bootstrap.
    """
    wrong = scores.argmax(2) != label
    return Classification(bootstrap(wrong.float().mean(1), seed), wrong)


@torch.inference_mode()
def model_scores(
    model: GenerativeModel,
    runs: Runs,
    *,
    particles: int = 10,
    batch: int = 500,
    seed: int = 0,
    advance: Callable[[int], None] = lambda images: None,
) -> Tensor:
    """Importance-weighted bounds of log p(test | training) in nats, (R, W test, W train).

    A test image is compared with all training images of its run with the same noise, so that the
    differences have less variance than the bounds. `batch` limits images times particles in memory.
    `advance` is called with the number of test images done since its last call.
    """
    device = next(model.parameters()).device
    count, ways = runs.label.shape
    scores = torch.empty(count, ways, ways)
    at_once = max(1, batch // (ways * particles))
    for run in range(count):
        context = runs.train[run][:, None, None].float().to(device)
        for trials in torch.arange(ways).split(at_once):
            noise = torch.stack([_noise(model, particles, seed, run * ways + t) for t in trials])
            images = runs.test[run][trials][:, None].float().to(device)
            log_weight = model.bound(
                images.repeat_interleave(ways, 0),
                Context.of(context.repeat(len(trials), 1, 1, 1, 1)),
                noise.repeat_interleave(ways, 0).to(device),
            ).log_weight
            bound = log_weight.logsumexp(1) - math.log(particles)
            scores[run, trials] = bound.view(len(trials), ways).cpu()
            advance(len(trials))
    return scores


def _noise(model: GenerativeModel, particles: int, seed: int, trial: int | Tensor) -> Tensor:
    """The noise (K, T, latent) of one trial: a function of the seed and the trial alone."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + int(trial))
    return torch.randn((particles, *model.noise_shape), generator=generator)


def protonet_scores(critic: Critic, runs: Runs) -> Tensor:
    """Negative squared distances between a critic's features, (R, W test, W train)."""
    test, train = (features(critic, x[:, :, None].float()).cpu() for x in (runs.test, runs.train))
    return -torch.cdist(test, train).square()
