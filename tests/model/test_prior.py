"""The learned prior against torch.distributions, step by step."""

from typing import Any

import torch
from tiny import context, images, noise, tiny_model
from torch.distributions import Independent, Normal, kl_divergence

from oneshot_cli.model.prior import LearnedPrior, StandardPrior


def learned(**changes: Any) -> LearnedPrior:
    prior = tiny_model(prior="learned", **changes).prior
    assert isinstance(prior, LearnedPrior)
    return prior


@torch.inference_mode()
def test_the_terms_of_the_bound_are_those_of_two_gaussians() -> None:
    """KL and log-ratio of every step, with the prior made from the state before that step."""
    model = tiny_model(prior="learned")
    x, shown, draws = images(4), context(4, 2), noise(4, 1, 3, 2)
    bound = model.bound(x, shown, draws)
    states = model.unroll(draws[:, 0], shown, x)
    assert states.latent is not None
    h = model.start[0].expand(4, -1)
    for t in range(3):
        z, mean, log_std = (each[:, t] for each in states.latent)
        centre, log_scale = model.prior(h)
        q = Independent(Normal(mean, log_std.exp()), 1)
        p = Independent(Normal(centre, log_scale.exp()), 1)
        torch.testing.assert_close(bound.kl[:, 0, t], kl_divergence(q, p))
        ratio = q.log_prob(z) - p.log_prob(z)
        torch.testing.assert_close(bound.log_ratio[:, 0, t], ratio, atol=1e-4, rtol=1e-4)
        means = bound.posterior_mean.view(4, 3, 2)[:, t]
        torch.testing.assert_close(means, (mean - centre) / log_scale.exp())
        h = states.h[:, t]


@torch.inference_mode()
def test_drawing_starts_each_step_from_the_priors_mean() -> None:
    """Without noise z_t is the mean of p(z_t | h_{t-1}), with noise so many deviations from it."""
    model = tiny_model(prior="learned")
    shown, draws = context(2, 1), noise(2, 3, 2)
    h = model.unroll(draws, shown).h
    before = torch.cat([model.start[0].expand(2, 1, -1), h[:, :-1]], 1)
    mean, log_std = model.prior(before)
    plain = tiny_model(prior="standard")
    shared = {n: w for n, w in model.state_dict().items() if not n.startswith("prior.")}
    plain.load_state_dict(shared)
    latents = mean + log_std.exp() * draws
    torch.testing.assert_close(plain.unroll(latents, shown).h, h)


def test_it_begins_as_the_standard_normal() -> None:
    config = tiny_model().config
    for prior in (StandardPrior(config), LearnedPrior(config)):
        mean, log_std = prior(noise(5, 7, config.hidden))
        assert mean.shape == log_std.shape == (5, 7, config.latent)
        assert not mean.any()
        assert not log_std.any()


def test_a_deviation_has_limits() -> None:
    """The KL of a step stays finite, whatever the state."""
    mean, log_std = learned()(1e4 * noise(3, 12))
    assert torch.isfinite(mean).all()
    assert log_std.min() >= -4
    assert log_std.max() <= 1
