"""Servers and proxies that do not do what they should, on this machine."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from unittest.mock import patch

from oneshot_cli.data import fetch
from oneshot_cli.errors import OneshotError

CONTENT = bytes(range(256)) * 1000
HASH = f"sha256:{sha256(CONTENT).hexdigest()}"
TIMEOUT = 1.0
MOST = 20.0
"""Seconds that a download may take here, with the timeout above."""
GOOD = ("whole", "redirect", "chunked", "next address", "proxy")
"""What has to be downloaded. All else has to be refused."""


class Handler(BaseHTTPRequestHandler):
    """Answers by the path. As a proxy it is given whole addresses, of which the path counts."""

    def do_GET(self) -> None:
        page = self.path.rsplit("/", 1)[-1]
        lengths = {"longer": len(CONTENT) + 1, "shorter": len(CONTENT) // 2, "huge": 10**15}
        if page in ("redirect", "loop", "to-a-file"):
            where = {"redirect": "/whole", "loop": "/loop", "to-a-file": "file:///etc/passwd"}[page]
            self._head(302, Location=where)
        elif page in ("missing", "error"):
            self._head(404 if page == "missing" else 500)
        elif page == "endless":
            self._head(200)
            while self._send(CONTENT):
                pass
        elif page == "chunked":
            self._head(200)
            self._send(CONTENT)
        elif page == "no-length":
            self._head(200, **{"Content-Length": "many"})
            self._send(CONTENT[:1000])
        elif page == "silent":
            time.sleep(3 * TIMEOUT)
        else:
            self._head(200, **{"Content-Length": str(lengths.get(page, len(CONTENT)))})
            half = CONTENT[: len(CONTENT) // 2]
            self._send({"other": CONTENT[::-1], "cut": half, "stalled": half}.get(page, CONTENT))
            if page == "stalled":
                time.sleep(3 * TIMEOUT)

    def _head(self, status: int, **fields: str) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, data: bytes) -> bool:
        """Send `data`; false if nobody listens any more."""
        try:
            self.wfile.write(data)
        except OSError:
            return False
        return True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def server() -> Iterator[str]:
    """The address of a server that runs during the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def nobody() -> str:
    """An address at which nobody answers."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


PAGES = (
    *("whole", "redirect", "chunked", "cut", "stalled", "silent", "longer", "shorter", "huge"),
    *("no-length", "other", "endless", "loop", "to-a-file", "missing", "error"),
)


def network_faults() -> Iterator[tuple[str, str, str]]:
    """Each fault: its name, what was said, and what went wrong, or ""."""
    with server() as base:
        cases: dict[str, tuple[tuple[str, ...], str]]
        cases = {page: ((f"{base}/{page}",), "") for page in PAGES}
        cases["next address"] = ((f"{base}/cut", f"{base}/whole"), "")
        cases["nobody"] = ((f"{nobody()}/whole",), "")
        cases["no such host"] = (("http://no-such-host.invalid/whole",), "")
        cases["proxy"] = (("http://no-such-host.invalid/whole",), base)
        cases["proxy of other bytes"] = (("http://no-such-host.invalid/other",), base)
        cases["dead proxy"] = (("http://no-such-host.invalid/whole",), nobody())
        for name, (urls, proxy) in cases.items():
            yield name, *_download(name, urls, proxy)


def _download(name: str, urls: tuple[str, ...], proxy: str) -> tuple[str, str]:
    """Download a file: what was said, and what went wrong, or ""."""
    environment = {"NO_PROXY": "" if proxy else "*", "http_proxy": proxy}
    file = fetch.RemoteFile("file.bin", urls, HASH)
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.dict("os.environ", environment),
        patch.object(fetch, "TIMEOUT", TIMEOUT),
        patch.object(fetch, "MAX_BYTES", 100 * len(CONTENT)),
    ):
        started = time.monotonic()
        try:
            (path,) = fetch.download([file], Path(folder))
            said = "downloaded" if path.read_bytes() == CONTENT else "other bytes were kept"
        except OneshotError as error:
            said = str(error).splitlines()[0]
            if list(Path(folder).iterdir()):
                return said, "a part of the file was left"
        except Exception as error:
            return "", f"{type(error).__name__}: {error}"
        if time.monotonic() - started > MOST:
            return said, f"it took more than {MOST:.0f} seconds"
        return said, "" if (said == "downloaded") == (name in GOOD) else "not as it should be"
