"""How much the pad does at once: one drawing at a time, a short queue, and a rate."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

Result = TypeVar("Result")

WAITING = 4
"""Drawings in the queue, with the one that is being made."""
REQUESTS = 60
"""Requests for drawings in any PERIOD."""
PERIOD = 10.0
"""Seconds."""


class BusyError(Exception):
    """More was asked than is done at once. `seconds` says when to ask again."""

    def __init__(self, seconds: int) -> None:
        super().__init__("the pad is busy; it draws one thing at a time")
        self.seconds = seconds


class Queue:
    """Runs work in a thread, one after the other, within the limits above."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._one = asyncio.Lock()
        self._waiting = 0
        self._asked: deque[float] = deque()
        self._clock = clock

    async def run(self, work: Callable[[], Result]) -> Result:
        """The result of `work`. Raises BusyError if the queue is full or the rate too high."""
        now = self._clock()
        while self._asked and self._asked[0] <= now - PERIOD:
            self._asked.popleft()
        if len(self._asked) >= REQUESTS:
            raise BusyError(int(PERIOD - (now - self._asked[0])) + 1)
        if self._waiting >= WAITING:
            raise BusyError(1)
        self._asked.append(now)
        self._waiting += 1
        try:
            async with self._one:
                return await run_in_threadpool(work)
        finally:
            self._waiting -= 1
