"""The VAE against closed forms, integration and a sequential model of one step."""

import math
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from tiny import OnlyBound, images, noise, tiny_drawings
from torch import Tensor, nn

from oneshot_cli.evaluation.bounds import evaluate
from oneshot_cli.model import (
    VAE,
    Bound,
    Context,
    SequentialConfig,
    SequentialGenerator,
    VAEConfig,
)
from oneshot_cli.model.flow import planar, planar_parameters
from oneshot_cli.model.likelihood import bernoulli_log_likelihood
from oneshot_cli.model.objective import iwae, objective

ONE = VAEConfig(size=8, latent=(3,), hidden=(10,), depth=1)
TWO = VAEConfig(size=8, latent=(3, 2), hidden=(10, 7), depth=2)
EMPTY = Context.empty(4, 8)


def vae(config: VAEConfig, seed: int = 0) -> VAE:
    torch.manual_seed(seed)
    model = VAE(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(2.0)
    return model


@torch.inference_mode()
def test_a_vae_that_knows_nothing_has_a_closed_form() -> None:
    """Weights of zero: q is N(0, 1), the KL is 0, every pixel is Bernoulli(ink)."""
    model: Any = vae(replace(ONE, ink=0.2))
    for parameter in [*model.encoders.parameters(), model.decoder[-1].weight]:
        parameter.zero_()
    x = images(4)
    bound = model.bound(x, EMPTY, noise(4, 2, 3))
    ink = x.sum((1, 2, 3))
    expected = ink * math.log(0.2) + (64 - ink) * math.log(0.8)
    torch.testing.assert_close(bound.elbo, expected[:, None].expand(4, 2))
    torch.testing.assert_close(bound.log_weight, expected[:, None].expand(4, 2))


@torch.inference_mode()
def test_vae_is_a_sequential_model_of_one_step() -> None:
    """A fully connected one, without a context, whose LSTM is the decoder's hidden layer."""
    torch.manual_seed(3)
    sequential = SequentialGenerator(
        SequentialConfig(
            size=8,
            steps=1,
            latent=3,
            hidden=9,
            attention="fully-connected",
            conditional=False,
            canvas_channels=2,
            posterior_units=10,
            image_encoder_units=0,
        )
    )
    sequential.posterior.output.weight.mul_(50)
    sequential.start.normal_()
    model: Any = vae(ONE)
    start, memory = sequential.start[0], sequential.start[1]
    first, last = model.encoders[0][0], model.encoders[0][2]
    embed = sequential.posterior.embed_step
    first.weight.copy_(embed.weight[:, :64])
    first.bias.copy_(embed.bias + embed.weight[:, 64:] @ start)
    last.weight.copy_(sequential.posterior.output.weight)
    last.bias.copy_(sequential.posterior.output.bias)

    class Decoder(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            flat = z.flatten(0, -2)
            state = [s.expand(len(flat), -1) for s in (start, memory)]
            h, _ = sequential.transition.step(*state, flat)
            return sequential.decode(h[:, None], 8).view(*z.shape[:-1], 64)

    model.decoder = Decoder()
    x, draws = images(4), noise(4, 5, 1, 3)
    theirs = sequential.bound(x, EMPTY, draws)
    ours = model.bound(x, EMPTY, draws.flatten(2))
    for name in ("log_likelihood", "kl", "log_ratio"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), atol=1e-4, rtol=1e-5)
    assert theirs.kl.min() > 0.05
    torch.testing.assert_close(
        model.sample(EMPTY, draws[:, 0].flatten(1)), sequential.sample(EMPTY, draws[:, 0])
    )


@torch.inference_mode()
@pytest.mark.parametrize("flow", [0, 3])
def test_two_layers_against_numerical_integration(flow: int) -> None:
    """log p(x) over z_1 and z_2 by quadrature is what the importance weights average to."""
    model: Any = vae(replace(TWO, latent=(1, 1), flow=flow), seed=2)
    for network in model.encoders:  # a posterior that is not far from the truth
        network[-1].weight.mul_(0.3)
    x = images(1, seed=3)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    top, bottom = np.meshgrid(nodes, nodes, indexing="ij")
    grid = torch.from_numpy(np.stack([top.ravel(), bottom.ravel()], 1)).float()
    likelihood = bernoulli_log_likelihood(model.decode(model.generate(grid)), x).double()
    log_prior = torch.from_numpy(np.log(np.outer(weights, weights).ravel() / (2 * np.pi)))
    evidence = torch.logsumexp(likelihood + log_prior, 0).item()

    draws = 40_000
    bound = model.bound(x, Context.empty(1, 8), noise(1, draws, 2))
    relative = (bound.log_weight[0].double() - evidence).exp()
    error = relative.std().item() / math.sqrt(draws)
    assert error < 0.05
    assert relative.mean().item() == pytest.approx(1, abs=4 * error)
    assert bound.elbo.mean().item() < evidence
    if not flow:  # the top has its KL in closed form
        error = (bound.log_ratio - bound.kl)[0, :, 0]
        assert error.mean().item() == pytest.approx(0, abs=4.5 * error.std().item() / 200)


class LinearGaussian(OnlyBound):
    """z ~ N(0, 1), x_i = w_i z + N(0, s^2): its evidence is known. Its posterior is too wide."""

    def __init__(self, weight: Tensor, noise_std: float) -> None:
        super().__init__(VAEConfig(size=8, latent=(1,), hidden=(1,)))
        self.weight: Tensor
        self.register_buffer("weight", weight)
        self.some = nn.Parameter(torch.zeros(1))
        self.s = noise_std

    def evidence(self, x: Tensor) -> Tensor:
        """log N(x; 0, s^2 I + w w^T) by the dense covariance."""
        covariance = self.s**2 * torch.eye(64) + torch.outer(self.weight, self.weight)
        normal = torch.distributions.MultivariateNormal(
            torch.zeros(64, dtype=torch.float64), covariance.double()
        )
        return normal.log_prob(x.flatten(1).double())

    @property
    def noise_shape(self) -> tuple[int]:
        return (1,)

    def bound(
        self, x: Tensor, context: Context, noise: Tensor, gradient_limit: float | None = None
    ) -> Bound:
        precision = 1 + self.weight.square().sum() / self.s**2
        mean = (x.flatten(1) @ self.weight / self.s**2 / precision)[:, None, None] + 0.25
        std = 2.0 * precision**-0.5
        z = mean + std * noise
        q, p = torch.distributions.Normal(mean, std), torch.distributions.Normal(0.0, 1.0)
        observed = torch.distributions.Normal(z * self.weight, self.s)
        return Bound(
            log_likelihood=observed.log_prob(x.flatten(1)[:, None]).sum(-1),
            kl=torch.distributions.kl_divergence(q, p).expand_as(z),
            log_ratio=q.log_prob(z) - p.log_prob(z),
            posterior_mean=mean.expand_as(z),
        )


def test_the_bound_rises_with_k_to_a_known_evidence() -> None:
    """The measurement that `eval-nll` makes, on a model whose log p(x) is known."""
    drawings = tiny_drawings(characters=20, each=20)
    weight = torch.linspace(-0.3, 0.5, 64)
    model = LinearGaussian(weight, 0.4)
    truth = model.evidence(drawings.pictures(torch.arange(len(drawings))))
    gaps = []
    for particles in (1, 4, 30, 1000):
        report = evaluate(model, drawings, context_images=0, particles=particles, batch=8000)
        gap = truth - report.iwae
        gaps.append(gap.mean().item())
        error = gap.std().item() / math.sqrt(len(gap))
    assert gaps[0] > gaps[1] > gaps[2] > gaps[3]
    assert gaps[0] > 0.2
    assert abs(gaps[3]) < 3 * error + 1e-3
    assert error < 0.05


def test_objectives() -> None:
    model = vae(TWO)
    bound = model.bound(images(4), EMPTY, noise(4, 6, 5))
    torch.testing.assert_close(objective(bound), -iwae(bound).mean())
    torch.testing.assert_close(objective(bound, which="elbo"), -bound.elbo.mean())
    assert objective(bound) < objective(bound, which="elbo")


def test_planar_flows_are_their_determinant() -> None:
    """Against the Jacobian by automatic differentiation, in float64."""
    generator = torch.Generator().manual_seed(0)
    z, parameters = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((6, 4), (6, 5, planar_parameters(4)))
    )
    bent, log_det = planar(z, 2 * parameters)
    for i in range(6):
        flow = 2 * parameters[i]
        jacobian = torch.autograd.functional.jacobian(lambda z, p=flow: planar(z, p)[0], z[i])
        sign, expected = torch.linalg.slogdet(jacobian)
        assert sign == 1
        torch.testing.assert_close(log_det[i], expected, atol=1e-5, rtol=1e-5)
    assert (bent - z).abs().mean() > 0.5


