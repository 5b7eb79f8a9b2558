"""Does the model draw, or recall? The nearest training drawing of samples and of new drawings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from oneshot_cli.evaluation.critics import Critic, features

_CHUNK = 200


@dataclass(frozen=True)
class Nearest:
    """The nearest of the training drawings for each of N pictures: distances and indices (N,).

    `pixel` is the Jaccard distance of the ink after alignment (0 the same pixels, 1 none shared),
    `critic` the Euclidean distance between SimCLR features, per root feature: 1 is about the
    distance between unrelated drawings, over the square root of two.
    """

    pixel: Tensor
    pixel_index: Tensor
    critic: Tensor
    critic_index: Tensor


@dataclass(frozen=True)
class Memorization:
    """Samples beside drawings that people made of the same held-out characters.

    `closer_pixel` and `closer_critic` are the shares of samples that are nearer to a training
    drawing than 99 % of the held-out drawings are: 0.01 for a model that draws like people, and
    much more for one that recalls. `pairs` (10, 2) are (sample, training drawing), closest first.
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
    """Compare pictures (N, 1, S, S), ink in [0, 1], with `training` (M, S, S) drawings.

    `advance` is told the number of pictures as they are done.
    """
    aligned = centred(training[:, None].float()).flatten(1)
    known = features(simclr, training[:, None].float()).cpu()
    near = [nearest(pictures, aligned, known, simclr, advance) for pictures in (samples, held_out)]
    closest = near[0].pixel.argsort()[:pairs]
    return Memorization(
        samples=near[0],
        held_out=near[1],
        closer_pixel=share_closer(near[0].pixel, near[1].pixel),
        closer_critic=share_closer(near[0].critic, near[1].critic),
        pairs=torch.stack((closest, near[0].pixel_index[closest]), 1),
    )


def nearest(
    pictures: Tensor,
    aligned: Tensor,
    known: Tensor,
    simclr: Critic,
    advance: Callable[[int], None] = lambda pictures: None,
) -> Nearest:
    """The nearest of aligned training pixels (M, S * S), and of training features (M, D)."""
    ink, area = (pictures > 0.5).float(), aligned.sum(1)
    rows = []
    for chunk in ink.split(_CHUNK):
        mine = centred(chunk).flatten(1)
        shared = mine @ aligned.T
        union = mine.sum(1)[:, None] + area - shared
        pixel, where = (1 - shared / union.clamp(min=1)).min(1)
        distance, like = torch.cdist(features(simclr, chunk).cpu(), known).min(1)
        rows.append((pixel, where, distance / math.sqrt(known.shape[1]), like))
        advance(len(chunk))
    return Nearest(*(torch.cat(column) for column in zip(*rows, strict=True)))


def centred(images: Tensor) -> Tensor:
    """Binary images (B, 1, S, S) rolled by whole pixels so that their ink is centred."""
    size = images.shape[-1]
    place = torch.arange(size, dtype=torch.float32)
    total = images.sum((1, 2, 3)).clamp(min=1)
    shifts = []
    for axis in (3, 2):
        mean = (images.sum((1, axis)) * place).sum(1) / total
        empty = images.sum((1, 2, 3)) == 0
        shifts.append(torch.where(empty, 0.0, (size - 1) / 2 - mean).round().long())
    rows = (torch.arange(size) - shifts[0][:, None]) % size
    columns = (torch.arange(size) - shifts[1][:, None]) % size
    batch = torch.arange(len(images))[:, None, None]
    return images[:, 0][batch, rows[:, :, None], columns[:, None, :]][:, None]


def share_closer(samples: Tensor, held_out: Tensor, quantile: float = 0.01) -> float:
    """The share of `samples` below the given quantile of the distances of `held_out`."""
    return (samples < held_out.quantile(quantile)).float().mean().item()
