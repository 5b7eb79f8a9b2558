"""NADE: pixel by pixel against plain loops, and over all pictures that there are."""

import math
from dataclasses import replace
from itertools import product
from typing import Any, cast

import pytest
import torch
from tiny import images, noise

from oneshot_cli.model import Context
from oneshot_cli.model.config import NADEConfig
from oneshot_cli.model.engine import autoregression
from oneshot_cli.model.interface import Engine
from oneshot_cli.model.nade import NADE
from oneshot_cli.model.objective import iwae, objective

TINY = NADEConfig(size=3, hidden=5)
EMPTY = Context.empty(4, 3)


def nade(config: NADEConfig = TINY) -> NADE:
    torch.manual_seed(0)
    model = NADE(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    return model


def chances(model: NADE, x: list[float]) -> list[float]:
    """p(x_i = 1 | before) by the paper's equations, number by number."""
    read, write = model.read.tolist(), model.write.tolist()
    start, bias = model.start.tolist(), model.bias.tolist()
    found = []
    for i in range(len(x)):
        total = bias[i]
        for k in range(len(start)):
            before = start[k] + sum(read[j][k] * x[j] for j in range(i))
            total += write[i][k] / (1 + math.exp(-before))
        found.append(1 / (1 + math.exp(-total)))
    return found


@torch.inference_mode()
def test_likelihood_is_the_papers_and_sums_to_one_over_all_pictures() -> None:
    model = nade()
    every = torch.tensor(list(product([0.0, 1.0], repeat=9)))
    x = every.view(512, 1, 3, 3)
    bound = model.bound(x, Context.empty(512, 3), torch.zeros(512, 1, 9))
    assert bound.log_likelihood.double().exp().sum().item() == pytest.approx(1, abs=1e-5)
    for n in (0, 77, 300, 511):
        pixels = every[n].tolist()
        logs = [
            math.log(p if ink else 1 - p)
            for p, ink in zip(chances(model, pixels), pixels, strict=True)
        ]
        assert bound.log_likelihood[n, 0].item() == pytest.approx(sum(logs), abs=1e-4)


@pytest.mark.parametrize("largest", [1, 4 * 5 * 2, 10**6])
@pytest.mark.parametrize("engine", ["plain", "written"])
def test_logits_of_all_pixels_at_once_are_those_of_the_loop(
    engine: Engine, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so are the gradients of all weights: one pixel at a time, two, or all together."""
    monkeypatch.setattr(autoregression, "LARGEST", largest)
    model, x = nade().double(), images(4, size=3).flatten(1).double()
    model.use_engine(engine)
    state, logits = model.start.expand(4, -1), []
    for i in range(9):
        logits.append(model.bias[i] + torch.sigmoid(state) @ model.write[i])
        state = state + x[:, i, None] * model.read[i]
    by_loop, at_once = torch.stack(logits, -1), model.logits(x)
    torch.testing.assert_close(at_once, by_loop, atol=1e-12, rtol=0)
    weights = list(model.parameters())
    direction = noise(4, 9).double()
    expected = torch.autograd.grad((by_loop * direction).sum(), weights)
    found = torch.autograd.grad((at_once * direction).sum(), weights)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def test_memory_of_a_training_step_does_not_hold_the_hidden_units_of_all_pixels() -> None:
    """What autograd keeps for the backward pass is less than one number a pixel and unit."""
    model, x = nade(NADEConfig(size=28, hidden=64)), images(8, size=28)
    engines: tuple[Engine, ...] = ("plain", "written")
    kept: dict[Engine, int] = dict.fromkeys(engines, 0)

    def count(saved: torch.Tensor) -> torch.Tensor:
        kept[model.engine] += saved.numel()
        return saved

    for engine in engines:
        model.use_engine(engine)
        with torch.autograd.graph.saved_tensors_hooks(count, lambda saved: saved):
            model.bound(x, Context.empty(8, 28), torch.zeros(8, 1, 784))
    assert kept["written"] < 8 * 784 * 64 < kept["plain"]


@torch.inference_mode()
def test_every_bound_is_the_likelihood() -> None:
    model, x = nade(), images(4, size=3)
    bound = model.bound(x, EMPTY, noise(4, 6, 9))
    torch.testing.assert_close(iwae(bound), bound.log_likelihood[:, 0])
    torch.testing.assert_close(bound.elbo, bound.log_likelihood)
    assert bound.kl.shape == (4, 6, 3)
    assert bound.kl.abs().max() == 0
    assert bound.posterior_mean.shape == (4, 6, sum(model.latents)) == (4, 6, 0)


@torch.inference_mode()
def test_pixels_are_drawn_with_their_chances() -> None:
    """In order, each given those before it; and as often as its likelihood says."""
    model, draws = nade(), noise(20_000, 9)
    x = model.pictures(draws)
    below = torch.special.ndtr(draws) < torch.sigmoid(model.logits(x))
    assert (below.float() == x).float().mean() > 0.9999  # but for the last digit
    code = (x * 2 ** torch.arange(9)).sum(1).long()
    seen = torch.bincount(code, minlength=512) / len(x)
    every = (torch.arange(512)[:, None] // 2 ** torch.arange(9) % 2).float()
    bound = model.bound(every.view(-1, 1, 3, 3), Context.empty(512, 3), torch.zeros(512, 1, 9))
    expected = bound.log_likelihood[:, 0].exp()
    error = (expected * (1 - expected) / len(x)).sqrt()
    assert ((seen - expected).abs() < 5 * error + 1e-4).all()
    assert expected.max() > 0.01


@torch.inference_mode()
def test_a_trace_ends_where_the_sample_is() -> None:
    model, draws = nade(), noise(4, 9)
    trace = model.trace(EMPTY, draws, temperature=0.9, size=6)
    torch.testing.assert_close(
        trace.probabilities, model.sample(EMPTY, draws, temperature=0.9, size=6)
    )
    assert trace.pictures.shape == (4, 3, 1, 6, 6)
    x = images(4, size=3)
    redrawn = model.trace(EMPTY, draws, target=x)
    torch.testing.assert_close(redrawn.pictures[:, 0, :, 0], x[:, :, 0])
    assert redrawn.pictures[:, 0, :, 1:].abs().max() == 0
    torch.testing.assert_close(redrawn.probabilities, x)
    still = model.sample(EMPTY, draws, temperature=0)
    torch.testing.assert_close(still, still[:1].expand(4, -1, -1, -1))


def test_every_weight_learns_and_others_than_binary_images_are_refused() -> None:
    model = nade()
    objective(model.bound(images(4, size=3), EMPTY, noise(4, 1, 9))).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    for wrong in ({"channels": 3}, {"observation": "logistic"}):
        with pytest.raises(ValueError, match="binary"):
            replace(TINY, **cast(Any, wrong))