@pytest.mark.parametrize("config", [ONE, TWO, replace(ONE, flow=2)])
def test_every_weight_learns(config: VAEConfig) -> None:
    model = vae(config)
    objective(model.bound(images(4), EMPTY, noise(4, 3, sum(config.latent)))).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@torch.inference_mode()
@pytest.mark.parametrize("config", [ONE, TWO])
def test_a_trace_ends_where_the_sample_is(config: VAEConfig) -> None:
    model = vae(config)
    draws = noise(4, sum(config.latent))
    trace = model.trace(EMPTY, draws, temperature=0.9, size=11)
    drawn = model.sample(EMPTY, draws, temperature=0.9, size=11)
    torch.testing.assert_close(trace.probabilities, drawn)
    assert trace.pictures.shape == (4, config.steps, 1, 11, 11)
    assert trace.write_windows.shape == (4, config.steps, 2, 3)
    if config is TWO:
        assert (trace.pictures[:, 0] - trace.pictures[:, 1]).abs().max() > 1e-3
    x = images(4)
    redrawn = model.trace(EMPTY, draws, target=x)
    z = model.infer(x, draws[:, None]).latents[0]
    torch.testing.assert_close(redrawn.probabilities, torch.sigmoid(model.decode(z)[:, 0]))


def test_configurations_survive_json_and_wrong_ones_are_refused() -> None:
    assert VAEConfig.from_dict({**TWO.to_dict(), "latent": [3, 2], "hidden": [10, 7]}) == TWO
    for wrong in ({"latent": (3, 2, 1)}, {"latent": ()}, {"hidden": (0, 2)}, {"depth": 0}):
        with pytest.raises(ValueError, match=r"latent|hidden|depth"):
            replace(TWO, **cast(Any, wrong))
