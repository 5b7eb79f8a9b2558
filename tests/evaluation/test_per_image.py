"""Estimates from the bounds of each image, and their errors from sample to sample."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from oneshot_cli.evaluation.per_image import PerImage


def simulated(generator: torch.Generator, characters: int = 40, each: int = 10) -> PerImage:
    """ELBOs of mean 100 that differ between characters, and a gap of 5 on every fifth image."""
    hard = 3 * torch.randn(characters, 1, generator=generator, dtype=torch.float64)
    own = torch.randn(characters, each, generator=generator, dtype=torch.float64)
    elbo = (100 + hard + own).flatten()
    noise = 0.3 * torch.randn(len(elbo), generator=generator, dtype=torch.float64)
    index = torch.arange(0, len(elbo), 5)
    iwae = elbo - 5 - 0.1 * (elbo - 100) - noise
    cluster = torch.arange(characters).repeat_interleave(each)
    return PerImage("", index, cluster, elbo[index], {50: iwae[index]}, elbo)


def test_the_whole_set_is_estimated_without_bias_and_with_the_right_error() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = [simulated(generator).whole_set() for _ in range(600)]
    figures = [whole.iwae[50] for whole in drawn if whole is not None]
    values = torch.tensor([figure.value for figure in figures])
    assert values.mean().item() == pytest.approx(95, abs=0.1)
    clustered = sum(figure.error for figure in figures) / 600
    assert clustered == pytest.approx(values.std().item(), rel=0.08)
    assert sum(figure.naive_error for figure in figures) / 600 < clustered / 2


def test_the_whole_set_makes_the_bound_of_few_images_surer() -> None:
    """Where images are independent: 80 of 400, and the gap is a tenth as variable as the bound."""
    each = simulated(torch.Generator().manual_seed(1), characters=400, each=1)
    whole = each.whole_set()
    assert whole is not None
    assert whole.iwae[50].error < each.mean(each.iwae[50]).error / 2


def test_the_whole_set_of_another_posterior_is_that_of_the_network_minus_the_gap() -> None:
    each = simulated(torch.Generator().manual_seed(3))
    refined = replace(each, elbo=each.elbo - 2, iwae={50: each.iwae[50] - 1}, control=each.elbo)
    whole, network = refined.whole_set(), each.whole_set()
    assert whole is not None
    assert network is not None
    assert whole.elbo.value == pytest.approx(network.elbo.value - 2)
    assert whole.iwae[50].value == pytest.approx(network.iwae[50].value - 1)
    assert whole.iwae[50].error == pytest.approx(network.iwae[50].error)
    difference = (refined - each).whole_set()
    assert difference is not None
    assert difference.elbo.value == pytest.approx(-2)
    assert difference.iwae[50].value == pytest.approx(-1)


def test_differences_are_of_the_same_images_only() -> None:
    generator = torch.Generator().manual_seed(2)
    one, other = simulated(generator), simulated(generator)
    assert torch.equal((one - other).elbo, one.elbo - other.elbo)
    elsewhere = PerImage("other pictures", one.index, one.cluster, one.elbo)
    fewer = PerImage("", one.index[1:], one.cluster, one.elbo[1:])
    for unlike in (elsewhere, fewer):
        assert not one.pairs_with(unlike)
        with pytest.raises(ValueError, match="the same images"):
            one - unlike
