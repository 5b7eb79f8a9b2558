"""Refined posteriors: weights that are right for any proposal, and tighter bounds."""

import math
from typing import Any

import pytest
import torch
from tiny import context, images, noise, tiny_drawings, tiny_model
from torch import Tensor, nn

from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation import refinement
from oneshot_cli.evaluation.bounds import evaluate, noise_streams
from oneshot_cli.evaluation.nll import Nll, measure
from oneshot_cli.evaluation.proposals import Proposals
from oneshot_cli.evaluation.refinement import GRADIENT_LIMIT, NOISE_STREAM, limited, refine
from oneshot_cli.model import Context, GenerativeModel, VAEConfig, build
from oneshot_cli.model.config import DRAWConfig, NADEConfig
from oneshot_cli.model.interface import Bound, Engine

DRAWINGS = tiny_drawings(characters=3, each=4)


def vae(**fields: object) -> GenerativeModel:
    torch.manual_seed(0)
    return build(VAEConfig(size=8, latent=(2, 2), hidden=(6, 5), **fields))  # type: ignore[arg-type]


def draw() -> GenerativeModel:
    torch.manual_seed(0)
    model = build(DRAWConfig(size=8, steps=3, latent=2, hidden=6, glimpse=2, patch=3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)  # so that the latents matter
    return model


MODELS = {
    "sequential": tiny_model,
    "learned prior": lambda: tiny_model(prior="learned"),
    "draw": draw,
    "vae": vae,
    "flow": lambda: vae(flow=2),
}


def proposals_for(model: GenerativeModel, count: int, spread: float) -> Proposals:
    return Proposals(
        spread * noise(count, *model.noise_shape, seed=1),
        spread * noise(count, *model.noise_shape, seed=2),
    )


@torch.inference_mode()
def test_the_density_is_that_of_torch_distributions() -> None:
    model = tiny_model()
    proposals = proposals_for(model, 4, 0.5)
    samples = proposals.noise(noise(4, 6, *model.noise_shape))
    own = torch.distributions.Normal(
        proposals.shift[:, None].double(), proposals.log_scale[:, None].double().exp()
    )
    standard = torch.distributions.Normal(0.0, 1.0)
    expected = own.log_prob(samples.double()) - standard.log_prob(samples.double())
    found = proposals.log_ratio(samples, model.latents)
    torch.testing.assert_close(found.double(), expected.sum(-1), atol=1e-5, rtol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("name", MODELS)
def test_importance_weights_have_the_same_mean_for_any_proposal(name: str) -> None:
    """The mean of p(x, z) / q(z) is p(x), whatever q is."""
    model = MODELS[name]()
    x, shown, particles = images(1), context(1, 1), 20_000
    likelihoods = []
    for spread in (0.0, 0.3):
        proposals = proposals_for(model, 1, spread)
        draws = proposals.noise(noise(1, particles, *model.noise_shape, seed=3))
        bound = proposals.corrected(model.bound(x, shown, draws), draws, model.latents)
        weights = bound.log_weight.double()
        relative = (weights - weights.max()).exp()
        error = (relative.std() / relative.mean()).item() / math.sqrt(particles)
        assert error < 0.1
        likelihoods.append((torch.logsumexp(weights, 1).item(), error))
    (usual, error), (other, other_error) = likelihoods
    assert other == pytest.approx(usual, abs=4 * math.hypot(error, other_error))


@pytest.mark.parametrize("name", MODELS)
def test_refined_posteriors_have_tighter_bounds(name: str) -> None:
    """The ELBO's gain is plain. Both importance-weighted bounds are near the same log p(x)."""
    model = MODELS[name]()
    shown = 1 if model.config.conditional else 0
    proposals = refine(model, DRAWINGS, steps=40, context_images=shown)
    usual, refined = (
        evaluate(model, DRAWINGS, proposals=each, context_images=shown, particles=50)
        for each in (None, proposals)
    )
    assert (refined.elbo - usual.elbo).mean() > 0.1
    assert (refined.iwae - usual.iwae).mean().abs() < 0.3


class Line(GenerativeModel):
    """z = noise ~ q = N(0, 1), p(z) = N(0, 1), p(x | z) = N(mean ink of x; 2 z, 0.5^2)."""

    config_type = VAEConfig

    def __init__(self) -> None:
        super().__init__(VAEConfig(size=8, latent=(1,), hidden=(1,)))
        self.device = nn.Parameter(torch.zeros(1))

    @property
    def noise_shape(self) -> tuple[int]:
        return (1,)

    def bound(
        self, x: Tensor, context: Context, noise: Tensor, gradient_limit: float | None = None
    ) -> Bound:
        seen = torch.distributions.Normal(2 * noise[..., 0], 0.5)
        nothing = torch.zeros_like(noise)
        likelihood = seen.log_prob(x.flatten(1).mean(1)[:, None])
        return Bound(likelihood, kl=nothing, log_ratio=nothing, posterior_mean=nothing)

    def sample(self, *_: Any, **__: Any) -> Tensor:
        raise AssertionError

    trace = sample  # type: ignore[assignment]


def test_a_gaussian_posterior_is_found() -> None:
    """Then every importance weight is p(x), and the ELBO is log p(x)."""
    model = Line()
    ink = DRAWINGS.pictures(torch.arange(len(DRAWINGS))).flatten(1).mean(1)
    precision = 1 + 4 / 0.25
    proposals = refine(model, DRAWINGS, steps=300, context_images=0)
    expected = (2 * ink / 0.25 / precision)[:, None]
    torch.testing.assert_close(proposals.shift, expected, atol=1e-3, rtol=0.0)
    scale = torch.full_like(expected, -math.log(precision) / 2)
    torch.testing.assert_close(proposals.log_scale, scale, atol=1e-3, rtol=0.0)
    evidence = torch.distributions.Normal(0.0, math.sqrt(4 + 0.25)).log_prob(ink)
    found = evaluate(model, DRAWINGS, proposals=proposals, context_images=0, particles=3)
    torch.testing.assert_close(found.elbo, evidence, atol=1e-3, rtol=0.0)
    torch.testing.assert_close(found.iwae, evidence, atol=1e-3, rtol=0.0)


def test_the_index_does_not_matter_nor_how_many_are_fitted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, some = tiny_model(), torch.tensor([2, 7])
    whole = refine(model, DRAWINGS, steps=5)
    few = refine(model, DRAWINGS, steps=5, index=some)
    torch.testing.assert_close(few.shift, whole.shift[some], atol=1e-4, rtol=1e-4)
    bounds = evaluate(model, DRAWINGS, proposals=few, index=some, particles=3)
    all_bounds = evaluate(model, DRAWINGS, proposals=whole, particles=3)
    torch.testing.assert_close(bounds.iwae, all_bounds.iwae[some], atol=1e-3, rtol=1e-4)
    monkeypatch.setattr(refinement, "TOGETHER", 3)
    torch.testing.assert_close(
        refine(model, DRAWINGS, steps=5).shift, whole.shift, atol=1e-4, rtol=1e-4
    )


def test_the_batch_of_the_bounds_does_not_change_the_fit() -> None:
    """A fit of many steps, which differs where sums are rounded differently."""
    model = tiny_model()

    def row(batch: int) -> Nll:
        about: dict[str, Any] = {
            "checkpoint": "",
            "part": "test",
            "context": 1,
            "particles": [1],
            "batch": batch,
        }
        network = measure(model, DRAWINGS, **about)
        return measure(model, DRAWINGS, **about, refined=(60, network))

    few, many = row(4), row(250)
    torch.testing.assert_close(few.per_image.elbo, many.per_image.elbo, atol=1e-4, rtol=0.0)


@pytest.mark.parametrize("name", ["draw", "flow"])
def test_the_number_fitted_together_does_not_matter_to_other_models(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, found = MODELS[name](), []
    for together in (1, 32):
        monkeypatch.setattr(refinement, "TOGETHER", together)
        found.append(refine(model, DRAWINGS, steps=4, context_images=0))
    torch.testing.assert_close(found[0].shift, found[1].shift, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(found[0].log_scale, found[1].log_scale, atol=1e-4, rtol=1e-3)


def test_a_fit_that_diverges_leaves_the_networks_posterior(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At a learning rate that throws the ascent far off, to bounds that are finite but worse."""
    assert refine(Line(), DRAWINGS, steps=2, context_images=0).shift.any()
    monkeypatch.setattr(refinement, "LEARNING_RATE", 5.0)
    thrown = refine(Line(), DRAWINGS, steps=2, context_images=0)
    assert not thrown.shift.any()
    assert not thrown.log_scale.any()


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_refinement_draws_noise_of_its_own(seed: int) -> None:
    """Noise that the posterior was fitted to would make its bound too good."""
    index = torch.arange(40)
    drawn = {
        tuple(torch.randn(3, generator=generator).tolist())
        for more in ((), (NOISE_STREAM,))
        for generator in noise_streams(index, seed, *more)
    }
    assert len(drawn) == 2 * len(index)


def test_gradients_are_limited_for_each_image() -> None:
    first, second = noise(3, 2, 2), noise(3, 2, 2, seed=1)
    first[1] *= 1e6
    second[2, 0] = math.nan
    found = torch.cat([each.flatten(1) for each in limited([first, second])], 1)
    plain = torch.cat([first.flatten(1), second.flatten(1)], 1)
    assert torch.equal(found[0], plain[0])
    assert found[1].norm().item() == pytest.approx(GRADIENT_LIMIT)
    torch.testing.assert_close(found[1] / found[1].norm(), plain[1] / plain[1].norm())
    assert not found[2].any()


def test_it_may_be_called_in_inference_mode() -> None:
    model = tiny_model()
    usual = refine(model, DRAWINGS, steps=2)
    with torch.inference_mode():
        assert torch.equal(refine(model, DRAWINGS, steps=2).shift, usual.shift)


def test_no_steps_change_nothing_and_the_model_keeps_its_weights() -> None:
    model = tiny_model()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    usual = evaluate(model, DRAWINGS, particles=200)
    same = evaluate(model, DRAWINGS, proposals=refine(model, DRAWINGS, steps=0), particles=200)
    torch.testing.assert_close(same.iwae, usual.iwae, atol=1e-4, rtol=1e-5)
    # The KL is that of samples here, and in closed form there.
    torch.testing.assert_close(same.elbo.mean(), usual.elbo.mean(), atol=0.1, rtol=0.0)
    refine(model, DRAWINGS, steps=2)
    assert all(torch.equal(before[name], each) for name, each in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())


def test_a_model_without_latents_is_refused() -> None:
    with pytest.raises(OneshotError, match="no latents"):
        refine(build(NADEConfig(size=8, hidden=4)), DRAWINGS, steps=1, context_images=0)


def test_the_engine_has_the_gradient_of_the_noise() -> None:
    model, x, shown = tiny_model(), images(2), context(2, 1)
    found = []
    engines: tuple[Engine, ...] = ("auto", "plain")
    for engine in engines:
        model.use_engine(engine)
        draws = noise(2, 1, 3, 2).requires_grad_()
        model.bound(x, shown, draws).log_weight.sum().backward()
        assert draws.grad is not None
        found.append(draws.grad)
    assert found[0].abs().min() > 0
    torch.testing.assert_close(*found)
