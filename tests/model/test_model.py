"""The sequential generator against plain forms, brute force and its own promises."""

import math
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny import TINY, context, images, noise, tiny_model
from torch import nn

from oneshot_cli.model import Context
from oneshot_cli.model.canvas import GatedCanvas
from oneshot_cli.model.image_encoder import downsampled
from oneshot_cli.model.likelihood import bernoulli_log_likelihood
from oneshot_cli.model.lstm import LSTM
from oneshot_cli.model.objective import iwae, objective
from oneshot_cli.model.sequential import interpolate_latent, limit_gradient

CANVASES = ["additive", "gated"]
WITH_ADDITIONS = {"prior": "learned", "output": "residual", "output_channels": 3}
ADDITIONS = pytest.mark.parametrize("additions", [{}, WITH_ADDITIONS], ids=["paper", "additions"])


@pytest.mark.parametrize("canvas", CANVASES)
def test_batched_writes_equal_the_step_by_step_form(canvas: str) -> None:
    """The last canvas, its gradient with respect to every weight, and at another size."""
    model = tiny_model(canvas=canvas)
    states = model.unroll(noise(5, 3, 2), context(5, 1))
    for size in (8, 21):
        batched = model.decode(states.h, size)
        plain = model.canvases(states.h, size)[:, -1]
        torch.testing.assert_close(batched, plain, atol=1e-5, rtol=1e-5)
        weights = [*model.writer.parameters(), *model.canvas.parameters()]
        weights.append(cast(nn.Parameter, model.transition.weight))
        value = torch.linspace(-1, 1, plain.numel()).view_as(plain)
        fast = torch.autograd.grad((batched * value).sum(), weights, retain_graph=True)
        slow = torch.autograd.grad((plain * value).sum(), weights, retain_graph=True)
        for a, b in zip(fast, slow, strict=True):
            torch.testing.assert_close(a, b, atol=2e-4, rtol=2e-4)


