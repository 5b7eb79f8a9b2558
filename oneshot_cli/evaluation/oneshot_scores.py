"""Scores of one-shot generalization: three figures of the variations of an exemplar.

Recognizability: how often a prototypical network finds the exemplar among those of `ways`
characters. Diversity: the standard deviation of the variations in a SimCLR feature space. Both are
after Boutin et al. (2022), "Diversity vs. recognizability: human-like generalization in one-shot
generative models". Overlap: the ink in common with the exemplar, which is high for copies, also for
copies with a little noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from oneshot_cli.data.drawings import Drawings
from oneshot_cli.evaluation.critics import Critic, binary_ink, features, load_critic
from oneshot_cli.evaluation.overlap import overlap

BOOTSTRAPS = 2000
"""The number of resamples of a bootstrap."""

FIGURES = ("recognizability", "diversity", "overlap", "overlap_in_place")
"""The figures of `Scores`, by the names of its fields."""


@dataclass(frozen=True)
class Estimate:
    """A mean over characters, and the limits of its 95 % interval (bootstrap over characters)."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, resampled: Tensor, interval: float = 0.95) -> Estimate:
        """`value` with the percentile interval of its bootstrap replications (R,), without NaN."""
        kept = resampled[~resampled.isnan()].double()
        if math.isnan(value) or not len(kept):
            return cls(math.nan, math.nan, math.nan)
        tails = torch.tensor([(1 - interval) / 2, (1 + interval) / 2], dtype=torch.float64)
        low, high = kept.quantile(tails).tolist()
        return cls(value, low, high)

    def as_dict(self) -> dict[str, float | None]:
        """For JSON; NaN becomes None."""
        return {
            key: None if math.isnan(number) else round(number, 4)
            for key, number in (("value", self.value), ("low", self.low), ("high", self.high))
        }


@dataclass(frozen=True)
class Scores:
    """The scores of variations of C characters.

    `overlap` is the intersection over union of the ink of a variation and its exemplar after the
    shift that makes it greatest, `overlap_in_place` without a shift (`evaluation.overlap`). `ways`
    is the number of characters in an episode of recognition. `per_character` maps each name in
    FIGURES to the values of the characters (C,), NaN where a value is undefined: diversity needs
    two variations, recognizability two characters. `found` (C, n) is the probability that each
    variation is recognized, NaN where there is no variation.
    """

    recognizability: Estimate
    diversity: Estimate
    overlap: Estimate
    overlap_in_place: Estimate
    ways: int
    per_character: dict[str, Tensor]
    found: Tensor


@dataclass(frozen=True)
class Critics:
    """The two critics: one for recognizability, one for diversity."""

    protonet: Critic
    simclr: Critic

    @classmethod
    def load(cls, device: torch.device | str = "cpu", folder: Path | None = None) -> Critics:
        """The shipped critics, or those in `folder`. Raises OneshotError if a file is missing or
        damaged."""
        protonet, simclr = (
            load_critic(name, folder and folder / f"{name}.safetensors", device)
            for name in ("protonet", "simclr")
        )
        return cls(protonet, simclr)


def score(
    exemplars: Tensor,
    variations: Tensor,
    critics: Critics | None = None,
    *,
    ways: int = 20,
    present: Tensor | None = None,
    seed: int = 0,
) -> Scores:
    """Score `variations` (C, n, 1, H, W) of `exemplars` (C, 1, H, W), ink in [0, 1].

    `present` (C, n) is false where a character has fewer than n variations. All pictures are
    resampled to 28 x 28 and thresholded at 0.5, like the drawings that the critics were trained on.
    With fewer than `ways` characters, an episode has all of them. `seed` draws the bootstrap;
    nothing else is random. Raises OneshotError if the shipped critics cannot be loaded.
    """
    critics = critics or Critics.load()
    count, each = variations.shape[:2]
    if present is None:
        present = torch.ones(count, each, dtype=torch.bool)
    ways = min(ways, count)
    found = recognized(
        features(critics.protonet, exemplars).cpu(),
        features(critics.protonet, variations).cpu(),
        ways,
    ).masked_fill(~present, math.nan)
    inks = binary_ink(variations.flatten(0, 1).cpu()).unflatten(0, (count, each))
    in_place, shifted = overlap(binary_ink(exemplars.cpu()), inks)
    per_character = {
        "recognizability": found.nanmean(1),
        "diversity": diversity(features(critics.simclr, variations).cpu(), present),
        "overlap": shifted.masked_fill(~present, math.nan).nanmean(1),
        "overlap_in_place": in_place.masked_fill(~present, math.nan).nanmean(1),
    }
    return Scores(
        **{name: bootstrap(per_character[name], seed) for name in FIGURES},
        ways=ways,
        per_character=per_character,
        found=found,
    )


