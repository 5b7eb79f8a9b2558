"""Active latents: on a posterior whose activity is known, and every model's own means."""

from dataclasses import replace

import pytest
import torch
from tiny import OnlyBound, context, images, noise, tiny_drawings, tiny_model
from torch import Tensor, nn

from oneshot_cli.evaluation import nll
from oneshot_cli.evaluation.activity import THRESHOLD, Activity
from oneshot_cli.evaluation.bounds import evaluate
from oneshot_cli.model import (
    DRAW,
    VAE,
    Bound,
    Context,
    DRAWConfig,
    GenerativeModel,
    SequentialGenerator,
    VAEConfig,
)
from oneshot_cli.model.likelihood import bernoulli_log_likelihood

DRAWINGS = tiny_drawings(characters=20, each=10)
INK = DRAWINGS.pictures(torch.arange(200)).mean((1, 2, 3))


class Known(OnlyBound):
    """Step 1 copies the mean ink of x, loudly, at the brink and not at all; step 2 only follows
    the noise of the latents before."""

    def __init__(self) -> None:
        super().__init__(VAEConfig(size=8, latent=(1, 3), hidden=(1, 1)))
        self.some = nn.Parameter(torch.zeros(1))

    @property
    def noise_shape(self) -> tuple[int]:
        return (4,)

    @property
    def latents(self) -> tuple[int, int]:
        return (3, 1)

    def bound(
        self, x: Tensor, context: Context, noise: Tensor, gradient_limit: float | None = None
    ) -> Bound:
        ink = (x.mean((1, 2, 3)) / INK.std())[:, None, None].expand(*noise.shape[:2], 1)
        brink = 0.9 * THRESHOLD**0.5 * ink
        mean = torch.cat([2 + ink, brink, torch.zeros_like(ink), noise[..., :1]], -1)
        nothing = noise.new_zeros(*noise.shape[:2], 2)
        return Bound(nothing[..., 0], nothing, nothing, mean)


@pytest.mark.parametrize("particles", [2, 40])
def test_a_latent_that_copies_x_is_active_and_one_that_ignores_it_is_not(particles: int) -> None:
    report = evaluate(Known(), DRAWINGS, context_images=0, particles=particles, batch=77)
    variance = report.activity.variance
    assert variance is not None
    assert variance[0].item() == pytest.approx(1, abs=1e-4)
    assert variance[1].item() == pytest.approx(0.81 * THRESHOLD, rel=1e-4)
    assert variance[2].item() == pytest.approx(0, abs=1e-9)
    # What the error of the estimate leaves is as often below zero as above.
    assert abs(variance[3].item()) < 4 * (2 / 200) ** 0.5 / particles
    assert variance.tolist()[3] < 0.5 / particles, "the error was not subtracted"


def test_activity_reaches_the_figures() -> None:
    def measured(particles: int, limit: int = 200) -> nll.Nll:
        return nll.measure(
            Known(),
            DRAWINGS,
            checkpoint="known",
            part="test",
            context=0,
            particles=[1, particles],
            limit=limit,
        )

    found = measured(500)
    assert (found.latents, found.active) == ((3, 1), (1, 0))
    assert found.as_dict()["active_latents_per_step"] == [1, 0]
    assert (found.as_dict()["active_latents"], found.as_dict()["latents"]) == (1, 4)
    for silent in (measured(1), measured(5, limit=1)):
        assert silent.active is None
        assert silent.as_dict()["active_latents"] is None


def test_parts_add_up_to_the_estimate_of_the_definition() -> None:
    """Of 30 images with 6 particles: variance between images less a sixth of that within."""
    means = noise(30, 6, 4).double() + 3 * noise(30, 1, 4, seed=1).double()
    parts = [Activity.of(part.sum(1), part.square().sum(1), 6) for part in means.split([1, 12, 17])]
    whole = parts[0] + parts[1] + parts[2]
    expected = means.mean(1).var(0) - means.var(1).mean(0) / 6
    torch.testing.assert_close(whole.variance, expected)
    assert parts[0].variance is None
    with pytest.raises(ValueError, match="particles"):
        parts[0] + Activity.of(means.sum(1), means.square().sum(1), 3)


def draw_model() -> DRAW:
    torch.manual_seed(0)
    return DRAW(DRAWConfig(size=8, steps=3, latent=2, hidden=12, glimpse=3, patch=4))


def two_layers(flow: int = 0) -> VAE:
    torch.manual_seed(0)
    return VAE(VAEConfig(size=8, latent=(3, 2), hidden=(10, 7), flow=flow))


@torch.inference_mode()
def test_without_noise_the_means_are_the_latents() -> None:
    """Drawing from a model's posterior means is what it draws when its noise is zero."""
    x, shown = images(4), context(4, 1)
    sequential, draw, vae = tiny_model(), draw_model(), two_layers()
    for model in (sequential, draw, vae):
        assert isinstance(model, GenerativeModel)
        still = torch.zeros(4, 1, *model.noise_shape)
        bound = model.bound(x, shown, still)
        assert bound.posterior_mean.shape == (4, 1, sum(model.latents))
        assert len(model.latents) == model.config.steps == bound.kl.shape[-1]
        assert bound.posterior_mean.abs().max() > 1e-3
        z = bound.posterior_mean[:, 0]
        if isinstance(model, SequentialGenerator):
            h = model.unroll(z.view(4, 3, 2), shown).h
            parameters = model.decode(h, 8)
        elif isinstance(model, DRAW):
            parameters = model.canvases(model.generate(z.view(4, 3, 2)), 8)[:, -1]
        else:
            parameters = model.decode(z[:, 2:])  # the top layer, of 2, comes first
        torch.testing.assert_close(
            bernoulli_log_likelihood(parameters, x), bound.log_likelihood[:, 0]
        )


@torch.inference_mode()
def test_particles_have_means_of_their_own_where_they_depend_on_latents_before() -> None:
    x, shown = images(4), context(4, 1)
    for model, first in ((tiny_model(), 2), (draw_model(), 2)):
        means = model.bound(x, shown, noise(4, 5, *model.noise_shape)).posterior_mean
        spread = means.std(1)
        assert spread[:, :first].max() < 1e-6, "the first step depends on x alone"
        assert spread[:, first:].min() > 1e-7
    top, below = two_layers().bound(x, shown, noise(4, 5, 5)).posterior_mean.std(1).split([2, 3], 1)
    assert below.max() < 1e-6
    assert top.min() > 1e-7


@torch.inference_mode()
def test_a_flow_is_represented_by_its_samples() -> None:
    model, draws = two_layers(flow=2), noise(4, 5, 5)
    found = model.infer(images(4), draws)
    means = model.bound(images(4), Context.empty(4, 8), draws).posterior_mean
    torch.testing.assert_close(means, torch.cat(found.latents[::-1], -1))
    assert replace(model.config, flow=0).latent[::-1] == model.latents
