"""The output network: where it begins, at which sizes it works, and what its convolutions are."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tiny import TINY, context, images, noise, tiny_model

from oneshot_cli.model import SequentialGenerator
from oneshot_cli.model.output import BLOCK, ResidualOutput, StackedConv2d
from oneshot_cli.model.warm_start import warm_start


def residual(**changes: Any) -> tuple[SequentialGenerator, ResidualOutput]:
    model = tiny_model(output="residual", output_channels=3, **changes)
    assert isinstance(model.output, ResidualOutput)
    return model, model.output


def test_it_begins_as_the_linear_read_out() -> None:
    torch.manual_seed(0)
    output = ResidualOutput(TINY, 1)
    parameters = noise(3, 1, 8, 8)
    assert torch.equal(output(parameters, 8), parameters)


@torch.inference_mode()
@pytest.mark.parametrize("size", [8, 7])
def test_it_is_three_convolutions_of_blocks(size: int) -> None:
    """Against plain indexing of the blocks and torch's own convolutions."""
    _, output = residual(size=size)
    parameters = noise(2, 1, size, size)
    padded = F.pad(parameters, (0, size % 2, 0, size % 2), mode="replicate")
    half = padded.shape[-1] // BLOCK
    blocks = torch.stack([padded[:, 0, i::BLOCK, j::BLOCK] for i in (0, 1) for j in (0, 1)], 1)
    hidden = 0.25 * blocks
    for number, layer in enumerate((output.first, output.second, output.last)):
        hidden = F.conv2d(F.silu(hidden) if number else hidden, layer.weight[0], None, padding=1)
        hidden = hidden + layer.bias[0][:, None, None]
    change = torch.empty(2, 2 * half, 2 * half)
    for number, (i, j) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        change[:, i::BLOCK, j::BLOCK] = hidden[:, number]
    expected = parameters + change[:, None, :size, :size]
    torch.testing.assert_close(output(parameters, size), expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_each_trained_size_has_a_network_and_others_are_resampled() -> None:
    model, output = residual(size=16, read_size=8)
    assert [output.canvas_size(size) for size in (5, 8, 9, 16, 40)] == [8, 8, 16, 16, 16]
    h = model.unroll(noise(2, 3, 2), context(2, 1)).h
    own = model.decode(h, 16)
    large = model.decode(h, 40)
    expected = F.interpolate(own, (40, 40), mode="bicubic", antialias=True)
    torch.testing.assert_close(large, expected)
    output.last.weight[0].zero_()
    output.last.bias[0].zero_()
    assert torch.equal(model.decode(h, 8), model._last_canvas(h, 8))
    assert not torch.equal(model.decode(h, 16), model._last_canvas(h, 16))


def test_every_step_has_a_gradient_for_the_networks_of_all_sizes() -> None:
    """As distributed training needs; it is zero for the size that was not used."""
    model, output = residual(size=16, read_size=8)
    bound = model.bound(images(2, size=16), context(2, 1), noise(2, 1, 3, 2))
    bound.elbo.sum().backward()
    for layer in (output.first, output.second, output.last):
        assert layer.weight.grad is not None
        assert not layer.weight.grad[0].any()
        assert layer.weight.grad[1].any()


@torch.inference_mode()
def test_a_model_goes_on_as_it_was_with_additions() -> None:
    """Prior, network and encoders change nothing at first; a second size starts as the first."""
    plain = tiny_model(size=16, read_size=8, image_encoder_units=0)
    torch.manual_seed(3)
    added = {"prior": "learned", "output": "residual", "image_encoder_units": 5}
    more = SequentialGenerator(type(plain.config)(**{**plain.config.to_dict(), **added}))
    warm_start(more, plain.state_dict())
    x, shown, draws = images(2, size=16), context(2, 1), noise(2, 1, 3, 2)
    ours, theirs = more.bound(x, shown, draws), plain.bound(x, shown, draws)
    torch.testing.assert_close(ours.elbo, theirs.elbo)

    one, _ = residual(size=8)
    two = SequentialGenerator(
        type(one.config)(**{**one.config.to_dict(), "size": 16, "read_size": 8})
    )
    warm_start(two, one.state_dict())
    h = one.unroll(noise(2, 3, 2), context(2, 1)).h
    torch.testing.assert_close(two.decode(h, 8), one.decode(h, 8))
    assert isinstance(two.output, ResidualOutput)
    assert torch.equal(two.output.last.weight[1], two.output.last.weight[0])


@torch.inference_mode()
def test_a_model_goes_on_without_the_encoder_of_its_context() -> None:
    """As if that encoder gave zero; the posterior's goes on as it was."""
    both = tiny_model()
    torch.manual_seed(3)
    less = SequentialGenerator(replace(both.config, encode_context=False))
    warm_start(less, both.state_dict())
    names = less.state_dict().keys()
    assert not any(name.startswith("context.image_encoder") for name in names)
    assert any(name.startswith("posterior.image_encoder") for name in names)
    assert both.context is not None
    assert both.context.embed_image is not None
    for weight in both.context.embed_image.parameters():
        weight.zero_()
    x, shown, draws = images(2), context(2, 2), noise(2, 1, 3, 2)
    ours, theirs = less.bound(x, shown, draws), both.bound(x, shown, draws)
    torch.testing.assert_close(ours.elbo, theirs.elbo)


def test_a_warm_start_refuses_what_does_not_fit() -> None:
    weights = tiny_model().state_dict()
    with pytest.raises(RuntimeError, match="transition"):
        warm_start(tiny_model(hidden=13), weights)
    del weights["start"]
    with pytest.raises(RuntimeError, match="start"):
        warm_start(tiny_model(prior="learned"), weights)


def test_stacked_convolutions_start_alike_and_as_torch_has_them() -> None:
    torch.manual_seed(0)
    layer = StackedConv2d(2, 40, 50, 3)
    assert torch.equal(layer.weight[0], layer.weight[1])
    reference = torch.nn.Conv2d(40, 50, 3).weight
    assert layer.weight.std().item() == pytest.approx(reference.std().item(), rel=0.05)
