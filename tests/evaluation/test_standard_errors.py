"""Standard errors of means over drawings that resemble each other."""

import math

import pytest
import torch
from tiny import tiny_drawings

from oneshot_cli.evaluation.standard_errors import clusters, standard_error, unit


def test_with_clusters_of_one_it_is_that_of_a_mean() -> None:
    values = torch.randn(50, generator=torch.Generator().manual_seed(0))
    expected = values.double().std().item() / math.sqrt(50)
    assert standard_error(values, torch.randperm(50)) == pytest.approx(expected)


def test_with_equal_clusters_it_is_that_of_the_mean_of_their_means() -> None:
    values = torch.randn(12, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = values.mean(1).std().item() / math.sqrt(12)
    cluster = torch.arange(12).repeat_interleave(5)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    found = standard_error(values.flatten()[order], cluster[order])
    assert found == pytest.approx(expected)


def test_copies_of_a_drawing_do_not_make_a_mean_surer() -> None:
    values = torch.randn(40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    once = standard_error(values, torch.arange(40))
    copied = values.repeat_interleave(20)
    assert standard_error(copied, torch.arange(40).repeat_interleave(20)) == pytest.approx(once)
    assert standard_error(copied, torch.arange(800)) < once / 4


def test_it_is_the_deviation_of_the_mean_from_sample_to_sample() -> None:
    """By simulation: a part that the members of a cluster share, and one of their own."""
    generator = torch.Generator().manual_seed(0)
    shared = torch.randn(4000, 30, 1, generator=generator, dtype=torch.float64)
    values = shared + torch.randn(4000, 30, 8, generator=generator, dtype=torch.float64)
    cluster = torch.arange(30).repeat_interleave(8)
    actual = values.mean((1, 2)).std().item()
    found = [standard_error(each.flatten(), cluster) for each in values[:400]]
    assert sum(found) / len(found) == pytest.approx(actual, rel=0.05)


def test_one_cluster_has_none() -> None:
    assert math.isnan(standard_error(torch.randn(5), torch.zeros(5)))
    assert math.isnan(standard_error(torch.empty(0), torch.empty(0)))


def test_the_split_says_what_is_held_out() -> None:
    names = ("weak", "weak-validation", "strong-30-20", "strong-45-5", "official", None)
    held_out = ["character", "character", "alphabet", "alphabet", "image", "image"]
    assert [unit(name) for name in names] == held_out
    drawings, index = tiny_drawings(), torch.tensor([0, 4, 5, 29])
    assert clusters(drawings, index, "image").tolist() == [0, 1, 2, 3]
    assert clusters(drawings, index, "character").tolist() == [0, 0, 1, 5]
    assert clusters(drawings, index, "alphabet").tolist() == [0, 0, 0, 1]
