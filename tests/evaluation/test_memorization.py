"""The nearest training drawings: copies are found, wherever they lie; shares are counted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from oneshot_cli import data
from oneshot_cli.evaluation import memorization as mem
from oneshot_cli.evaluation.critics import load_critic
from oneshot_cli.evaluation.oneshot_scores import Estimate
from oneshot_cli.evaluation.report import recall_note
from oneshot_cli.imaging.distances import centred

OMNIGLOT = Path(os.environ.get("ONESHOT_DATA", "/nowhere")) / "omniglot" / "images_evaluation.zip"


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
        sample_character=torch.arange(4),
        held_out_character=torch.arange(30) % 4,
        pairs=2,
    )
    assert found.samples.pixel[0] == pytest.approx(0, abs=1e-6)
    assert found.samples.pixel_index[0] == 7
    assert found.pairs[0].tolist() == [0, 7]
    mine, theirs = centred(samples[2] > 0.5)[0], centred(training > 0.5)
    jaccard = 1 - (mine & theirs).sum((1, 2)) / (mine | theirs).sum((1, 2))
    assert found.samples.pixel[2].item() == pytest.approx(jaccard.min().item(), abs=1e-6)
    assert found.closer_pixel.value == pytest.approx(0.25)
    assert found.closer_pixel.low == 0, "one of four characters has a copy"
    assert found.closer_pixel.high > 0.5


def test_a_blank_sample_is_near_nothing() -> None:
    training = blobs(10)
    blank = torch.zeros(1, 1, 28, 28)
    found = mem.memorization(
        blank,
        blobs(4, seed=1)[:, None],
        training,
        load_critic("simclr"),
        sample_character=torch.zeros(1),
        held_out_character=torch.arange(4),
        pairs=1,
    )
    assert found.samples.pixel.item() == 1


@pytest.mark.skipif(not OMNIGLOT.is_file(), reason="Omniglot is not at hand")
def test_a_model_that_copies_training_drawings_is_flagged_and_people_are_not() -> None:
    drawings = data.load("omniglot", split="weak", part="test", size=28)
    few = torch.arange(len(drawings)) % 20 < 6
    images, character = drawings.images[few], drawings.character[few]
    training = data.load("omniglot", split="weak", part="train", size=28).images[::50]
    held_out, theirs = (images[start::2][:, None].float() for start in (0, 1))
    copies = theirs.clone()
    copies[::4] = mem.noisy_copies(training, len(copies[::4]), seed=3)

    def flagged(samples: torch.Tensor) -> mem.Memorization:
        characters = character[::2]
        return mem.memorization(
            samples,
            held_out,
            training,
            load_critic("simclr"),
            sample_character=characters,
            held_out_character=characters,
        )

    copier, people = flagged(copies), flagged(theirs)
    assert copier.flagged
    assert copier.closer_pixel.value > 0.1
    assert copier.closer_pixel.low < copier.closer_pixel.value < copier.closer_pixel.high
    assert not people.flagged
    assert people.copies_pixel > 0.3
    assert people.copies_critic > 0.05


def test_the_interval_covers_the_share_of_people_who_are_drawn_from_the_same() -> None:
    """By simulation: distances that differ between characters, as those of people's drawings do."""
    generator = torch.Generator().manual_seed(0)
    character = torch.arange(60).repeat_interleave(20)
    covered, widths, values = 0, [], []
    for _ in range(40):
        of_character = 0.5 * torch.randn(60, generator=generator)[character]
        samples, held_out = of_character + torch.randn(2, 1200, generator=generator)
        share = mem.share_closer(samples, held_out, character, character)
        covered += share.low <= 0.01 <= share.high
        widths.append(share.high - share.low)
        values.append(share.value)
    assert covered >= 33
    normal = 2 * 1.96 * torch.tensor(values).std().item()
    assert 0.7 < torch.tensor(widths).mean().item() / normal < 1.5, "and it is no wider than that"


@pytest.mark.parametrize(
    ("pixel", "critic", "copies"),
    [(0.019, 0.019, False), (0.021, 0.0, True), (0.0, 0.021, True)],
)
def test_a_model_is_flagged_where_more_is_near_than_twice_by_chance(
    pixel: float, critic: float, copies: bool
) -> None:
    """By the lower ends of the intervals, of either distance; the report says the same."""
    near = mem.Nearest(torch.ones(3), torch.zeros(3).long(), torch.ones(3))
    by_pixel, by_critic = (Estimate(0.05, low, 0.1) for low in (pixel, critic))
    found = mem.Memorization(near, near, by_pixel, by_critic, 1.0, 1.0, torch.zeros(0, 2))
    assert found.flagged == copies
    said = "the model copies" if copies else "no sign of copying"
    assert said in recall_note(found)
