"""Signals that stop a run between two iterations, so that it can save its state."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

FORWARDING_TIME = 5.0
"""Seconds within which torchrun forwards a signal that the terminal has sent already."""


@contextmanager
def stop_signals(forwarded: bool = False) -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C, SIGTERM or SIGHUP in the block into a request to stop.

    Yields a function that returns whether stopping was requested. A second signal raises
    KeyboardInterrupt. With `forwarded`, a second signal within FORWARDING_TIME counts as a copy of
    the first one. SIGHUP, which a closed terminal sends, stays ignored under nohup.
    """
    asked: list[float] = []
    grace = FORWARDING_TIME if forwarded else 0.0

    def ask(number: int, frame: FrameType | None) -> None:
        if asked and time.monotonic() - asked[0] >= grace:
            raise KeyboardInterrupt
        asked.append(time.monotonic())

    try:
        previous = {s: signal.signal(s, ask) for s in _signals()}
    except ValueError:  # not in the main thread, where signals cannot be handled
        previous = {}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _signals() -> list[signal.Signals]:
    """The signals that stop a run. Windows has no SIGHUP."""
    found = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        found.append(hangup)
    return found
