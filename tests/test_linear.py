"""Products by oneDNN where they are faster: the same numbers, the same gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tiny import noise

from oneshot_cli.model import linear as module
from oneshot_cli.model.linear import Linear, linear, multiply

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
    calls = []
    monkeypatch.setattr(module.F, "linear", lambda x, *rest: calls.append(x.shape) or x)
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


def test_gradients_that_nobody_needs_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WORTHWHILE", 0)
    monkeypatch.setattr(module, "FEWEST", 0)
    x, weight = noise(4, 6), noise(5, 6, seed=1).requires_grad_()
    shapes = []
    monkeypatch.setattr(
        module, "multiply", lambda a, b, *rest: shapes.append(a.shape) or F.linear(a, b, *rest)
    )
    linear(x, weight).sum().backward()
    assert shapes in ([(4, 6), (5, 4)], [])  # none where oneDNN is not used
    torch.testing.assert_close(weight.grad, x.sum(0).expand(5, 6))
