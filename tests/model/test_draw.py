"""DRAW: its filters against a direct form, its equations one by one, its promises."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from tiny import images, noise

from oneshot_cli.model import DRAW, Context, DRAWConfig
from oneshot_cli.model.attention import GaussianFilters
from oneshot_cli.model.attention.filterbank import filters
from oneshot_cli.model.likelihood import bernoulli_log_likelihood
from oneshot_cli.model.objective import objective

TINY = DRAWConfig(size=8, steps=3, latent=2, hidden=12, glimpse=3, patch=4)
EMPTY = Context.empty(4, 8)


def tiny_draw(seed: int = 0, **changes: Any) -> DRAW:
    torch.manual_seed(seed)
    model = DRAW(DRAWConfig(**{**TINY.to_dict(), **changes}))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.mul_(10.0 if "attention" in name or "posterior" in name else 2.0)
    return model


KINDS = ["gaussian", "fully-connected", "spatial-transformer", "free-transformer"]


def attention(side: int, size: int = 28, scale: float = 1.0) -> GaussianFilters:
    torch.manual_seed(1)
    made = GaussianFilters(6, size, side, scale)
    torch.nn.init.normal_(made.linear.weight, std=0.3)
    return made


def direct_bank(centre: float, stride: float, variance: float, n: int, size: int) -> np.ndarray:
    """Equations 19 to 26 of Gregor et al. 2015, a pixel at a time."""
    bank = np.zeros((n, size))
    for i in range(1, n + 1):
        mean = centre + (i - n / 2 - 0.5) * stride
        for a in range(1, size + 1):
            bank[i - 1, a - 1] = math.exp(-((a - mean) ** 2) / (2 * variance))
        bank[i - 1] /= bank[i - 1].sum()
    return bank


@torch.inference_mode()
@pytest.mark.parametrize("side", [2, 5])
def test_filters_read_and_write_as_a_direct_form_does(side: int) -> None:
    made = attention(side).double()
    h = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    image = torch.rand(4, 2, 28, 28, generator=torch.Generator().manual_seed(3))
    patch = torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(4))
    read = made.read(image, made(h)).double()
    written = made.write(patch, made(h), 28).double()
    for b in range(4):
        gx, gy, log_variance, log_stride, log_gain = made.linear(h[b]).tolist()
        centres = [(28 + 1) / 2 * (g + 1) for g in (gx, gy)]
        stride = 27 / (side - 1) * math.exp(log_stride)
        across, down = (direct_bank(g, stride, math.exp(log_variance), side, 28) for g in centres)
        gain = math.exp(log_gain)
        for c in range(2):
            expected = gain * down @ image[b, c].double().numpy() @ across.T
            np.testing.assert_allclose(read[b, c].numpy(), expected, atol=1e-5)
        for c in range(3):
            expected = down.T @ patch[b, c].double().numpy() @ across / gain
            np.testing.assert_allclose(written[b, c].numpy(), expected, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize(("side", "size"), [(2, 28), (5, 28), (12, 52)])
def test_a_bank_in_float64_is_the_papers_to_the_last_digit(side: int, size: int) -> None:
    generator = torch.Generator().manual_seed(side)
    centre = size * torch.rand(6, generator=generator, dtype=torch.float64)
    stride, variance = 5 * torch.rand(2, 6, generator=generator, dtype=torch.float64) + 0.3
    banks = filters(centre, stride, variance, side, size, size)
    for i in range(6):
        wanted = direct_bank(float(centre[i]), float(stride[i]), float(variance[i]), side, size)
        np.testing.assert_allclose(banks[i].numpy(), wanted, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(banks.sum(-1), torch.ones(6, side, dtype=torch.float64))


@torch.inference_mode()
def test_the_first_patch_covers_the_image() -> None:
    """Before training and at the first state, whatever the weights: first filter at the first
    pixel, last at the last, and the frame that is shown reaches as far."""
    for side, size in ((2, 28), (5, 28), (12, 52)):
        made = attention(side, size)
        x, y, stride, variance, gain = made(torch.zeros(1, 6))[0].tolist()
        assert (x, y) == pytest.approx(((size + 1) / 2,) * 2)
        assert x - (side - 1) / 2 * stride == pytest.approx(1)
        assert x + (side - 1) / 2 * stride == pytest.approx(size)
        assert (variance, gain) == (1, 1)
        frame = made.frame(made(torch.zeros(1, 6)))[0]
        first = frame[:, :2] @ torch.tensor([1 / side - 1, 1 / side - 1]) + frame[:, 2]
        torch.testing.assert_close(first, torch.full((2,), 1 / size - 1))
    model = DRAW(TINY)
    glimpse = model.reader(torch.ones(1, 2, 8, 8), model.reader.attention(torch.zeros(1, 12)))
    torch.testing.assert_close(glimpse, torch.ones(1, 2 * 9))


@torch.inference_mode()
def test_a_filter_outside_the_image_stays_finite() -> None:
    made = attention(3)
    window = torch.tensor([[1e4, -1e4, 9.0, 1e-2, 1.0]])
    read = made.read(torch.rand(1, 1, 28, 28), window)
    assert torch.isfinite(read).all()


@torch.inference_mode()
def test_writing_larger_is_the_same_picture() -> None:
    made = attention(4)
    window = torch.tensor([[14.0, 13.0, 3.0, 4.0, 1.3]])
    patch = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    small, large = made.write(patch, window, 28), made.write(patch, window, 84)
    torch.testing.assert_close(
        torch.nn.functional.avg_pool2d(large, 3),
        small,
        atol=0.02 * float(small.abs().max()),
        rtol=0,
    )


@torch.inference_mode()
def test_bound_is_the_paper_s_loop() -> None:
    """One image, step by step, with torch.nn.LSTMCell and a canvas of plain sums."""
    model = tiny_draw()
    x, draws = images(1), noise(1, 1, 3, 2)
    cells = []
    for ours, inputs in ((model.encoder, 2 * 9 + 12), (model.decoder, 2)):
        cell = torch.nn.LSTMCell(inputs, 12)
        cell.weight_ih.copy_(ours.weight[:, :inputs])
        cell.weight_hh.copy_(ours.weight[:, inputs:])
        cell.bias_ih.copy_(ours.bias)
        cell.bias_hh.zero_()
        cells.append(cell)
    canvas = model.empty.view(1, 1, 1, 1).expand(1, 1, 8, 8)
    encoder, decoder = ((torch.zeros(1, 12), torch.zeros(1, 12)) for _ in range(2))
    kl = []
    for t in range(3):
        error = x - torch.sigmoid(canvas)
        window = model.reader.attention(decoder[0])
        glimpse = torch.cat(
            [model.reader.attention.read(part, window).flatten(1) for part in (x, error)], 1
        )
        encoder = cells[0](torch.cat([glimpse, decoder[0]], 1), encoder)
        mean, log_std = model.posterior(encoder[0]).chunk(2, 1)
        posterior = torch.distributions.Normal(mean, log_std.exp())
        prior = torch.distributions.Normal(torch.zeros(2), 1.0)
        kl.append(torch.distributions.kl_divergence(posterior, prior).sum())
        decoder = cells[1](mean + log_std.exp() * draws[0, :, t], decoder)
        patch = model.writer.content(decoder[0]).view(1, 1, 4, 4)
        canvas = canvas + model.writer.attention.write(patch, model.writer.attention(decoder[0]), 8)
    bound = model.bound(x, EMPTY, draws)
    torch.testing.assert_close(bound.kl[0, 0], torch.stack(kl), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        bound.log_likelihood[0, 0], bernoulli_log_likelihood(canvas, x)[0], atol=1e-4, rtol=1e-5
    )


@torch.inference_mode()
@pytest.mark.parametrize("kind", KINDS)
def test_sample_and_trace_agree(kind: str) -> None:
    model = tiny_draw(attention=kind)
    draws = noise(4, 3, 2)
    for size in (8, 13):
        trace = model.trace(EMPTY, draws, temperature=0.8, size=size)
        drawn = model.sample(EMPTY, draws, temperature=0.8, size=size)
        torch.testing.assert_close(trace.probabilities, drawn)
        assert trace.pictures.shape == (4, 3, 1, size, size)
        assert trace.write_windows.shape == trace.read_windows.shape == (4, 3, 2, 3)
        assert trace.target_windows is None
    x = images(4)
    again = model.trace(EMPTY, draws, target=x)
    redrawn = torch.sigmoid(model.redraw(x, draws).canvas)
    torch.testing.assert_close(again.probabilities, redrawn)
    assert again.target_windows is not None
    assert again.target_windows.shape == (4, 3, 2, 3)


@torch.inference_mode()
def test_particles_equal_a_batch_of_repeated_examples() -> None:
    model = tiny_draw()
    x, draws = images(4), noise(4, 5, 3, 2)
    together = model.bound(x, EMPTY, draws)
    for k in range(5):
        alone = model.bound(x, EMPTY, draws[:, k : k + 1])
        torch.testing.assert_close(together.elbo[:, k], alone.elbo[:, 0], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_learns(kind: str) -> None:
    model = tiny_draw(attention=kind)
    objective(model.bound(images(4), EMPTY, noise(4, 1, 3, 2))).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_error_reaches_the_encoder() -> None:
    """What was drawn so far decides how the image is encoded: unlike in the sequential model."""
    model = tiny_draw()
    x, draws = images(1), noise(1, 1, 3, 2)
    before = model.bound(x, EMPTY, draws).kl[0, 0]
    with torch.no_grad():
        model.empty.add_(1.0)
    after = model.bound(x, EMPTY, draws).kl[0, 0]
    assert (before - after).abs().max() > 1e-4


def test_sampled_kl_has_the_analytic_mean() -> None:
    bound = tiny_draw().bound(images(1), Context.empty(1, 8), noise(1, 20_000, 3, 2))
    error = (bound.log_ratio - bound.kl).std((0, 1)) / math.sqrt(20_000)
    difference = (bound.log_ratio - bound.kl).mean((0, 1)).abs()
    assert (difference < 4.5 * error + 1e-6).all()


def test_the_gradient_of_a_state_is_limited() -> None:
    model, found = tiny_draw(), []
    for limit in (None, 1e9, 1e-3):
        model.zero_grad()
        bound = model.bound(images(4), EMPTY, noise(4, 1, 3, 2), limit)
        objective(bound).backward()
        gradient = model.decoder.weight.grad
        assert gradient is not None
        found.append(gradient.clone())
    torch.testing.assert_close(found[0], found[1])
    assert 0 < found[2].norm() < found[0].norm() / 100


@torch.inference_mode()
def test_the_windows_of_a_trace_are_the_writers() -> None:
    model, draws = tiny_draw(), noise(2, 3, 2)
    attention = model.writer.attention
    expected = attention.frame(attention(model.generate(draws)))
    found = model.trace(Context.empty(2, 8), draws).write_windows
    assert expected.std(0).max() > 1e-3, "they differ"
    torch.testing.assert_close(found, expected)
