"""Recorded iterations. Without a GPU a recording calls the computation again, in its memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from oneshot_cli.training.cuda_graphs import Computation, Replayed, record_cuda_graph

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


class Weighted:
    """x -> (sum of w x, sum of x), with a weight that is used and one that is not."""

    def __init__(self, device: str = "cpu") -> None:
        self.used = nn.Parameter(torch.tensor([1.0, 2.0], device=device))
        self.unused = nn.Parameter(torch.ones(1, device=device))
        self.parameters = [self.used, self.unused]

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        bound = (self.used * x).sum()
        bound.backward()
        return bound.detach(), x.sum()


def in_place(
    compute: Computation, inputs: Sequence[Tensor]
) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
    """A `Recorder` for the CPU: gradients and results keep their memory, as a CUDA graph's do."""
    results = compute(*inputs)
    model = compute
    assert isinstance(model, Weighted)
    memory = model.used.grad
    assert memory is not None

    def repeat() -> None:
        model.used.grad = None
        for old, new in zip(results, model(*inputs), strict=True):
            old.copy_(new)
        assert model.used.grad is not None
        memory.copy_(model.used.grad)

    return repeat, results


def equal_calls(compute: Weighted, replayed: Replayed, device: str = "cpu") -> None:
    """Every call computes what the computation does, for two shapes in turn."""
    for scale in (1.0, -3.0, 0.5):
        for x in (torch.tensor([1.0, 4.0]), torch.tensor([[2.0, 1.0], [5.0, 7.0]])):
            x = (scale * x).to(device)
            for parameter in compute.parameters:
                parameter.grad = None
            bound, total = replayed(x)
            assert bound == (compute.used * x).sum()
            assert total == x.sum()
            assert compute.used.grad is not None
            assert compute.used.grad.tolist() == x.view(-1, 2).sum(0).tolist()
            assert compute.unused.grad is None
            with torch.no_grad():
                compute.used.add_(compute.used.grad)  # a step of the optimizer: weights change


def test_calls_are_recorded_once_for_each_shape() -> None:
    compute = Weighted()
    replayed = Replayed(compute, compute.parameters, in_place)
    equal_calls(compute, replayed)
    assert len(replayed.recorded) == 2


@pytest.mark.parametrize("message", ["operation not permitted\nwhen stream is capturing", ""])
def test_what_cannot_be_recorded_is_computed_as_it_is(message: str) -> None:
    def fail(compute: Computation, inputs: Sequence[Tensor]) -> object:
        compute(*inputs)
        raise RuntimeError(message)

    compute = Weighted()
    replayed = Replayed(compute, compute.parameters, fail)  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match="without CUDA graphs"):
        replayed(torch.ones(2))
    equal_calls(compute, replayed)
    assert not replayed.recorded


@needs_cuda
def test_cuda_graphs_compute_the_same() -> None:
    compute = Weighted("cuda")
    replayed = Replayed(compute, compute.parameters, record_cuda_graph)
    equal_calls(compute, replayed, "cuda")
    assert len(replayed.recorded) == 2


@needs_cuda
def test_a_computation_that_waits_for_the_gpu_is_not_recorded() -> None:
    class Waiting(Weighted):
        def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
            assert x.sum().item() is not None
            return super().__call__(x)

    compute = Waiting("cuda")
    replayed = Replayed(compute, compute.parameters)
    with pytest.warns(UserWarning, match="without CUDA graphs"):
        replayed(torch.ones(2, device="cuda"))
    equal_calls(compute, replayed, "cuda")
