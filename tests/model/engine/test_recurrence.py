"""The recurrence with its gradient written out: each part, and all of it, against autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny import context, images, noise, tiny_model
from torch import Tensor

from oneshot_cli import affine
from oneshot_cli.affine import transform
from oneshot_cli.model import Context, SequentialGenerator, sequential
from oneshot_cli.model.attention import (
    JointReader,
    Reader,
    spatial_transformer,
    windows,
)
from oneshot_cli.model.context import attend, attention_mask
from oneshot_cli.model.engine import sampling
from oneshot_cli.model.engine.cell import cell_backward, cell_forward
from oneshot_cli.model.engine.sampling import sample_jacobian
from oneshot_cli.model.engine.set_attention import attend_backward
from oneshot_cli.model.engine.windows import bounded_maps_jacobian, jacobian_of, read_backward
from oneshot_cli.model.lstm import LSTM
from oneshot_cli.model.objective import objective
from oneshot_cli.model.registry import ATTENTIONS
from oneshot_cli.model.sequential import States


def partly(batch: int, members: int) -> Context:
    """A context of which each example lacks other members; the first lacks all."""
    whole = context(batch, members)
    mask = torch.arange(members) < torch.arange(batch)[:, None] % (members + 1)
    return Context(whole.images, mask, torch.arange(batch) % 2 == 0)


def results(states: States) -> tuple[Tensor, ...]:
    assert states.latent is not None
    return states.h, *states.latent


def gradients(
    model: SequentialGenerator, states: States, seed: int = 3
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """All results, and the gradients of all weights of a sum that weighs each number."""
    model.zero_grad()
    found = results(states)
    generator = torch.Generator().manual_seed(seed)
    total = sum(((each * torch.randn(each.shape, generator=generator)).sum()) for each in found)
    assert isinstance(total, Tensor)
    total.backward()
    weights = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    return [each.detach() for each in found], weights


SHOWN: dict[str, Callable[[], Context]] = {
    "one": lambda: context(5, 1),
    "three, some missing": lambda: partly(5, 3),
    "none": lambda: Context.empty(5, 8),
}


@pytest.mark.parametrize("limit", [None, 0.05])
@pytest.mark.parametrize("shown", SHOWN)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"image_encoder_units": 0},
        {"posterior_units": 1},
        {"encode_context": False},
        {"conditional": False},
        {"attention": "free-transformer"},
        {"channels": 3},
    ],
    ids=str,
)
def test_states_and_gradients_are_those_of_autograd(
    changes: dict[str, Any], shown: str, limit: float | None
) -> None:
    """Two particles of each of five images."""
    model = tiny_model(**changes)
    x, given, draws = images(5), SHOWN[shown](), noise(10, 3, 2)
    if model.config.channels == 3:
        x = x.expand(-1, 3, -1, -1)
        pictures = given.images.expand(-1, -1, 3, -1, -1)
        given = Context(pictures, given.mask, given.alphabet)
    fast = gradients(model, model.infer(draws, given, x, limit))
    plain = gradients(model, model.unroll(draws, given, x, limit))
    for mine, wanted in zip(fast[0], plain[0], strict=True):
        torch.testing.assert_close(mine, wanted, atol=1e-5, rtol=1e-5)
    assert plain[1].keys() <= fast[1].keys()
    for name, found in fast[1].items():
        wanted = plain[1].get(name, torch.zeros_like(found))  # no context, no query
        torch.testing.assert_close(found, wanted, atol=2e-5, rtol=2e-4, msg=(name + ": {}").format)


def test_it_is_what_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    """And only that: without a gradient, or with other attentions, autograd's steps are taken."""
    calls = []
    written = sequential.recurrence

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(len(arguments))
        return written(*arguments, **options)

    monkeypatch.setattr(sequential, "recurrence", counted)
    x, shown, draws = images(2), context(2, 1), noise(2, 1, 3, 2)
    model = tiny_model()
    assert model.bound(x, shown, draws).log_likelihood.requires_grad
    assert len(calls) == 1
    with torch.no_grad():
        model.bound(x, shown, draws)
    tiny_model(attention="gaussian").bound(x, shown, draws)
    assert len(calls) == 1


def test_under_autocast_gradients_point_the_same_way() -> None:
    """Products in bfloat16: within their rounding of float32, and of autograd's under autocast."""
    model = tiny_model()
    x, shown, draws = images(32), context(32, 2), noise(32, 3, 2)
    exact = gradients(model, model.infer(draws, shown, x))[1]
    with torch.autocast("cpu", torch.bfloat16):
        fast, plain = model.infer(draws, shown, x), model.unroll(draws, shown, x)
    assert fast.h.dtype == torch.float32
    ways = [gradients(model, states)[1] for states in (fast, plain)]
    for name, wanted in exact.items():
        off = [float((way[name] - wanted).norm() / wanted.norm()) for way in ways]
        assert off[0] < max(1.5 * off[1], 0.05), name


def test_a_second_backward_pass_gives_the_same() -> None:
    model = tiny_model()
    loss = objective(model.bound(images(3), context(3, 2), noise(3, 1, 3, 2)))
    first = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
    second = torch.autograd.grad(loss, list(model.parameters()))
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)


