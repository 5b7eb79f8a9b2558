"""What a canvas says of an image: binary, grey and colour."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats
from tiny import TINY, context, noise

from oneshot_cli.model import Context, SequentialGenerator, build
from oneshot_cli.model.config import DRAWConfig, SequentialConfig, VAEConfig
from oneshot_cli.model.likelihood import (
    bits_per_dimension,
    discretized_logistic_log_likelihood,
    logistic_mixture_log_likelihood,
)
from oneshot_cli.model.observation import (
    COMPONENTS,
    Bernoulli,
    DiscretizedLogistic,
    LogisticMixture,
)
from oneshot_cli.model.registry import OBSERVATIONS

LEVELS = torch.arange(256) / 255


def density(mean: float, log_scale: float, levels: torch.Tensor = LEVELS) -> torch.Tensor:
    """log P of each level, for one pixel."""
    count = len(levels)
    shape = (count, 1, 1, 1)
    return discretized_logistic_log_likelihood(
        torch.full(shape, mean), torch.full(shape, log_scale), levels.view(shape)
    )


@pytest.mark.parametrize("log_scale", [-9.0, -5.5, -3.0, 0.0, 2.0])
@pytest.mark.parametrize("mean", [0.0, 0.3, 0.998])
def test_the_levels_share_a_mass_of_one(mean: float, log_scale: float) -> None:
    total = density(mean, log_scale).double().exp().sum().item()
    assert total == pytest.approx(1, abs=2e-5)


@pytest.mark.parametrize(("mean", "log_scale"), [(0.3, -3.0), (0.5, -4.5), (0.9, -1.0)])
def test_masses_are_differences_of_the_distribution_function(mean: float, log_scale: float) -> None:
    """Against scipy's logistic in float64, where the difference can be formed at all."""
    logistic = stats.logistic(mean, math.exp(log_scale))
    edges = (np.arange(257) - 0.5) / 255
    edges[0], edges[-1] = -np.inf, np.inf
    upper = logistic.cdf(edges[1:]) - logistic.cdf(edges[:-1])
    lower = logistic.sf(edges[:-1]) - logistic.sf(edges[1:])
    expected = np.log(np.where(np.arange(256) / 255 < mean, upper, lower))
    np.testing.assert_allclose(density(mean, log_scale).numpy(), expected, atol=2e-3, rtol=1e-4)


def test_far_tails_are_finite_and_have_gradients() -> None:
    mean = torch.zeros(2, 1, 1, 1, requires_grad=True)
    log_scale = torch.full((2, 1, 1, 1), -7.0, requires_grad=True)
    x = torch.tensor([1.0, 0.5]).view(2, 1, 1, 1)
    value = discretized_logistic_log_likelihood(mean, log_scale, x)
    value.sum().backward()
    assert torch.isfinite(value).all()
    for gradient in (mean.grad, log_scale.grad):
        assert gradient is not None
        assert torch.isfinite(gradient).all()
        assert (gradient > 0).all()  # nearer, and wider, would be better


def test_observations_start_at_the_mean_of_the_data() -> None:
    for kind, channels in (("bernoulli", 1), ("logistic", 1), ("logistic", 3)):
        made = OBSERVATIONS[kind](channels)
        start = made.initial_parameters(0.3)
        assert start.shape == (made.parameters,)
        picture = made.mean(start[:, None, None].expand(-1, 4, 4))
        torch.testing.assert_close(picture, torch.full((channels, 4, 4), 0.3))
    mixture = LogisticMixture(3)
    parameters = mixture.initial_parameters(0.3)[:, None, None].expand(-1, 4, 4)
    assert len(parameters) == mixture.parameters == 3 * 5 * 3
    picture = mixture.mean(parameters)
    assert picture.shape == (3, 4, 4)
    torch.testing.assert_close(picture, torch.full((3, 4, 4), 0.3), atol=0.05, rtol=0)
    assert Bernoulli(1).parameters == 1
    assert DiscretizedLogistic(3).parameters == 6


def test_channels_and_pixels_are_independent() -> None:
    made = DiscretizedLogistic(3)
    parameters, x = torch.randn(2, 5, 6, 4, 4), torch.randint(256, (2, 5, 3, 4, 4)) / 255
    whole = made.log_likelihood(parameters, x)
    assert whole.shape == (2, 5)
    parts = torch.zeros(2, 5)
    for c in range(3):
        for i, j in product(range(4), range(4)):
            pixel = (..., slice(i, i + 1), slice(j, j + 1))
            parts += DiscretizedLogistic(1).log_likelihood(
                parameters[:, :, [c, c + 3]][pixel], x[:, :, [c]][pixel]
            )
    torch.testing.assert_close(whole, parts, atol=1e-3, rtol=1e-5)


