"""Helpers of tests with several processes."""

from __future__ import annotations

import socket
from pathlib import Path

from tiny import tiny_model

from oneshot_cli import checkpoint


def weights(path: Path) -> Path:
    model = tiny_model(size=28, steps=4)
    header = checkpoint.Header(
        config=model.config, data={"dataset": "glyphs", "split": "weak", "size": 28}
    )
    checkpoint.save(path, model, header)
    return path


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
