"""Does the model copy its training drawings? The nearest of them for samples and for people's
drawings of held-out characters."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from oneshot_cli.evaluation.critics import Critic, features
from oneshot_cli.evaluation.oneshot_scores import Estimate, resamples
from oneshot_cli.imaging.distances import centred, nearest_aligned

QUANTILE = 0.01
"""The share of people's new drawings that count as close to a training drawing."""

CONTROLS, CHANGED = 100, 0.0025
"""The positive control: so many copies of training drawings, with this share of pixels changed."""

_CHUNK = 200


@dataclass(frozen=True)
class Nearest:
    """The nearest of the training drawings for each of N pictures: distances (N,),
    and the index of the one that is nearest by its pixels.

    `pixel` is the Jaccard distance of the ink after alignment (0 for the same pixels, 1 for none in
    common). `critic` is the Euclidean distance between SimCLR features divided by the square root
    of their number: two unrelated drawings are about the square root of 2 apart.
    """

    pixel: Tensor
    pixel_index: Tensor
    critic: Tensor


@dataclass(frozen=True)
class Memorization:
    """The distances of samples to training drawings, beside those of people's new drawings.

    `held_out` are drawings that people made of the characters that the samples are of. The 1 %
    quantile of their distances is the threshold; `closer_pixel` and `closer_critic` are the shares
    of samples below it, with intervals over characters: 0.01 for a model that draws like people,
    much more for one that copies. `copies_pixel` and `copies_critic` are the same shares of the
    positive control, copies of training drawings with a little noise: how many copies the measure
    finds. `pairs` (10, 2) are the indices of the closest pairs (sample, training
    drawing), closest first.
    """

    samples: Nearest
    held_out: Nearest
    closer_pixel: Estimate
    closer_critic: Estimate
    copies_pixel: float
    copies_critic: float
    pairs: Tensor

    @property
    def flagged(self) -> bool:
        """Whether at least twice as many samples are close to training drawings as people's
        drawings are, beyond chance: a whole interval is above 2 %. Twice, as the threshold is
        estimated from few close drawings of simple characters."""
        return max(self.closer_pixel.low, self.closer_critic.low) > 2 * QUANTILE

    def as_dict(self) -> dict[str, Any]:
        """The figures, for JSON: median distances, and the shares of samples that are closer."""
        return {
            "samples_pixel_median": round(self.samples.pixel.median().item(), 4),
            "held_out_pixel_median": round(self.held_out.pixel.median().item(), 4),
            "samples_critic_median": round(self.samples.critic.median().item(), 4),
            "held_out_critic_median": round(self.held_out.critic.median().item(), 4),
            "closer_than_99_percent_of_held_out_pixel": self.closer_pixel.as_dict(),
            "closer_than_99_percent_of_held_out_critic": self.closer_critic.as_dict(),
            "copies_closer_than_99_percent_of_held_out_pixel": round(self.copies_pixel, 4),
            "copies_closer_than_99_percent_of_held_out_critic": round(self.copies_critic, 4),
            "flagged": self.flagged,
        }


def memorization(
    samples: Tensor,
    held_out: Tensor,
    training: Tensor,
    simclr: Critic,
    *,
    sample_character: Tensor,
    held_out_character: Tensor,
    pairs: int = 10,
    seed: int = 0,
    advance: Callable[[int], None] = lambda pictures: None,
) -> Memorization:
    """Compare `samples` and `held_out` pictures (N, 1, S, S) with `training` drawings (M, S, S).

    Ink is in [0, 1]. `sample_character` and `held_out_character` (N,) number the characters, by
    which the intervals resample both. `seed` draws the bootstrap and the control. `advance` is
    called with the number of pictures done since its last call, of N + N + CONTROLS.
    """
    aligned = centred(training > 0.5).flatten(1).float()
    known = features(simclr, training[:, None].float()).cpu()
    mine, theirs, copies = (
        nearest(each, aligned, known, simclr, advance)
        for each in (samples, held_out, noisy_copies(training, CONTROLS, seed))
    )
    characters = sample_character, held_out_character
    closest = mine.pixel.argsort()[:pairs]
    return Memorization(
        samples=mine,
        held_out=theirs,
        closer_pixel=share_closer(mine.pixel, theirs.pixel, *characters, seed),
        closer_critic=share_closer(mine.critic, theirs.critic, *characters, seed),
        copies_pixel=_share(copies.pixel, theirs.pixel),
        copies_critic=_share(copies.critic, theirs.critic),
        pairs=torch.stack((closest, mine.pixel_index[closest]), 1),
    )


def noisy_copies(training: Tensor, count: int, seed: int = 0) -> Tensor:
    """Copies (count, 1, S, S) of drawings (M, S, S) chosen at random, with CHANGED of their pixels
    inverted."""
    generator = torch.Generator().manual_seed(seed)
    chosen = training[torch.randint(len(training), (count,), generator=generator)] > 0.5
    changed = torch.rand(chosen.shape, generator=generator) < CHANGED
    return (chosen ^ changed).float()[:, None]


def nearest(
    pictures: Tensor,
    aligned: Tensor,
    known: Tensor,
    simclr: Critic,
    advance: Callable[[int], None] = lambda pictures: None,
) -> Nearest:
    """The nearest training drawings of `pictures` (N, 1, S, S), ink in [0, 1].

    `aligned` (M, S * S) is the training drawings' ink after alignment, `known` (M, D) their
    features. Pictures are compared in chunks, which bounds the memory.
    """
    rows = []
    for chunk in (pictures > 0.5).split(_CHUNK):
        index, pixel = nearest_aligned(centred(chunk[:, 0]).flatten(1), aligned)
        distance = torch.cdist(features(simclr, chunk.float()).cpu(), known).amin(1)
        rows.append((pixel, index, distance / math.sqrt(known.shape[1])))
        advance(len(chunk))
    return Nearest(*(torch.cat(column) for column in zip(*rows, strict=True)))


def share_closer(
    samples: Tensor,
    held_out: Tensor,
    sample_character: Tensor,
    held_out_character: Tensor,
    seed: int = 0,
) -> Estimate:
    """The share of `samples` (N,) below the 1 % quantile of the distances `held_out` (M,).

    The interval is a bootstrap over characters, which resamples both, so that it includes the error
    of the quantile.
    """
    numbers, together = torch.unique(
        torch.cat((sample_character, held_out_character)), return_inverse=True
    )
    mine, theirs = together.split((len(samples), len(held_out)))
    order = held_out.argsort()
    draws = resamples(len(numbers), seed)
    times = torch.zeros(draws.shape).scatter_add_(1, draws, torch.ones(draws.shape))
    reached = times[:, theirs[order]].cumsum(1)
    place = torch.searchsorted(reached, QUANTILE * reached[:, -1:]).clamp(max=len(order) - 1)
    threshold = held_out[order][place]
    weight = times[:, mine]
    shares = (weight * (samples < threshold)).sum(1) / weight.sum(1)
    return Estimate.of(_share(samples, held_out), shares)


def _share(samples: Tensor, held_out: Tensor) -> float:
    """The share of `samples` (N,) below the 1 % quantile of `held_out` (M,)."""
    return (samples < held_out.quantile(QUANTILE)).float().mean().item()
