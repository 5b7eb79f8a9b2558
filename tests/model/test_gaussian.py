"""Densities and divergences against torch.distributions."""

import torch
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from oneshot_cli.model.gaussian import (
    gaussian_analytical_kl,
    gaussian_log_density,
    standard_normal_log_density,
    standardized,
)
from oneshot_cli.model.likelihood import bernoulli_log_likelihood

torch.set_default_dtype(torch.float32)


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_log_density_is_that_of_a_normal() -> None:
    z, mean, log_std = numbers(3, 5, 7), numbers(3, 5, 7, seed=1), numbers(3, 5, 7, seed=2)
    expected = Normal(mean, log_std.exp()).log_prob(z).sum(-1)
    torch.testing.assert_close(gaussian_log_density(z, mean, log_std), expected)
    standard = Normal(torch.zeros_like(z), 1.0).log_prob(z).sum(-1)
    torch.testing.assert_close(standard_normal_log_density(z), standard)


def test_kl_is_that_of_two_normals() -> None:
    mean, log_std = numbers(4, 6), numbers(4, 6, seed=1)
    standard = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    expected = kl_divergence(Independent(Normal(mean, log_std.exp()), 1), standard)
    torch.testing.assert_close(gaussian_analytical_kl(mean, log_std), expected)


def test_in_units_of_the_prior_nothing_changes() -> None:
    """KL and ratio of densities of two Gaussians are those after the map to N(0, I)."""
    z, mean, log_std, centre, log_scale = (numbers(3, 5, 7, seed=i) for i in range(5))
    q, p = Normal(mean, log_std.exp()), Normal(centre, log_scale.exp())
    z_, mean_, log_std_ = standardized(z, mean, log_std, (centre, log_scale))
    expected = kl_divergence(Independent(q, 1), Independent(p, 1))
    torch.testing.assert_close(gaussian_analytical_kl(mean_, log_std_), expected)
    ratio = gaussian_log_density(z_, mean_, log_std_) - standard_normal_log_density(z_)
    torch.testing.assert_close(ratio, (q.log_prob(z) - p.log_prob(z)).sum(-1))
    zero = torch.zeros_like(z)
    for same, number in zip(
        standardized(z, mean, log_std, (zero, zero)), (z, mean, log_std), strict=True
    ):
        assert torch.equal(same, number)


def test_bernoulli_is_that_of_torch_and_safe_at_any_logit() -> None:
    logits = numbers(2, 3, 1, 4, 4) * 5
    x = (numbers(2, 3, 1, 4, 4, seed=1) > 0).double()
    expected = Bernoulli(logits=logits).log_prob(x).sum((-3, -2, -1))
    torch.testing.assert_close(bernoulli_log_likelihood(logits, x), expected)
    extreme = torch.full((1, 1, 1, 1), 1e4)
    assert bernoulli_log_likelihood(extreme, torch.zeros(1, 1, 1, 1)).item() == -1e4
    assert bernoulli_log_likelihood(extreme, torch.ones(1, 1, 1, 1)).item() == 0