def recognized(supports: Tensor, queries: Tensor, ways: int) -> Tensor:
    """The probability (C, n) that each query (C, n, D) is nearest to its own support (C, D).

    An episode compares the distances to the right support and to `ways` - 1 others, drawn at random
    from C - 1. The mean over episodes is computed exactly: if r other supports are at least as near
    as the right one, an episode has none of them with probability
    C(C-1-r, ways-1) / C(C-1, ways-1). NaN for fewer than two `ways`.
    """
    count, each = queries.shape[:2]
    if ways < 2:
        return torch.full((count, each), math.nan)
    distances = torch.cdist(
        queries.flatten(0, 1).double(),
        supports.double(),
        compute_mode="donot_use_mm_for_euclid_dist",
    )
    distances = distances.view(count, each, count)
    own = distances.diagonal(dim1=0, dim2=2).T
    nearer = (distances <= own[..., None]).sum(2) - 1
    chance = torch.tensor(
        [math.comb(count - 1 - r, ways - 1) / math.comb(count - 1, ways - 1) for r in range(count)]
    )
    return chance[nearer]


def diversity(found: Tensor, present: Tensor) -> Tensor:
    """The standard deviation over the variations, averaged over D features: (C,).

    `found` (C, n, D) are features in units of their standard deviation over all training drawings,
    so 1 is the diversity of unrelated characters. `present` (C, n) tells which variations exist.
    The standard deviation of a small sample is biased; it is divided by the factor c4 of a normal
    sample, so that five variations and twenty compare. NaN for fewer than two variations.
    """
    weight = present[..., None].double()
    number = present.sum(1).double()
    mean = (found * weight).sum(1) / number[:, None]
    squares = ((found - mean[:, None]).square() * weight).sum(1)
    deviation = (squares / (number[:, None] - 1)).sqrt().mean(1)
    c4 = (2 / (number - 1)).sqrt() * ((number / 2).lgamma() - ((number - 1) / 2).lgamma()).exp()
    return torch.where(number > 1, deviation / c4, math.nan).float()


def resamples(count: int, seed: int = 0) -> Tensor:
    """BOOTSTRAPS resamples (R, count) of the indices of `count` characters, with replacement."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(count, (BOOTSTRAPS, count), generator=generator)


def bootstrap(per_character: Tensor, seed: int = 0) -> Estimate:
    """The mean of `per_character` (C,) without NaN, and its percentile bootstrap interval.

    `scipy.stats.bootstrap` computes the same interval from other random numbers. It would move the
    published intervals by up to 0.001, and importing it takes over a second.
    """
    values = per_character[~per_character.isnan()].double()
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan)
    return Estimate.of(values.mean().item(), values[resamples(len(values), seed)].mean(1))


def people(drawings: Drawings, seed: int = 0) -> tuple[Tensor, Tensor]:
    """People's drawings as exemplars (C, 1, H, W) and variations (C, n, 1, H, W).

    The exemplar of a character is drawn at random with `seed`. n is one less than the smallest
    number of drawings of a character. Raises ValueError if there are fewer than two characters, or
    fewer than two drawings of one.
    """
    order = shuffled(drawings, seed)
    images = drawings.images[order].float()[:, :, None]
    return images[:, 0], images[:, 1:]


def others(drawings: Drawings, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The exemplars of `people`, each with drawings of other characters as its variations."""
    exemplars, variations = people(drawings, seed)
    count, each = variations.shape[:2]
    generator = torch.Generator().manual_seed(seed)
    step = 1 + torch.randint(count - 1, (count, each), generator=generator)
    other = (torch.arange(count)[:, None] + step) % count
    return exemplars, variations[other, torch.arange(each)]


def shuffled(drawings: Drawings, seed: int) -> Tensor:
    """Indices (C, m) of m drawings of each character in random order; m is the smallest count."""
    counts = torch.bincount(drawings.character, minlength=len(drawings.characters))
    if len(counts) < 2 or int(counts.min()) < 2:
        raise ValueError("references need two characters or more, with two drawings each")
    generator = torch.Generator().manual_seed(seed)
    key = drawings.character + torch.rand(len(drawings), generator=generator, dtype=torch.float64)
    first = counts.cumsum(0) - counts
    return key.argsort()[first[:, None] + torch.arange(int(counts.min()))]


def references(
    drawings: Drawings, critics: Critics | None = None, *, ways: int = 20, seed: int = 0
) -> dict[str, Scores]:
    """Reference scores: of people's drawings, of copies of the exemplar, of other characters."""
    critics = critics or Critics.load()
    exemplars, variations = people(drawings, seed)
    copies = exemplars[:, None].expand(-1, 2, -1, -1, -1)  # all the same, so two are enough
    sets = {"people": variations, "copies": copies, "other characters": others(drawings, seed)[1]}
    return {
        name: score(exemplars, pictures, critics, ways=ways, seed=seed)
        for name, pictures in sets.items()
    }
