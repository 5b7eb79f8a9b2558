"""Training of the two critics; it takes minutes on one processor core."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneshot_cli.affine import transform
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.evaluation.critics import SIZE, WIDTHS, Critic, channels_last, features
from oneshot_cli.precision import bf16_is_faster

Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Warp:
    """The augmentation of a drawing: bounds of uniform distributions.

    `angle` is in radians, `log_scale` and `shear` have no unit, `shift` is a share of half the
    picture. `ink` bounds the grey level above which a pixel is ink; a low one thickens strokes.
    `cut` is the largest side of a square that is erased, as a share of the picture.
    """

    angle: float = 0.2
    log_scale: float = 0.2
    shear: float = 0.2
    shift: float = 0.12
    ink: tuple[float, float] = (0.35, 0.55)
    cut: float = 0.0


@dataclass(frozen=True)
class CriticTraining:
    """The settings of a training; a batch has `classes` characters with `drawings` each."""

    iterations: int
    classes: int
    drawings: int
    warp: Warp
    learning_rate: float = 2e-3
    temperature: float = 1.0
    seed: int = 0


PROTONET = CriticTraining(iterations=3500, classes=60, drawings=4, warp=Warp())
SIMCLR = CriticTraining(
    iterations=1000,
    classes=128,
    drawings=1,
    warp=Warp(angle=0.3, log_scale=0.25, shear=0.25, shift=0.15, ink=(0.2, 0.6), cut=0.35),
    temperature=0.2,
)


def uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    """Uniform draws in [-bound, bound]."""
    return (2 * torch.rand(shape, generator=generator) - 1) * bound


def warped(
    images: Tensor, warp: Warp, generator: torch.Generator, quarter_turns: Tensor | None = None
) -> Tensor:
    """Augmented drawings (B, 1, 28, 28), 0 or 1, of `images` (B, H, W) at any resolution.

    Images are sampled through affine maps at twice the resolution and averaged over 2 x 2. Pixels
    above a random level are ink. Then a square may be erased. `quarter_turns` (B,) are additional
    rotations by multiples of 90 degrees.
    """
    count = len(images)
    angle = uniform((count,), warp.angle, generator)
    if quarter_turns is not None:
        angle = angle + quarter_turns * (math.pi / 2)
    scales = uniform((2, count), warp.log_scale, generator).exp()
    shear = uniform((count,), warp.shear, generator)
    shift = uniform((count, 2), warp.shift, generator)
    cos, sin = angle.cos(), angle.sin()
    top = torch.stack((cos * scales[0], (shear * cos - sin) * scales[1], shift[:, 0]), 1)
    low = torch.stack((sin * scales[0], (shear * sin + cos) * scales[1], shift[:, 1]), 1)
    grey = F.avg_pool2d(transform(images[:, None], torch.stack((top, low), 1), 2 * SIZE), 2)
    low_ink, high_ink = warp.ink
    level = low_ink + (high_ink - low_ink) * torch.rand((count, 1, 1, 1), generator=generator)
    ink = (grey > level).float()
    if warp.cut:
        ink = ink * ~squares(count, warp.cut, generator)
    return ink


def squares(count: int, largest: float, generator: torch.Generator) -> Tensor:
    """Masks (B, 1, 28, 28) of random squares with sides up to `largest`, a share of the picture."""
    side = torch.rand((count, 1), generator=generator) * largest * SIZE
    corner = torch.rand((count, 2), generator=generator) * SIZE - side / 2
    pixel = torch.arange(SIZE) + 0.5
    rows, columns = (
        (pixel > corner[:, axis, None]) & (pixel < corner[:, axis, None] + side) for axis in (0, 1)
    )
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def prototype_loss(found: Tensor, temperature: float = 1.0) -> Tensor:
    """One-shot prototypical loss (nats) of features (K, N, D): N characters, K drawings of each.

    Each of the K drawings in turn is the only support of its character; the others are queries.
    The class probabilities are the softmax of negative squared distances, as in Snell et al.
    (2017), equation 2.
    """
    shots, ways, width = found.shape
    logits = -torch.cdist(found.reshape(-1, width)[None], found).square() / temperature
    target = torch.arange(ways).repeat(shots).expand(shots, -1)
    losses = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")
    losses = losses.view(shots, shots, ways)
    return losses[~torch.eye(shots, dtype=torch.bool)].mean()


def contrastive_loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """NT-Xent (nats) of two views (B, D) of the same drawings: Chen et al. (2020), equation 1."""
    views = F.normalize(torch.cat((first, second)), dim=1)
    logits = (views @ views.T / temperature).fill_diagonal_(-math.inf)
    partner = torch.arange(len(views)).roll(len(first))
    return F.cross_entropy(logits, partner)


def pick(drawings: Drawings, settings: CriticTraining, generator: torch.Generator) -> Tensor:
    """Random indices (K, N) of K different drawings of each of N different characters."""
    counts = torch.bincount(drawings.character, minlength=len(drawings.characters))
    first = counts.cumsum(0) - counts
    able = (counts >= settings.drawings).nonzero().flatten()
    ways = min(settings.classes, len(able))
    chosen = able[torch.randperm(len(able), generator=generator)[:ways]]
    order = torch.rand((ways, int(counts.max())), generator=generator)
    order[torch.arange(order.shape[1]) >= counts[chosen, None]] = math.inf
    return (first[chosen, None] + order.argsort(1)[:, : settings.drawings]).T


def train_critic(
    name: str,
    drawings: Drawings,
    settings: CriticTraining | None = None,
    progress: Progress | None = None,
) -> tuple[Critic, dict[str, object]]:
    """Train critic `name` on `drawings` (best at their full resolution, 105 for Omniglot).

    The optimizer is Adam with a cosine decay, in bfloat16 where that is faster. Returns the frozen
    critic and the record of its training that its file holds. The seed determines the result up to
    rounding. `progress` is called with the iteration, their number and the mean recent loss.
    """
    settings = settings or {"protonet": PROTONET, "simclr": SIMCLR}[name]
    draws = torch.Generator().manual_seed(settings.seed)
    bf16 = bf16_is_faster(torch.device("cpu"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        critic = Critic(WIDTHS[name])
        width = WIDTHS[name][-1]
        # SimCLR compares views after a projection head, which is discarded after training.
        head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 64))
    critic = channels_last(critic.train())
    weights = [*critic.parameters(), *(head.parameters() if name == "simclr" else ())]
    optimizer = torch.optim.Adam(weights, lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.iterations)
    recent = 0.0
    for iteration in range(settings.iterations):
        index = pick(drawings, settings, draws)
        shots, ways = index.shape
        if name == "protonet":
            turns = torch.randint(4, (ways,), generator=draws).repeat(shots)
            batch = warped(drawings.images[index.flatten()], settings.warp, draws, turns)
        else:
            source = drawings.images[index.flatten()].repeat(2, 1, 1)
            batch = warped(source, settings.warp, draws)
        batch = batch.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            found = critic(batch)
        found = found.float()
        if name == "protonet":
            loss = prototype_loss(found.view(shots, ways, -1), settings.temperature)
        else:
            first, second = head(found).chunk(2)
            loss = contrastive_loss(first, second, settings.temperature)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        recent = loss.item() if iteration == 0 else 0.98 * recent + 0.02 * loss.item()
        if progress is not None:
            progress(iteration + 1, settings.iterations, recent)
    critic = critic.eval().requires_grad_(False)
    if name == "simclr":
        critic.scale.copy_(feature_scale(critic, drawings))
    record: dict[str, object] = {**asdict(settings), "final_loss_nats": round(recent, 4)}
    record |= {"drawings": len(drawings), "characters": len(drawings.characters)}
    return critic, record


def feature_scale(critic: Critic, drawings: Drawings) -> Tensor:
    """The standard deviation (D,) of each feature over the drawings, at least 1e-3."""
    found = features(critic, drawings.resized(SIZE).images[:, None])
    return found.std(0).clamp(min=1e-3)
