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
        model.used.grad = None  # the gradient is in the memory, and nowhere else

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


@pytest.mark.parametrize(
    ("message", "reason"),
    [("not permitted\nwhen capturing", "not permitted"), ("", "RuntimeError")],
)
def test_what_cannot_be_recorded_is_computed_as_it_is(message: str, reason: str) -> None:
    def fail(compute: Computation, inputs: Sequence[Tensor]) -> object:
        compute(*inputs)
        try:
            raise RuntimeError(message)
        finally:
            raise RuntimeError("the end of the recording fails, too")

    compute = Weighted()
    replayed = Replayed(compute, compute.parameters, fail)  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match=f"no further CUDA graphs: {reason}"):
        bound, total = replayed(torch.ones(2))
    assert (bound, total) == (3, 2)
    assert compute.used.grad is not None
    assert compute.used.grad.tolist() == [1, 1]
    equal_calls(compute, replayed)
    assert not replayed.recorded


def test_what_is_recorded_is_repeated_after_another_recording_fails() -> None:
    compute = Weighted()
    calls: list[int] = []

    def once(
        compute: Computation, inputs: Sequence[Tensor]
    ) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
        calls.append(len(inputs))
        if len(calls) > 1:
            raise RuntimeError("no memory")
        return in_place(compute, inputs)

    replayed = Replayed(compute, compute.parameters, once)
    with pytest.warns(UserWarning, match="no memory"):
        equal_calls(compute, replayed)
    assert len(replayed.recorded) == 1
    assert len(calls) == 2


def test_inputs_of_another_type_are_recorded_anew() -> None:
    compute = Weighted()
    replayed = Replayed(compute, compute.parameters, in_place)
    assert replayed(torch.ones(2))[0] == 3
    compute.used.grad = None
    assert replayed(torch.ones(2, dtype=torch.float64))[0].dtype == torch.float64


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
    stream = torch.cuda.current_stream()
    with pytest.warns(UserWarning, match="no further CUDA graphs"):
        replayed(torch.ones(2, device="cuda"))
    equal_calls(compute, replayed, "cuda")
    assert torch.cuda.current_stream() == stream
