"""Signals that ask a run to stop, so that it ends between two iterations with everything saved."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

PASSED_ON = 5.0
"""Seconds within which torchrun passes on the signal that the terminal gave every process."""


@contextmanager
def stop_signals(passed_on: bool = False) -> Iterator[Callable[[], bool]]:
    """While inside, Ctrl-C and SIGTERM only ask to stop; a second one interrupts at once.

    With `passed_on` a second one that follows at once is the first one again.
    """
    asked: list[float] = []
    grace = PASSED_ON if passed_on else 0.0

    def ask(number: int, frame: FrameType | None) -> None:
        if asked and time.monotonic() - asked[0] >= grace:
            raise KeyboardInterrupt
        asked.append(time.monotonic())

    try:
        previous = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread, where signals cannot be handled
        previous = {}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
