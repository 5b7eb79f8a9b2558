"""Serves the pad on the loopback address until it is interrupted."""

from __future__ import annotations

import errno
import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

import uvicorn

from oneshot_cli.drawing.oneshot import Oneshot, load
from oneshot_cli.errors import OneshotError
from oneshot_cli.pad import answers
from oneshot_cli.pad.requests import Wanted
from oneshot_cli.pad.server import application

LOOPBACK = "127.0.0.1"

CROSS = {
    "mode": "variations",
    "letters": [{"width": 0.05, "strokes": [[[0.2, 0.5], [0.8, 0.5]], [[0.5, 0.2], [0.5, 0.8]]]}],
}
"""A request that is answered before the page is opened."""


class _Server(uvicorn.Server):
    """A server that calls `ready` when it answers; from then on Ctrl-C ends it cleanly."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready()


class Pad:
    """A pad that listens on `address`, a URL, and answers when `serve` is called."""

    def __init__(self, port: int) -> None:
        """Listen on `port`, or on a free one if it is 0. Raises OneshotError if it is taken."""
        try:
            self.socket = socket.create_server((LOOPBACK, port))
        except OSError as error:
            reason = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror
            raise OneshotError(
                f"cannot listen on port {port} of {LOOPBACK}: {reason}\n"
                "give another --port, or 0 for any that is free"
            ) from None
        self.address = f"http://{LOOPBACK}:{self.socket.getsockname()[1]}/"

    def serve(self, model: Oneshot, ready: Callable[[], None], seed: int = 0) -> None:
        """Answer requests until Ctrl-C. `ready` is called when the page can be opened."""
        config = uvicorn.Config(
            application(model, seed),
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=64,
            timeout_graceful_shutdown=3,
        )
        try:
            _Server(config, ready).run(sockets=[self.socket])
        except KeyboardInterrupt:  # which uvicorn raises again after it has ended
            return
        finally:
            self.socket.close()

    def open(self) -> None:
        """Open the page in the person's browser, which may take its time."""
        threading.Thread(target=webbrowser.open, args=(self.address,), daemon=True).start()


def model_for_pad(checkpoint: str | Path | None = None, device: str = "auto") -> Oneshot:
    """The model, loaded, and warm: the first drawing takes longer than those after it.

    Raises OneshotError if it cannot be loaded, or cannot vary a character.
    """
    model = load(checkpoint, device)
    answers.pictures(model, Wanted.of(CROSS))
    return model
