"""One-shot classification by the generative model (Lake et al. 2015).

There are 20 runs. In each, one training image shows each of 20 characters of one alphabet, and 20
drawings by another person have to be classified. A test image is given the class of the training
image that maximizes p(test | training), or p(test | training) p(training | test) / p(training).
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oneshot_cli.checkpoint import UNRECORDED
from oneshot_cli.data.archives import opened_zip, zip_member
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.omniglot import zipped_drawing
from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation.critics import Critic, features
from oneshot_cli.evaluation.oneshot_scores import Estimate, bootstrap
from oneshot_cli.imaging.resampling import box_ink
from oneshot_cli.model import Context, GenerativeModel

WAYS = 20
MAX_RUNS = 100
MAX_WAYS = 100
MAX_MEMBER_BYTES = 100_000
"""A file of a run has some 2,000 bytes."""
EVALUATION_SPLIT = "strong-30-20"
"""The split of Omniglot whose training part has no drawing of the runs' alphabets."""


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


@dataclass(frozen=True)
class PairScores:
    """The scores in nats of R runs of W test and W training images, each (R, W test, W train).

    `forward` is log p(test | training). `backward` is log p(training | test) - log p(training),
    what seeing the test image adds to the training image, None if it was not computed.
    """

    forward: Tensor
    backward: Tensor | None

    def rules(self) -> dict[str, Tensor]:
        """The scores of each rule of classification, by its name. "both" is the rule of Lake et
        al. (2015), log p(test | training) + log p(training | test) - log p(training)."""
        if self.backward is None:
            return {"forward": self.forward}
        both = self.forward + self.backward
        return {"forward": self.forward, "backward": self.backward, "both": both}


def why_not_measured(data: Mapping[str, Any], seen: Iterable[str] = ()) -> str:
    """Why a network trained on `data` has no error of one-shot classification, "" if it has one.

    The test is whether it saw drawings of the evaluation alphabets: all images of Lake's runs are
    in the evaluation archive, so that a network that saw those alphabets was trained on the very
    test images. `data` has the data set and split, `seen` those of earlier training, too.
    """
    if data.get("dataset") != "omniglot":
        return f"its training data are {data.get('dataset', 'unknown')}, not Omniglot's"
    if data.get("split") != EVALUATION_SPLIT:
        return (
            f"its split, {data.get('split')}, has drawings of these alphabets in the training part"
        )
    for other in seen:
        if other == UNRECORDED:
            return "it began with other weights, whose training data are not recorded"
        if other != f"omniglot {EVALUATION_SPLIT}":
            return f"it began with weights that were trained on other data ({other})"
    return ""


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
        runs = [_official_run(path, archive, folder) for folder in folders[:MAX_RUNS]]
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


def _official_run(
    path: Path, archive: zipfile.ZipFile, folder: str
) -> tuple[Tensor, Tensor, Tensor]:
    lines = zip_member(archive, f"{folder}/class_labels.txt", MAX_MEMBER_BYTES).decode().split()
    pairs = list(zip(lines[::2], lines[1::2], strict=True))
    shown = sorted({training for _, training in pairs})
    if not 1 <= len(pairs) <= MAX_WAYS:
        raise ValueError(f"{folder} has {len(pairs)} drawings to classify")
    train, test = (
        torch.from_numpy(np.stack([zipped_drawing(path, archive, name) for name in names]))
        for names in (shown, [name for name, _ in pairs])
    )
    return train, test, torch.tensor([shown.index(training) for _, training in pairs])


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
    both_directions: bool = False,
    batch: int = 500,
    seed: int = 0,
    advance: Callable[[int], None] = lambda images: None,
) -> PairScores:
    """Importance-weighted bounds for all pairs of a test and a training image of each run.

    An image is compared with all others of its run with the same noise, so that the differences
    have less variance than the bounds. log p(training) is that without a context. `batch` limits
    images times particles in memory. `advance` is called with the number of images that were
    compared with all others since its last call.
    """
    count, ways = runs.label.shape
    forward, backward = torch.empty(2, count, ways, ways)
    bounds = _PairBounds(model, particles, batch, seed, advance)
    for run in range(count):
        test, train = runs.test[run][:, None].float(), runs.train[run][:, None].float()
        forward[run] = bounds.given_each(test, train, run * ways)
        if both_directions:
            first = (count + run) * ways
            alone = bounds.alone(train, first)
            backward[run] = (bounds.given_each(train, test, first) - alone[:, None]).T
    return PairScores(forward, backward if both_directions else None)


@dataclass(frozen=True)
class _PairBounds:
    """Bounds of images (W, 1, S, S). Image i of a call has the noise of trial `first` + i."""

    model: GenerativeModel
    particles: int
    batch: int
    seed: int
    advance: Callable[[int], None]

    def given_each(self, images: Tensor, given: Tensor, first: int) -> Tensor:
        """The bounds (W, V) of log p(image | given) for all of `given` (V, 1, S, S)."""
        others = given[:, None]
        rows = []
        at_once = max(1, self.batch // (len(given) * self.particles))
        for part in torch.arange(len(images)).split(at_once):
            context = Context.of(others.repeat(len(part), 1, 1, 1, 1))
            noise = self._noises(first + part).repeat_interleave(len(given), 0)
            found = self._bound(images[part].repeat_interleave(len(given), 0), context, noise)
            rows.append(found.view(len(part), len(given)))
            self.advance(len(part))
        return torch.cat(rows)

    def alone(self, images: Tensor, first: int) -> Tensor:
        """The bounds (W,) of log p(image) without a context."""
        found = []
        for part in torch.arange(len(images)).split(max(1, self.batch // self.particles)):
            context = Context.empty(len(part), images.shape[-1])
            found.append(self._bound(images[part], context, self._noises(first + part)))
        return torch.cat(found)

    def _noises(self, trials: Tensor) -> Tensor:
        return torch.stack(
            [_noise(self.model, self.particles, self.seed, int(trial)) for trial in trials]
        )

    def _bound(self, images: Tensor, context: Context, noise: Tensor) -> Tensor:
        device = next(self.model.parameters()).device
        images, context = images.to(device), context.to(device)
        weights = [
            self.model.bound(images, context, some.to(device)).log_weight
            for some in noise.split(max(1, self.batch // len(images)), 1)
        ]
        return (torch.cat(weights, 1).logsumexp(1) - math.log(self.particles)).cpu()


def _noise(model: GenerativeModel, particles: int, seed: int, trial: int) -> Tensor:
    """The noise (K, T, latent) of one trial: a function of the seed and the trial alone."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + trial)
    return torch.randn((particles, *model.noise_shape), generator=generator)


def protonet_scores(critic: Critic, runs: Runs) -> Tensor:
    """Negative squared distances between a critic's features, (R, W test, W train)."""
    test, train = (features(critic, x[:, :, None].float()).cpu() for x in (runs.test, runs.train))
    return -torch.cdist(test, train).square()
