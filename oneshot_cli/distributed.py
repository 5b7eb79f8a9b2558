"""Several processes that do one piece of work together, as torchrun starts them.

One process is the world of size 1, in which every method below is trivial: nothing that works with
a `World` asks how many there are.
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
"""How long a silent process is waited for. One that ended is noticed at once."""

LONG_TIMEOUT = timedelta(hours=12)
"""The same where each works alone for long, and the others wait for its results at the end."""


@dataclass(frozen=True)
class World:
    """`size` processes, of which this is number `rank`, working on `device`.

    Numbers and objects travel between hosts through the group `control`, so that exchanging them
    waits for no device; gradients go by the backend of the device.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    device: torch.device = CPU
    control: Any = None

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """Which of the `count` examples of a batch are this process's: neighbours, about as many
        for each. Raises OneshotError where some process would have none."""
        if count < self.size:
            raise OneshotError(
                f"a batch of {count} cannot be divided among {self.size} processes\n"
                "give a larger --batch, or start fewer"
            )
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Those of `items` that are this process's, every `size`-th; there may be none."""
        return items[self.rank :: self.size]

    def gathered(self, results: Sequence[T]) -> list[T]:
        """At every process, all results in the order of the items, from those of each `share`."""
        every = self.all_gather(results)
        count = sum(len(each) for each in every)
        return [every[i % self.size][i // self.size] for i in range(count)]

    def all_gather(self, thing: T) -> list[T]:
        """At every process, the `thing` of each, by rank. Tensors have to be on the CPU."""
        if self.size == 1:
            return [thing]
        things: list[Any] = [None] * self.size
        dist.all_gather_object(things, thing, group=self.control)
        return things

    def mean(self, numbers: Sequence[float]) -> list[float]:
        """The means over all processes."""
        return [sum(each) / self.size for each in zip(*self.all_gather(list(numbers)), strict=True)]

    def mean_over_examples(self, means: Tensor, count: int) -> Tensor:
        """The means (N,) over the examples of all processes, of which this one has `count`.

        `means` are those over its own, on the device. No gradient goes through.
        """
        if self.size == 1:
            return means
        sums = torch.cat([means.detach() * count, means.new_full((1,), count)])
        dist.all_reduce(sums)
        return sums[:-1] / sums[-1]

    def maximum(self, number: int) -> int:
        """The highest of all processes' numbers: how they agree."""
        if self.size == 1:
            return number
        vote = torch.tensor(number)
        dist.all_reduce(vote, dist.ReduceOp.MAX, group=self.control)
        return int(vote)

    def from_main(self, work: Callable[[], T]) -> T:
        """What `work` gives at the first process, which alone does it, at every process.

        Where it fails there, the error is raised there, and the others end without a word.
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
        """The first process of each machine does the block before the others, for whom it fills
        caches."""
        if self.local_rank > 0:
            self.all_gather(None)
        yield
        if self.local_rank == 0:
            self.all_gather(None)

    def parallel(self, module: nn.Module) -> nn.Module:
        """`module`, with the gradients of its parameters averaged over all processes.

        Called like it. The first process's parameters become everyone's. The graph is the same in
        every iteration: a parameter that has no part in one (the context's, where every context is
        empty) has none in any, and keeps its gradient None.
        """
        if self.size == 1:
            return module
        # Convolutions leave their gradients channels-last, parameters are not: a small copy.
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        return DistributedDataParallel(module, static_graph=True, gradient_as_bucket_view=True)


ALONE = World()
"""One process on the CPU."""


def is_main_process() -> bool:
    """Whether this is the process that reports: the first of torchrun's, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def join_world(device: str = "auto", timeout: timedelta = TIMEOUT) -> Iterator[World]:
    """The world that torchrun put this process into, while the block runs; alone without torchrun.

    `device` is as for `resolve_device`; of several GPUs each process takes its own. Inside another
    such block it is the world of that. Raises
    OneshotError where there are too few, and when another process ends early or says nothing for
    as long as `timeout`.
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
    # Its functions keep the group that they meet as they are made: there must be none yet.
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
                f"process {rank + 1} of {size}: another one ended early, or was silent for "
                f"{timeout}\nfiles are whole; train goes on with --resume, vary with "
                "--skip-existing"
            ) from error


def _place(device: str, local_rank: int) -> torch.device:
    """The device of one of several processes on a machine. Raises OneshotError."""
    place = resolve_device(device)
    if place.type == "mps" and device == "auto":
        return torch.device("cpu")
    if place.type == "mps":
        raise OneshotError("several processes work on cpu or cuda, not on mps")
    if place.type != "cuda":
        return place
    if local_rank >= torch.cuda.device_count():
        raise OneshotError(
            f"this machine has {torch.cuda.device_count()} GPUs, but more processes were started\n"
            "give torchrun --nproc-per-node gpu, or take --device cpu"
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def _is_lost(error: RuntimeError) -> bool:
    """Whether `error` says that processes can no longer talk to each other.

    Gloo's errors are plain RuntimeErrors that name its source files.
    """
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def _end_threads() -> None:
    """End gloo's threads while the interpreter is whole.

    They live for as long as anything holds their group, destroyed or not; one that lets go of a
    tensor after the interpreter aborts the process.
    """
    if dist.is_initialized() and dist.get_backend() == "gloo":
        dist.destroy_process_group()
    gc.collect()


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM, by which torchrun ends the others when one process fails, tidies up as it ends."""

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