@torch.inference_mode()
def test_a_mixture_is_the_weighted_sum_of_its_logistics() -> None:
    """Each channel of each pixel by itself in float64, from how the docstring lays it out."""
    channels, generator = 2, torch.Generator().manual_seed(0)
    made = LogisticMixture(channels)
    parameters = torch.randn(3, made.parameters, 2, 2, generator=generator, dtype=torch.float64)
    x = torch.randint(256, (3, channels, 2, 2), generator=generator).double() / 255
    expected, mean = torch.zeros(3, dtype=torch.float64), torch.zeros_like(x)
    for b, c, i, j in product(range(3), range(channels), range(2), range(2)):
        numbers = parameters[b, :, i, j]
        weight, centre, log_scale = (
            numbers[[part * COMPONENTS * channels + m * channels + c for m in range(COMPONENTS)]]
            for part in range(3)
        )
        share = weight.exp() / weight.exp().sum()
        total = torch.zeros(())
        for m in range(COMPONENTS):
            spot = centre[m].sigmoid().item()
            total += share[m] * density(spot, log_scale[m].item(), x[b, c, i, j].view(1)).exp()[0]
            mean[b, c, i, j] += share[m] * spot
        expected[b] += torch.log(torch.as_tensor(total))
    torch.testing.assert_close(made.log_likelihood(parameters, x), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(made.mean(parameters), mean)


@torch.inference_mode()
def test_the_levels_share_a_mass_of_one_in_a_mixture() -> None:
    generator = torch.Generator().manual_seed(1)
    weight, centre, scale = 2 * torch.randn(3, 40, 7, 1, 1, 1, generator=generator)
    levels = LEVELS.view(256, 1, 1, 1, 1).expand(256, 40, 1, 1, 1)
    mass = logistic_mixture_log_likelihood(weight, centre.sigmoid(), scale - 3, levels)
    assert mass.shape == (256, 40)
    torch.testing.assert_close(
        mass.double().exp().sum(0), torch.ones(40).double(), atol=1e-4, rtol=0
    )


def test_a_mixture_fits_what_one_logistic_cannot() -> None:
    """Pixels that are either dark or light: a bit and the noise, instead of a broad hill."""
    generator = torch.Generator().manual_seed(2)
    light = torch.rand(500, 1, 1, 1, generator=generator) < 0.5
    x = torch.where(light, 200, 40) + torch.randint(-4, 5, (500, 1, 1, 1), generator=generator)
    found = {}
    for kind in ("logistic", "logistic-mixture"):
        made = OBSERVATIONS[kind](1)
        numbers = made.initial_parameters(0.4)[:, None, None].clone().requires_grad_()
        optimizer = torch.optim.Adam([numbers], lr=0.05)
        for _ in range(400):
            loss = -made.log_likelihood(numbers.expand(500, -1, 1, 1), x / 255).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found[kind] = loss.item()
    entropy = math.log(2) + math.log(9)
    assert entropy - 0.05 < found["logistic-mixture"] < entropy + 0.3
    assert found["logistic"] > found["logistic-mixture"] + 1


def test_bits_per_dimension() -> None:
    """Uniform noise over 256 levels has 8 bits a number."""
    assert bits_per_dimension(3 * 32 * 32 * math.log(256), 3 * 32 * 32) == pytest.approx(8)


@pytest.mark.parametrize(
    "config",
    [
        SequentialConfig(**{**TINY.to_dict(), "channels": 3, "observation": "logistic"}),
        SequentialConfig(
            **{**TINY.to_dict(), "channels": 3, "observation": "logistic", "canvas": "gated"}
        ),
        DRAWConfig(size=8, steps=3, latent=2, hidden=9, channels=3, observation="logistic"),
        VAEConfig(size=8, latent=(4,), hidden=(9,), channels=3, observation="logistic"),
        VAEConfig(size=8, latent=(4,), hidden=(9,), channels=3, observation="logistic-mixture"),
        DRAWConfig(size=8, steps=3, latent=2, hidden=9, channels=3, observation="logistic-mixture"),
        SequentialConfig(**{**TINY.to_dict(), "channels": 3, "observation": "logistic-mixture"}),
    ],
)
def test_models_learn_colour(config: SequentialConfig | DRAWConfig | VAEConfig) -> None:
    """Every weight has a gradient, and a few steps on one picture help."""
    torch.manual_seed(0)
    model = build(config)
    x = (torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 255).round() / 255
    shown = Context.of(x[:, None]) if config.conditional else Context.empty(4, 8)
    draws = noise(4, 2, *model.noise_shape)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    before = after = 0.0
    for i in range(30):
        loss = -model.bound(x, shown, draws).elbo.mean()
        optimizer.zero_grad()
        loss.backward()
        if i == 0:
            before = loss.item()
            for name, parameter in model.named_parameters():
                assert parameter.grad is not None, name
                assert parameter.grad.abs().max() > 0, name
        optimizer.step()
        after = loss.item()
    assert after < before - 5
    picture = model.sample(shown, draws[:, 0], size=12)
    assert picture.shape == (4, 3, 12, 12)
    assert 0 <= picture.min() <= picture.max() <= 1


def test_a_gaussian_or_dense_sequential_model_reads_its_context() -> None:
    for attention in ("gaussian", "fully-connected"):
        torch.manual_seed(0)
        model = SequentialGenerator(SequentialConfig(**{**TINY.to_dict(), "attention": attention}))
        draws = noise(3, 3, 2)
        with torch.inference_mode():
            one = model.trace(context(3, 2), draws)
            two = model.sample(context(3, 2, seed=5), draws)
        assert one.read_windows.shape == one.write_windows.shape == (3, 3, 2, 3)
        assert (one.probabilities - two).abs().max() > 1e-6
