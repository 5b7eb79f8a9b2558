"""An iteration's forward and backward pass as CUDA graphs.

The operations of a recurrence are many and small: a GPU is done with one before Python has launched
the next. A CUDA graph is recorded once and launches all of them at once. It has fixed shapes, so
there is one for each combination of the inputs' shapes: picture sizes, and numbers of context
images. Each keeps the memory of its activations.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

WARM_UPS = 2
"""Calls before the recording. The first ones of a library allocate and choose algorithms."""

Computation = Callable[..., tuple[Tensor, ...]]
"""A function of tensors that adds to the gradients of parameters, and returns tensors."""
Recorder = Callable[[Computation, Sequence[Tensor]], tuple[Callable[[], None], tuple[Tensor, ...]]]
"""Records a call of a computation. Returns how to repeat it, with the same memory, and its results.

The repetition reads the inputs' memory again, and writes that of the results and the gradients.
"""


def record_cuda_graph(
    compute: Computation, inputs: Sequence[Tensor]
) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
    """The `Recorder` of CUDA. Raises RuntimeError if the computation waits for the GPU."""
    graph = torch.cuda.CUDAGraph()
    # The outer block is for failures, which leave the stream of the recording the current one.
    with torch.cuda.stream(torch.cuda.current_stream()), torch.cuda.graph(graph):
        results = compute(*inputs)
    return graph.replay, results


class _Recorded(NamedTuple):
    """What repeats a call, its memory, and the gradients that it writes: None for unused ones."""

    repeat: Callable[[], None]
    inputs: list[Tensor]
    results: tuple[Tensor, ...]
    gradients: list[Tensor | None]


class Replayed:
    """A computation that is recorded at the first call with inputs of new shapes, then repeated.

    It computes the same as the computation itself, gradients of `parameters` included, provided
    that these have no gradient before. Results and gradients of a call are overwritten by later
    ones. The computation is called several times to be recorded. So it must depend on its inputs
    alone, draw no random numbers and change nothing but gradients; numbers that are no tensors stay
    what they were at the recording. Once a recording fails, there are no further ones, with a
    warning: inputs of new shapes are computed without.
    """

    def __init__(
        self,
        compute: Computation,
        parameters: Iterable[nn.Parameter],
        record: Recorder = record_cuda_graph,
    ) -> None:
        self.compute, self.parameters, self.record = compute, list(parameters), record
        self.recorded: dict[tuple[tuple[torch.Size, torch.dtype], ...], _Recorded] = {}
        self.works = True

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        key = tuple((each.shape, each.dtype) for each in inputs)
        if self.works and key not in self.recorded:
            reason = ""
            try:
                self.recorded[key] = self._recorded(inputs)
            except RuntimeError as error:
                reason = _first_reason(error)
            if reason:  # outside of the except block, which keeps the memory of the failed call
                self.works = False
                self._forget_gradients()
                warnings.warn(f"no further CUDA graphs: {reason}", stacklevel=2)
        if key not in self.recorded:
            return self.compute(*inputs)
        call = self.recorded[key]
        for memory, value in zip(call.inputs, inputs, strict=True):
            memory.copy_(value)
        call.repeat()
        for parameter, gradient in zip(self.parameters, call.gradients, strict=True):
            parameter.grad = gradient
        return call.results

    def _recorded(self, inputs: Sequence[Tensor]) -> _Recorded:
        memory = [each.clone() for each in inputs]
        self._warm_up(memory)
        self._forget_gradients()
        repeat, results = self.record(self.compute, memory)
        gradients = [parameter.grad for parameter in self.parameters]
        return _Recorded(repeat, memory, results, gradients)

    def _warm_up(self, inputs: Sequence[Tensor]) -> None:
        """Call the computation beside the main stream, as recordings must be prepared."""
        if not inputs[0].is_cuda:
            return
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                self._forget_gradients()
                self.compute(*inputs)
        torch.cuda.current_stream().wait_stream(aside)

    def _forget_gradients(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None


def _first_reason(error: BaseException) -> str:
    """The first line of the error that came first: the end of a failed recording raises another."""
    while error.__context__ is not None:
        error = error.__context__
    return (str(error).strip() or type(error).__name__).splitlines()[0]
