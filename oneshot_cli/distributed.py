"""`World`: the processes that torchrun starts, which share one piece of work.

A single process is a world of size 1, in which every method is trivial. So code that uses a `World`
need not ask how many processes there are.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import Any, NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from oneshot_cli.devices import resolve_device
from oneshot_cli.errors import OneshotError

T = TypeVar("T")

CPU = torch.device("cpu")

TIMEOUT = timedelta(minutes=15)
"""How long to wait for a process that does not answer. One that ended is noticed at once."""

LONG_TIMEOUT = timedelta(hours=12)
"""The timeout of work that processes do independently, and gather at the end."""


@dataclass(frozen=True)
class World:
    """`size` processes. This one is number `rank` and computes on `device`.

    Numbers and objects are exchanged through the gloo group `control`, so that they do not wait for
    a GPU. Gradients are exchanged by the backend of the device.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    device: torch.device = CPU
    control: Any = None

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and messages."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """This process's slice of a batch of `count` examples. Slices are about equally long.

        Raises OneshotError if a process would have no example.
        """
        if count < self.size:
            raise OneshotError(
                f"a batch of {count} cannot be divided among {self.size} processes\n"
                "give a larger --batch, or start fewer processes"
            )
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This process's share of `items`: every `size`-th, from `rank` on. It may be empty."""
        return items[self.rank :: self.size]

    def gathered(self, results: Sequence[T]) -> list[T]:
        """The results of all processes in the order of the items that `share` distributed."""
        every = self.all_gather(results)
        count = sum(len(each) for each in every)
        return [every[i % self.size][i // self.size] for i in range(count)]

    def all_gather(self, thing: T) -> list[T]:
        """The `thing` of every process, ordered by rank. Tensors have to be on the CPU."""
        if self.size == 1:
            return [thing]
        things: list[Any] = [None] * self.size
        dist.all_gather_object(things, thing, group=self.control)
        return things

    def mean(self, numbers: Sequence[float]) -> list[float]:
        """The means over all processes."""
        return [sum(each) / self.size for each in zip(*self.all_gather(list(numbers)), strict=True)]

    def mean_over_examples(self, means: Tensor, count: int) -> Tensor:
        """Means (N,) over the examples of all processes.

        `means` (N,), on the device, are over the `count` examples of this process. The result has
        no gradient.
        """
        if self.size == 1:
            return means
        sums = torch.cat([means.detach() * count, means.new_full((1,), count)])
        dist.all_reduce(sums)
        return sums[:-1] / sums[-1]

    def maximum(self, number: int) -> int:
        """The maximum of all processes' numbers, by which they agree on an action."""
        if self.size == 1:
            return number
        vote = torch.tensor(number)
        dist.all_reduce(vote, dist.ReduceOp.MAX, group=self.control)
        return int(vote)

    def from_main(self, work: Callable[[], T]) -> T:
        """Call `work` in the first process only, and return its result in every process.

        If it fails, the first process raises the error and the others exit silently.
        """
        if self.size == 1:
            return work()
        answer: list[Any] = [False, None]
        try:
            if self.is_main:
                answer = [True, work()]
        finally:
            dist.broadcast_object_list(answer, src=0, group=self.control)
        if not answer[0]:
            raise SystemExit(1)
        return answer[1]

    @contextmanager
    def local_main_first(self) -> Iterator[None]:
        """Let the first process of each machine run the block before the others, to fill caches."""
        if self.local_rank > 0:
            self.all_gather(None)
        yield
        if self.local_rank == 0:
            self.all_gather(None)

    def parallel(self, module: nn.Module) -> nn.Module:
        """Wrap `module` so that its gradients are averaged over all processes.

        Every process gets the first process's parameters. The graph has to be the same in every
        iteration: a parameter that the first iteration does not use (the context's, if every
        context is empty) is never used, and its gradient stays None.
        """
        if self.size == 1:
            return module
        # Gradients of convolutions are channels-last, parameters are not: a small copy.
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        return DistributedDataParallel(module, static_graph=True, gradient_as_bucket_view=True)


ALONE = World()
"""One process on the CPU."""


def is_main_process() -> bool:
    """Whether this is the process that reports: the first of torchrun's, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def join_world(device: str = "auto", timeout: timedelta = TIMEOUT) -> Iterator[World]:
    """The world that torchrun started this process in, or a world of one process, for the block.

    `device` is as for `resolve_device`; each process takes a GPU of its own. Nested blocks share
    one world. Raises OneshotError if there are fewer GPUs than processes, if another process ends
    early, or if it does not answer within `timeout`.
    """
    if (current := _current.get()) is not None:
        yield current
        return
    with _join_world(device, timeout) as world:
        token = _current.set(world)
        try:
            yield world
        finally:
            _current.reset(token)


_current: ContextVar[World | None] = ContextVar("current", default=None)


@contextmanager
def _join_world(device: str, timeout: timedelta) -> Iterator[World]:
    rank, size, local_rank = (
        int(os.environ.get(name, default))
        for name, default in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))
    )
    if size == 1:
        yield World(device=resolve_device(device))
        return
    if not dist.is_available():
        raise OneshotError("this build of torch cannot work with several processes")
    place = _place(device, local_rank)
    # The module's functions keep the group that exists at import, so none may exist yet.
    importlib.import_module("torch.distributed.nn.functional")
    with _ended_by_sigterm():
        try:
            atexit.register(_end_threads)
            dist.init_process_group("nccl" if place.type == "cuda" else "gloo", timeout=timeout)
            control = dist.new_group(backend="gloo", timeout=timeout)
            yield World(rank, size, local_rank, place, control)
            dist.destroy_process_group()
        except RuntimeError as error:
            if not _is_lost(error):
                raise
            raise OneshotError(
                f"process {rank + 1} of {size}: another process ended early, or did not answer for "
                f"{timeout}\nall files are complete; continue train with --resume, vary with "
                "--skip-existing"
            ) from error


def _place(device: str, local_rank: int) -> torch.device:
    """The device of one of several processes on a machine. Raises OneshotError."""
    place = resolve_device(device)
    if place.type == "mps" and device == "auto":
        return torch.device("cpu")
    if place.type == "mps":
        raise OneshotError("several processes need cpu or cuda; mps takes only one")
    if place.type != "cuda":
        return place
    if local_rank >= torch.cuda.device_count():
        raise OneshotError(
            f"this machine has {torch.cuda.device_count()} GPUs, but more processes were started\n"
            "start torchrun with --nproc-per-node gpu, or use --device cpu"
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def _is_lost(error: RuntimeError) -> bool:
    """Whether `error` says that the connection between processes is lost.

    Gloo's errors are plain RuntimeErrors that name its source files.
    """
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def _end_threads() -> None:
    """End gloo's threads before the interpreter shuts down.

    They live as long as their group is referenced, even if it is destroyed. A thread that releases
    a tensor after the shutdown aborts the process.
    """
    if dist.is_initialized() and dist.get_backend() == "gloo":
        dist.destroy_process_group()
    gc.collect()


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Turn SIGTERM into SystemExit for the block, so that cleanup runs.

    torchrun sends it to the other processes when one fails.
    """

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    try:
        previous = signal.signal(signal.SIGTERM, leave)
    except ValueError:  # not in the main thread, where signals cannot be handled
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