def test_a_weight_changed_before_the_backward_pass_is_an_error() -> None:
    model = tiny_model()
    loss = objective(model.bound(images(3), context(3, 2), noise(3, 1, 3, 2)))
    with torch.no_grad():
        model.transition.weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_the_gradient_of_a_cell() -> None:
    torch.manual_seed(0)
    lstm = LSTM(3, 7)
    x, h, cell = (torch.randn(5, n, requires_grad=True) for n in (3, 7, 7))
    after = lstm.step(h, cell, x)
    map_ = lstm(torch.cat([x, h], 1)).detach()
    buffer = torch.full((5, 28), torch.nan)
    *mine, saved = cell_forward(map_.clone(), cell.detach(), buffer)
    for one, other in zip(mine, after, strict=True):
        torch.testing.assert_close(one, other)
    to_h, to_cell = torch.randn(5, 7), torch.randn(5, 7)
    plain_map = map_.clone().requires_grad_()
    entry, keep, candidate, exit_ = plain_map.chunk(4, 1)
    plain_cell = torch.sigmoid(keep) * cell + torch.sigmoid(entry) * torch.tanh(candidate)
    plain_h = torch.sigmoid(exit_) * torch.tanh(plain_cell)
    wanted = torch.autograd.grad((plain_h, plain_cell), (cell, plain_map), (to_h, to_cell))
    gates = torch.full((5, 28), torch.nan)
    for place in (gates, buffer):  # another buffer, and the one of the saved gates
        torch.testing.assert_close(cell_backward(saved, to_h, to_cell, place), wanted[0])
        torch.testing.assert_close(place, wanted[1])


def test_the_gradient_of_attention_over_a_set() -> None:
    values, query = noise(4, 3, 6).requires_grad_(), noise(4, 6, seed=1).requires_grad_()
    mask = attention_mask(
        torch.tensor([[True, True], [True, False], [False, True], [False, False]])
    )
    assert mask.shape == (4, 3)
    assert not mask[:, 0].any()
    total, weights = attend(values, query, mask)
    assert weights[mask.isinf()].eq(0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(4))
    gradient = noise(4, 6, seed=2)
    wanted = torch.autograd.grad(total, (values, query), gradient)
    found = attend_backward(values.detach(), query.detach(), weights.detach(), gradient)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_the_gradient_of_windows() -> None:
    raw = (2 * noise(3, 50, 6)).requires_grad_()
    maps = windows(raw, 0.7)
    gradient = noise(3, 50, 2, 3, seed=1)
    wanted = torch.autograd.grad(maps, raw, gradient)[0]
    jacobian = bounded_maps_jacobian(raw.detach(), maps.detach())
    found = (jacobian * gradient[..., None, :, :]).sum((-2, -1))
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("kind", ["spatial-transformer", "free-transformer"])
@pytest.mark.parametrize("channels", [1, 3])
def test_jacobians_make_the_gradients_of_what_is_read(kind: str, channels: int) -> None:
    """The gradient of windows, from that of glimpses; and of parameters, from that of windows."""
    aim = ATTENTIONS[kind](5, 9, 4, 0.6)
    pictures = torch.rand(6, channels, 9, 9, generator=torch.Generator().manual_seed(0))
    parameters = noise(2, 6, 6).requires_grad_()  # of two steps
    window = aim.window(parameters)
    found = sample_jacobian(pictures, window.detach().transpose(0, 1), 4)
    jacobian = jacobian_of(aim)(parameters.detach(), window.detach())
    for t in range(2):
        gradient = noise(6, channels * 16, seed=t)
        read = aim.read(pictures, window[t]).flatten(1)
        of_window, of_parameters = torch.autograd.grad(
            read, (window, parameters), gradient, retain_graph=True
        )
        mine = read_backward(found[t], gradient)
        torch.testing.assert_close(mine, of_window[t], atol=1e-4, rtol=1e-4)
        turned = (jacobian[t] * mine[:, None]).sum((-2, -1))
        torch.testing.assert_close(turned, of_parameters[t], atol=1e-4, rtol=1e-4)


def test_sample_jacobians_are_finite_differences() -> None:
    """For a picture that is linear between its pixels, moved by less than one."""
    picture = torch.rand(1, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    maps = torch.tensor([[[0.31, 0.07, 0.02], [-0.05, 0.4, 0.03]]])
    found = sample_jacobian(picture, maps[:, None], 4)[0, 0, 0]
    for axis in range(2):
        moved = [maps.clone(), maps.clone()]
        for sign, each in zip((1, -1), moved, strict=True):
            each[:, axis, 2] += sign * 1e-3
        ahead, behind = (transform(picture, each, 4)[0, 0] for each in moved)
        torch.testing.assert_close(found[..., axis], (ahead - behind) / 2e-3, atol=2e-3, rtol=2e-3)


def test_gradients_of_images_are_summed_over_the_images_of_a_state() -> None:
    readers = [Reader(5, 4, 0.9, size=8) for _ in range(2)]
    many, one = images(3, 2).flatten(0, 1), images(3, seed=1)
    rows = noise(9, 2, 3)
    wanted = torch.stack([rows[:6].view(3, 2, 2, 3).sum(1), rows[6:]])
    joint = JointReader(3, [(readers[0], many), (readers[1], one)])
    torch.testing.assert_close(joint.sum_over_images(rows), wanted)
    alike = JointReader(3, [(readers[0], one), (readers[1], one)])
    torch.testing.assert_close(alike.sum_over_images(rows[:6]), rows[:6].view(2, 3, 2, 3))


def test_what_was_first_drawn_with_can_be_trained_with() -> None:
    """Constants that are kept from call to call are no inference tensors."""
    for kept in (affine.pixels, sampling._basis, spatial_transformer._quarters):
        kept.cache_clear()
    model = tiny_model()
    with torch.inference_mode():
        model.sample(context(2, 1), noise(2, 3, 2))
    objective(model.bound(images(2), context(2, 1), noise(2, 1, 3, 2))).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
    assert not any(
        constant.is_inference()
        for constant in (
            affine.pixels(4, torch.float32, torch.device("cpu")),
            sampling._basis(4, torch.float32, torch.device("cpu")),
            spatial_transformer._quarters(torch.device("cpu")),
        )
    )
