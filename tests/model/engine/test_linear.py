"""Products by oneDNN, gradients gathered over calls: the same numbers, the same gradients."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tiny import noise
from torch import Tensor

from oneshot_cli.model.engine import linear as module
from oneshot_cli.model.engine.gathering import Gathering
from oneshot_cli.model.engine.linear import Linear, linear, multiplier, multiply

ONEDNN = torch.backends.mkldnn.is_available() and (
    torch.backends.cpu.get_cpu_capability() == "AVX512"
)


@pytest.mark.parametrize("rows", [3, 64])
@pytest.mark.parametrize("expanded", [False, True])
def test_layer_and_gradients_are_those_of_torch(
    rows: int, expanded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every number of rows, also for those that are one row in memory."""
    monkeypatch.setattr(module, "WORTHWHILE", 0)
    monkeypatch.setattr(module, "FEWEST", 0)
    torch.manual_seed(0)
    layer = Linear(40, 24)
    x = noise(1, 40).expand(rows, 40) if expanded else noise(rows, 40)
    weight = noise(24, rows, seed=1).t()  # a gradient that is not contiguous
    results = []
    for function in (layer, lambda y: F.linear(y, layer.weight, layer.bias)):
        y = x.clone(memory_format=torch.preserve_format).requires_grad_()
        out = function(y)
        wanted = [y, layer.weight, layer.bias]
        results.append((out, *torch.autograd.grad((out * weight).sum(), wanted)))
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(not ONEDNN, reason="this processor or build has no such products")
def test_only_large_products_in_float32_go_to_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[torch.Size] = []

    def plain(x: Tensor, *rest: Any) -> Tensor:
        calls.append(x.shape)
        return x

    monkeypatch.setattr(module.F, "linear", plain)
    large, weight = torch.randn(256, 128), torch.randn(64, 128)
    multiply(large, weight)
    linear(large, weight)
    assert not calls
    for x, w in (
        (large[:8], weight),
        (large.double(), weight.double()),
        (large.bfloat16(), weight.bfloat16()),
        (large[None], weight),
    ):
        multiply(x, w)
    with torch.autocast("cpu", torch.bfloat16):
        linear(large, weight)
    assert len(calls) == 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("packed", [0, 10**9])
@pytest.mark.parametrize("biased", [False, True])
def test_many_products_by_the_same_weights(
    dtype: torch.dtype, packed: int, biased: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights arranged once or never, whole ones and some of the rows of others."""
    monkeypatch.setattr(module, "PACKED", packed)
    weight = noise(24, 40).to(dtype)[4:]
    bias = noise(20, seed=1).to(dtype) if biased else None
    product = multiplier(weight, bias, 16)
    for seed in range(2):
        x = noise(16, 40, seed=seed).to(dtype)
        exact = F.linear(x.double(), weight.double(), bias if bias is None else bias.double())
        rounding = 2.0**-7 if dtype == torch.bfloat16 else 1e-5
        assert product(x).dtype == dtype
        torch.testing.assert_close(product(x).double(), exact, atol=rounding, rtol=rounding)


def test_gradients_that_nobody_needs_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WORTHWHILE", 0)
    monkeypatch.setattr(module, "FEWEST", 0)
    x, weight = noise(4, 6), noise(5, 6, seed=1).requires_grad_()
    shapes: list[torch.Size] = []

    def recorded(a: Tensor, b: Tensor, *rest: Any) -> Tensor:
        shapes.append(a.shape)
        return F.linear(a, b, *rest)

    monkeypatch.setattr(module, "multiply", recorded)
    linear(x, weight).sum().backward()
    assert shapes == ([(4, 6), (5, 4)] if module._has_onednn() else [])
    torch.testing.assert_close(weight.grad, x.sum(0).expand(5, 6))


class Repeated(torch.nn.Module):
    """Two layers, one after the other, for some steps: what comes out of each step."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = Linear(6, 9), Linear(9, 6)

    def forward(self, x: torch.Tensor, gathering: Gathering | nullcontext) -> list[torch.Tensor]:
        outputs = []
        for _ in range(5):
            with gathering:
                x = torch.tanh(self.second(torch.tanh(self.first(x))))
            outputs.append(x)
        return outputs


@pytest.mark.parametrize("last", [0, 2, 4])
@pytest.mark.parametrize("worthwhile", [0, 2**20])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gathered_gradients_are_the_sums_over_all_calls(
    last: int, worthwhile: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a graph whose later calls nothing depends on."""
    monkeypatch.setattr(module, "WORTHWHILE", worthwhile)
    x, value = noise(7, 6).to(dtype).requires_grad_(), noise(7, 6, seed=1)
    model, results = Repeated().to(dtype), []
    close: dict[str, Any] = (
        {"atol": 1e-6, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 1e-12, "rtol": 1e-12}
    )
    for gathering in (Gathering(model), nullcontext()):
        out = model(x, gathering)[last]
        results.append((out, *torch.autograd.grad((out * value).sum(), [x, *model.parameters()])))
    for mine, plain in zip(*results, strict=True):
        torch.testing.assert_close(mine, plain, **close)


def test_a_graph_with_gathered_gradients_can_be_gone_back_twice() -> None:
    """Also when the first time was for an input alone."""
    x, model = noise(7, 6).requires_grad_(), Repeated()
    total = model(x, Gathering(model))[-1].sum()
    torch.autograd.grad(total, [x], retain_graph=True)
    once, again = (
        torch.autograd.grad(total, list(model.parameters()), retain_graph=True) for _ in range(2)
    )
    plain = torch.autograd.grad(model(x, nullcontext())[-1].sum(), list(model.parameters()))
    for first, second, wanted in zip(once, again, plain, strict=True):
        torch.testing.assert_close(first, wanted, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(second, first, atol=0, rtol=0)


def test_gathered_gradients_are_summed_more_exactly_in_bfloat16() -> None:
    """Than those of one call after the other, each rounded and added in bfloat16."""
    torch.manual_seed(0)
    layer, steps = Linear(8, 16), 200
    inputs, values = noise(steps, 4, 8).bfloat16(), noise(steps, 4, 16, seed=1).bfloat16() + 1
    exact = torch.einsum("tbo,tbi->oi", values.double(), inputs.double())
    errors = []
    for gathering in (Gathering(layer), nullcontext()):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16), gathering:
            outputs = [layer(x) for x in inputs]
        torch.autograd.backward(outputs, list(values))
        assert layer.weight.grad is not None
        assert layer.weight.grad.dtype == torch.float32
        errors.append((layer.weight.grad - exact).square().mean().sqrt())
    assert errors[0] < errors[1] / 2


def test_layers_are_plain_again_outside_of_a_gathering() -> None:
    model = Repeated()
    with Gathering(model):
        assert model.first._gathered is not None
    assert model.first._gathered is None
    with torch.no_grad(), Gathering(model):
        assert model.second._gathered is None  # nothing is to be gathered
