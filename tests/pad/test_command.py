"""`oneshot pad` from the command line: how it begins, ends and fails."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from commands import oneshot
from served import pad
from tiny import tiny_model

from oneshot_cli import checkpoint
from oneshot_cli.model import VAEConfig, build


def test_it_listens_on_the_loopback_address_alone_and_ctrl_c_ends_it(weights: Path) -> None:
    with pad(weights) as served:
        assert served.address.startswith("http://127.0.0.1:")
        port = int(served.address.rstrip("/").rpartition(":")[2])
        for host, reached in (("127.0.0.1", True), ("127.0.0.2", False)):
            with socket.socket() as client:
                client.settimeout(5)
                assert (client.connect_ex((host, port)) == 0) == reached
    assert served.code == 0
    assert "Traceback" not in served.errors


def test_a_port_in_use_is_said(weights: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = oneshot("pad", "--no-browser", "--port", str(port), "-c", weights, code=1)
    assert f"cannot listen on port {port} of 127.0.0.1: it is in use" in result.stderr
    assert "--port" in result.stderr


def test_a_missing_extra_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("oneshot_cli.pad")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = oneshot("pad", "--no-browser", code=1)
    assert "the pad needs uvicorn" in result.stderr
    assert "pip install 'oneshot-cli[pad]'" in result.stderr


def test_a_checkpoint_that_cannot_vary_is_said(tmp_path: Path) -> None:
    missing = tmp_path / "none.safetensors"
    assert str(missing) in oneshot("pad", "--no-browser", "-c", missing, code=1).stderr
    config = VAEConfig(size=28, latent=(3, 2), hidden=(8, 6))
    path = tmp_path / "vae.safetensors"
    checkpoint.save(path, build(config), checkpoint.Header(config=config))
    assert "without a context" in oneshot("pad", "--no-browser", "-c", path, code=1).stderr
    colour = tiny_model(size=28, channels=3, observation="logistic")
    path = tmp_path / "colour.safetensors"
    checkpoint.save(path, colour, checkpoint.Header(config=colour.config))
    assert "draws in colour" in oneshot("pad", "--no-browser", "-c", path, code=1).stderr
