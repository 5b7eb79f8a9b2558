"""The nearest training drawings: copies are found, wherever they lie; shares are counted."""

from __future__ import annotations

import pytest
import torch

from oneshot_cli.evaluation import memorization as mem
from oneshot_cli.evaluation.critics import load_critic
from oneshot_cli.imaging.distances import centred


def blobs(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    images = torch.zeros(count, 28, 28)
    images[:, 9:19, 9:19] = (torch.rand((count, 10, 10), generator=generator) > 0.6).float()
    return images


def test_finds_the_shifted_copy_and_measures_the_others() -> None:
    training = blobs(40)
    samples = torch.cat((training[7][None].roll(2, 1), blobs(3, seed=9)))[:, None]
    found = mem.memorization(
        samples,
        blobs(30, seed=5)[:, None],
        training.to(torch.uint8),
        load_critic("simclr"),
        pairs=2,
    )
    assert found.samples.pixel[0] == pytest.approx(0, abs=1e-6)
    assert found.samples.pixel_index[0] == 7
    assert found.pairs[0].tolist() == [0, 7]
    mine, theirs = centred(samples[2] > 0.5)[0], centred(training > 0.5)
    jaccard = 1 - (mine & theirs).sum((1, 2)) / (mine | theirs).sum((1, 2))
    assert found.samples.pixel[2].item() == pytest.approx(jaccard.min().item(), abs=1e-6)
    assert found.closer_pixel == pytest.approx(0.25)


def test_a_blank_sample_is_near_nothing() -> None:
    training = blobs(10)
    blank = torch.zeros(1, 1, 28, 28)
    found = mem.memorization(
        blank, blobs(4, seed=1)[:, None], training, load_critic("simclr"), pairs=1
    )
    assert found.samples.pixel.item() == 1
