"""Does the model copy its training drawings? The nearest of them for samples and for people's
drawings of held-out characters."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from oneshot_cli.evaluation.critics import Critic, features
from oneshot_cli.imaging.distances import centred, nearest_aligned

_CHUNK = 200


@dataclass(frozen=True)
class Nearest:
    """The nearest of the training drawings for each of N pictures: distances and indices (N,).

    `pixel` is the Jaccard distance of the ink after alignment (0 for the same pixels, 1 for none in
    common). `critic` is the Euclidean distance between SimCLR features divided by the square root
    of their number: two unrelated drawings are about the square root of 2 apart.
    """

    pixel: Tensor
    pixel_index: Tensor
    critic: Tensor
    critic_index: Tensor


@dataclass(frozen=True)
class Memorization:
    """The distances of samples to training drawings, beside those of people's new drawings.

    `held_out` are drawings that people made of the characters that the samples are of. The 1 %
    quantile of their distances is the threshold; `closer_pixel` and `closer_critic` are the shares
    of samples below it: 0.01 for a model that draws like people, much more for one that copies.
    `pairs` (10, 2) are the indices of the closest pairs (sample, training drawing), closest first.
    """

    samples: Nearest
    held_out: Nearest
    closer_pixel: float
    closer_critic: float
    pairs: Tensor

    def as_dict(self) -> dict[str, float]:
        """The figures, for JSON: median distances, and the shares of samples that are closer."""
        return {
            "samples_pixel_median": round(self.samples.pixel.median().item(), 4),
            "held_out_pixel_median": round(self.held_out.pixel.median().item(), 4),
            "samples_critic_median": round(self.samples.critic.median().item(), 4),
            "held_out_critic_median": round(self.held_out.critic.median().item(), 4),
            "closer_than_99_percent_of_held_out_pixel": round(self.closer_pixel, 4),
            "closer_than_99_percent_of_held_out_critic": round(self.closer_critic, 4),
        }


def memorization(
    samples: Tensor,
    held_out: Tensor,
    training: Tensor,
    simclr: Critic,
    *,
    pairs: int = 10,
    advance: Callable[[int], None] = lambda pictures: None,
) -> Memorization:
    """Compare `samples` and `held_out` pictures (N, 1, S, S) with `training` drawings (M, S, S).

    Ink is in [0, 1]. `advance` is called with the number of pictures done since its last call.
    """
    aligned = centred(training > 0.5).flatten(1).float()
    known = features(simclr, training[:, None].float()).cpu()
    mine, theirs = (nearest(each, aligned, known, simclr, advance) for each in (samples, held_out))
    closest = mine.pixel.argsort()[:pairs]
    return Memorization(
        samples=mine,
        held_out=theirs,
        closer_pixel=share_closer(mine.pixel, theirs.pixel),
        closer_critic=share_closer(mine.critic, theirs.critic),
        pairs=torch.stack((closest, mine.pixel_index[closest]), 1),
    )


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
        distance, critic_index = torch.cdist(features(simclr, chunk.float()).cpu(), known).min(1)
        rows.append((pixel, index, distance / math.sqrt(known.shape[1]), critic_index))
        advance(len(chunk))
    return Nearest(*(torch.cat(column) for column in zip(*rows, strict=True)))


def share_closer(samples: Tensor, held_out: Tensor, quantile: float = 0.01) -> float:
    """The share of `samples` (N,) below the `quantile` of the distances `held_out` (M,)."""
    return (samples < held_out.quantile(quantile)).float().mean().item()