def test_gated_canvas_is_a_cgru_of_plain_convolutions() -> None:
    """Against the equations of Kaiser & Sutskever 2015 on the sum of canvas and write.

    Each convolution is by unfolding patches.
    """
    torch.manual_seed(0)
    canvas = GatedCanvas(3, torch.zeros(1))
    c, w = torch.randn(2, 3, 6, 6), torch.randn(2, 3, 6, 6)

    def convolve(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        columns = F.unfold(x, 3, padding=1)
        return (weight.flatten(1) @ columns + bias[:, None]).view(len(x), -1, 6, 6)

    weight, bias = canvas.gates.weight, canvas.gates.bias
    assert bias is not None
    assert canvas.candidate.bias is not None
    s = c + w
    u = torch.sigmoid(convolve(s, weight[:3], bias[:3]))
    r = torch.sigmoid(convolve(s, weight[3:], bias[3:]))
    candidate = torch.tanh(convolve(r * s, canvas.candidate.weight, canvas.candidate.bias))
    torch.testing.assert_close(canvas(c, w), u * s + (1 - u) * candidate)


def test_a_gated_canvas_begins_as_a_sum_of_writes() -> None:
    canvas = GatedCanvas(3, torch.zeros(1))
    after, writes = torch.zeros(1, 3, 6, 6), noise(5, 1, 3, 6, 6)
    for write in writes:
        after = canvas(after, write)
    assert torch.corrcoef(torch.stack([after.flatten(), writes.sum(0).flatten()]))[0, 1] > 0.95


def test_step_is_an_lstm() -> None:
    """Against torch.nn.LSTMCell with the same weights."""
    model = tiny_model()
    hidden, width = TINY.hidden, TINY.latent + TINY.context_units
    cell = torch.nn.LSTMCell(width, hidden)
    with torch.no_grad():
        cell.weight_ih.copy_(model.transition.weight[:, :width])
        cell.weight_hh.copy_(model.transition.weight[:, width:])
        cell.bias_ih.copy_(model.transition.bias)
        cell.bias_hh.zero_()
    h, c = noise(4, hidden, seed=1), noise(4, hidden, seed=2)
    z, v = noise(4, TINY.latent, seed=3), noise(4, TINY.context_units, seed=4)
    for ours, theirs in zip(
        model.transition.step(h, c, z, v), cell(torch.cat([z, v], 1), (h, c)), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


@torch.inference_mode()
@ADDITIONS
def test_bound_of_a_tiny_model_against_numerical_integration(additions: dict[str, Any]) -> None:
    """log p(x | x') over two latents by quadrature: above the ELBO, and where L_K converges.

    The quadrature is over the noise, whose distribution is the same for every prior.
    """
    model = tiny_model(steps=2, latent=1, **additions)
    x, shown = images(1, seed=3), context(1, 1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(48)
    z1, z2 = np.meshgrid(nodes, nodes, indexing="ij")
    latents = torch.from_numpy(np.stack([z1.ravel(), z2.ravel()], 1)).float()[:, :, None]
    h = model.unroll(latents, Context.of(shown.images.expand(len(latents), 1, 1, 8, 8))).h
    likelihoods = bernoulli_log_likelihood(model.decode(h, 8).double(), x.double())
    log_prior = torch.from_numpy(np.log(np.outer(weights, weights).ravel() / (2 * np.pi)))
    evidence = torch.logsumexp(likelihoods + log_prior, 0).item()

    bound = model.bound(x, shown, noise(1, 20_000, 2, 1))
    elbo = bound.elbo.mean().item()
    assert elbo < evidence - 0.02
    weights_ = bound.log_weight[0].double().exp() / math.exp(evidence)
    error = weights_.std().item() / math.sqrt(20_000)
    assert weights_.mean().item() == pytest.approx(1, abs=4 * error)
    assert error < 0.02
    # L_K rises with K towards the evidence.
    rising = [
        (torch.logsumexp(bound.log_weight.view(-1, k), 1) - math.log(k)).mean().item()
        for k in (1, 10, 100)
    ]
    assert rising[0] < rising[1] < rising[2] < evidence + 4 * error
    assert evidence - rising[2] < 0.05


@torch.inference_mode()
@ADDITIONS
def test_sampled_kl_has_the_analytic_mean(additions: dict[str, Any]) -> None:
    bound = tiny_model(**additions).bound(images(1), context(1, 1), noise(1, 40_000, 3, 2))
    sampled, analytic = bound.log_ratio.mean((0, 1)), bound.kl.mean((0, 1))
    error = (bound.log_ratio - bound.kl).std((0, 1)) / math.sqrt(40_000)
    assert ((sampled - analytic).abs() < 4.5 * error + 1e-6).all()


def test_objective_is_the_bound_it_names() -> None:
    model = tiny_model()
    x, shown = images(4), context(4, 1)
    one = model.bound(x, shown, noise(4, 1, 3, 2))
    torch.testing.assert_close(objective(one), -one.elbo.mean())
    torch.testing.assert_close(
        objective(one, 0.5), (0.5 * one.kl.sum(-1) - one.log_likelihood).mean()
    )
    many = model.bound(x, shown, noise(4, 7, 3, 2))
    plain = torch.log(torch.exp(many.log_weight.double()).mean(1))
    torch.testing.assert_close(iwae(many).double(), plain, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(objective(many).double(), -plain.mean(), atol=1e-4, rtol=1e-5)
    weights = many.log_likelihood - 0.3 * many.log_ratio.sum(-1)
    weighted = -(weights.logsumexp(1) - math.log(7)).mean()
    torch.testing.assert_close(objective(many, 0.3), weighted)
    terms = 0.3 * many.kl.sum(-1) - many.log_likelihood
    torch.testing.assert_close(objective(many, 0.3, "elbo"), terms.mean())


def test_free_bits_leave_a_group_alone_until_it_says_more() -> None:
    """Each group's mean over the batch counts as far as it exceeds them (Kingma et al. 2016)."""
    model = tiny_model()
    bound = model.bound(images(4), context(4, 1), noise(4, 1, 3, 2))
    groups = bound.kl.mean((0, 1)).detach()
    assert groups[1] != groups[2]
    free = groups.sort().values[1].item() + 1e-6  # one group of the three lies above
    expected = groups.clamp(min=free).sum() - bound.log_likelihood.mean()
    torch.testing.assert_close(objective(bound, free_bits=free), expected)
    (of_kl,) = torch.autograd.grad(objective(bound, free_bits=free), bound.kl, retain_graph=True)
    assert (of_kl.abs().sum((0, 1)) > 0).tolist() == (groups > free).tolist()
    torch.testing.assert_close(objective(bound, free_bits=0.0), objective(bound))


@torch.inference_mode()
def test_particles_equal_a_batch_of_repeated_examples() -> None:
    model = tiny_model()
    x, shown, draws = images(3), context(3, 2), noise(3, 4, 3, 2)
    together = model.bound(x, shown, draws)
    for k in range(4):
        alone = model.bound(x, shown, draws[:, k : k + 1])
        torch.testing.assert_close(together.elbo[:, k], alone.elbo[:, 0], atol=1e-4, rtol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("canvas", CANVASES)
def test_a_sample_does_not_depend_on_its_batch(canvas: str) -> None:
    model = tiny_model(canvas=canvas)
    shown, draws = context(6, 2), noise(6, 3, 2)
    together = model.sample(shown, draws)
    assert torch.equal(together, model.sample(shown, draws))
    for i in range(6):
        mine = Context(*(t[i : i + 1] for t in (shown.images, shown.mask, shown.alphabet)))
        torch.testing.assert_close(
            model.sample(mine, draws[i : i + 1])[0], together[i], atol=1e-5, rtol=1e-4
        )


@torch.inference_mode()
def test_the_context_is_a_set() -> None:
    """Order, hidden members and absence: what does not count does not change anything."""
    model = tiny_model()
    shown, draws = context(3, 4), noise(3, 3, 2)
    drawn = model.sample(shown, draws)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = Context(shown.images[:, order], shown.mask[:, order], shown.alphabet)
    torch.testing.assert_close(model.sample(shuffled, draws), drawn, atol=1e-5, rtol=1e-4)

    longer = Context(
        torch.cat([shown.images, images(3, 2, seed=9)], 1),
        F.pad(shown.mask, (0, 2)),
        shown.alphabet,
    )
    torch.testing.assert_close(model.sample(longer, draws), drawn, atol=1e-5, rtol=1e-4)

    nothing = Context(shown.images, torch.zeros_like(shown.mask), shown.alphabet)
    empty = model.sample(Context.empty(3, 8), draws)
    torch.testing.assert_close(model.sample(nothing, draws), empty, atol=1e-5, rtol=1e-4)

    assert (drawn - empty).abs().max() > 1e-3
    assert (model.sample(Context.of(images(3, 4, seed=8)), draws) - drawn).abs().max() > 1e-3
    other_kind = Context(shown.images, shown.mask, ~shown.alphabet)
    assert (model.sample(other_kind, draws) - drawn).abs().max() > 1e-4


@torch.inference_mode()
@ADDITIONS
def test_trace_ends_where_the_sample_is(additions: dict[str, Any]) -> None:
    model = tiny_model(canvas="gated", **additions)
    shown, draws = context(2, 1), noise(2, 3, 2)
    trace = model.trace(shown, draws, temperature=0.7, size=11)
    drawn = model.sample(shown, draws, temperature=0.7, size=11)
    torch.testing.assert_close(trace.probabilities, drawn, atol=1e-5, rtol=1e-4)
    assert trace.pictures.shape == (2, 3, 1, 11, 11)
    assert trace.write_windows.shape == trace.read_windows.shape == (2, 3, 2, 3)
    assert trace.target_windows is None
    redrawn = model.trace(shown, draws, target=images(2))
    assert redrawn.target_windows is not None


@torch.inference_mode()
@ADDITIONS
def test_temperature_scales_the_noise(additions: dict[str, Any]) -> None:
    model = tiny_model(**additions)
    shown, draws = context(2, 1), noise(2, 3, 2)
    torch.testing.assert_close(
        model.sample(shown, draws, temperature=0.3), model.sample(shown, 0.3 * draws)
    )
    still = model.sample(shown, draws, temperature=0.0)
    assert torch.equal(still, model.sample(shown, noise(2, 3, 2, seed=9), temperature=0.0))


def test_limited_gradients_keep_their_direction_and_their_bound() -> None:
    h = noise(3, 4).requires_grad_()
    weight = torch.tensor([[1.0], [10.0], [1000.0]]) * noise(3, 4, seed=1)
    (gradient,) = torch.autograd.grad((limit_gradient(h, 5.0) * weight).sum(), h)
    norms = weight.norm(dim=-1)
    torch.testing.assert_close(gradient.norm(dim=-1), norms.clamp(max=5.0))
    torch.testing.assert_close(F.normalize(gradient), F.normalize(weight))


@ADDITIONS
@pytest.mark.parametrize("canvas", CANVASES)
def test_every_weight_learns(canvas: str, additions: dict[str, Any]) -> None:
    """No part of the model is left out of the bound."""
    model = tiny_model(canvas=canvas, **additions)
    objective(model.bound(images(4), context(4, 2), noise(4, 1, 3, 2))).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_a_wrong_configuration_is_refused() -> None:
    for wrong in ({"steps": 0}, {"canvas": "paper"}, {"ink": 1.0}, {"prior": "none"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            tiny_model(**wrong)


def test_larger_images_are_brought_to_the_size_that_is_read() -> None:
    """The bound of a large image: its latents see the small one, its likelihood is its own."""
    torch.manual_seed(0)
    model = tiny_model(size=16, read_size=8)
    large, small = images(4, size=16), torch.zeros(4, 1, 8, 8)
    for image, half in zip(large, small, strict=True):
        half[0] = torch.nn.functional.interpolate(
            image[None], (8, 8), mode="bilinear", antialias=True
        )[0, 0]
    shown = Context.of(images(4, 2, size=16))
    seen = Context.of(downsampled(shown.images.flatten(0, 1), 8).unflatten(0, (4, 2)))
    draws = noise(4, 1, *model.noise_shape)
    own, read = model.bound(large, shown, draws), model.bound(small, seen, draws)
    torch.testing.assert_close(own.kl, read.kl)
    states = model.unroll(draws.flatten(0, 1), seen, small)
    expected = torch.distributions.Bernoulli(logits=model.decode(states.h, 16)).log_prob(large)
    torch.testing.assert_close(own.log_likelihood[:, 0], expected.sum((1, 2, 3)))


def test_a_stroke_finer_than_a_pixel_is_still_seen_when_shrunk() -> None:
    image = torch.zeros(1, 1, 52, 52)
    image[..., 25] = 1
    assert downsampled(image, 28).sum(-1).min() > 0.4
    assert downsampled(image, 52) is image


@torch.inference_mode()
@ADDITIONS
def test_closeness_leads_from_the_prior_to_the_posteriors_mean(additions: dict[str, Any]) -> None:
    model = tiny_model(**additions)
    shown, draws, target = context(2, 1), noise(2, 3, 2), images(2)
    free = model.sample(shown, draws, temperature=0.8)
    near = model.sample(shown, draws, temperature=0.8, target=target, closeness=0.0)
    torch.testing.assert_close(near, free)
    redrawn = model.sample(shown, draws, target=target, closeness=1.0)
    mean = model.unroll(torch.zeros_like(draws), shown, target)
    torch.testing.assert_close(redrawn, torch.sigmoid(model.decode(mean.h, 8)))
    between = model.sample(shown, draws, temperature=0.8, target=target, closeness=0.5)
    for end in (free, redrawn):
        assert (between - end).abs().max() > 1e-4
    film = model.trace(shown, draws, temperature=0.8, size=11, target=target, closeness=0.5)
    drawn = model.sample(shown, draws, temperature=0.8, size=11, target=target, closeness=0.5)
    torch.testing.assert_close(film.probabilities, drawn, atol=1e-5, rtol=1e-4)


def test_between_is_a_mixture_that_keeps_the_priors_variance() -> None:
    generator = torch.Generator().manual_seed(0)
    centre, log_std = torch.tensor([1.0, -2.0]), torch.tensor([0.3, -0.7])
    draw = lambda: torch.randn(100_000, 2, generator=generator)  # noqa: E731
    means = centre + log_std.exp() * draw()
    for closeness in (0.0, 0.4, 1.0):
        z = interpolate_latent((centre, log_std), means, draw(), closeness)
        torch.testing.assert_close(z.mean(0), centre, atol=0.02, rtol=0.02)
        torch.testing.assert_close(z.std(0), log_std.exp(), atol=0.02, rtol=0.02)


@torch.inference_mode()
def test_without_a_context_larger_images_have_a_bound_too() -> None:
    model = tiny_model(size=16, read_size=8)
    x, draws = images(2, size=16), noise(2, 1, 3, 2)
    bound = model.bound(x, Context.empty(2, 16), draws)
    torch.testing.assert_close(bound.elbo, model.bound(x, Context.empty(2, 8), draws).elbo)


@torch.inference_mode()
@pytest.mark.parametrize("redrawn", [False, True])
def test_the_windows_of_a_trace_are_those_of_its_steps(redrawn: bool) -> None:
    """A step reads with the state before it and writes with its own."""
    model, shown, draws = tiny_model(), context(2, 1), noise(2, 3, 2)
    more: dict[str, Any] = {"target": images(2), "closeness": 0.5} if redrawn else {}
    trace = model.trace(shown, draws, temperature=0.7, **more)
    h = model.unroll(0.7 * draws, shown, **more).h
    before = torch.cat([model.start[0].expand(2, 1, -1), h[:, :-1]], 1)
    torch.testing.assert_close(trace.write_windows, model.writer.attention(h))
    assert model.context is not None
    torch.testing.assert_close(trace.read_windows, model.context.reader.attention(before))
    if redrawn:
        torch.testing.assert_close(trace.target_windows, model.posterior.reader.attention(before))


def test_the_forget_gate_starts_open() -> None:
    bias = LSTM(3, 5).bias
    assert (bias[5:10] == 1).all()
    assert (bias[:5] != 1).all()
