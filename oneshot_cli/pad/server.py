"""The pad's web application: the page, and the drawings that it asks for.

It answers its own page alone. The Host header has to be a loopback name, so that a page elsewhere
cannot reach it by a name of its own (DNS rebinding). A request for drawings has to come from this
page by its Origin header, and be JSON, which other pages may not send.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oneshot_cli.drawing.oneshot import ALPHABET_SPREAD, Oneshot
from oneshot_cli.errors import OneshotError, UsageError
from oneshot_cli.pad import answers
from oneshot_cli.pad.limits import BusyError, Queue
from oneshot_cli.pad.requests import (
    MOST_BYTES,
    MOST_LETTERS,
    MOST_POINTS,
    MOST_STROKES,
    Wanted,
    document,
)

PAGE = Path(__file__).parent / "page"
HOSTS = ["127.0.0.1", "localhost"]

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class OwnPage:
    """Middleware: every response has HEADERS, and only the page itself may send anything."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            headers = Headers(scope=scope)
            if headers.get("origin") != f"http://{headers.get('host')}":
                refusal = _message("only the pad's own page may ask for drawings", 403)
                await refusal(scope, receive, send_with_headers)
                return
        await self.app(scope, receive, send_with_headers)


def application(model: Oneshot, seed: int = 0) -> Starlette:
    """The web application for `model`; `seed` is the one that the page begins with."""
    mimetypes.add_type("text/javascript", ".js")  # Windows' registry may say otherwise
    queue = Queue()
    settings = {
        "seed": seed,
        "closeness": model.closeness,
        "spread": model.spread,
        "alphabetSpread": ALPHABET_SPREAD,
        "drawings": answers.N,
        "mostLetters": MOST_LETTERS,
        "mostStrokes": MOST_STROKES,
        "mostPoints": MOST_POINTS,
    }

    async def pictures(request: Request) -> Response:
        wanted = Wanted.of(await _asked(request))
        return JSONResponse(await queue.run(lambda: answers.pictures(model, wanted)))

    async def films(request: Request) -> Response:
        wanted = Wanted.of(await _asked(request))
        return JSONResponse(await queue.run(lambda: answers.films(model, wanted)))

    async def file(request: Request) -> Response:
        fields = await _asked(request)
        wanted, kind, number = Wanted.of(fields), str(fields.get("format")), fields.get("number")
        made = await queue.run(lambda: answers.file(model, wanted, kind, number))
        disposition = {"Content-Disposition": f'attachment; filename="{made.name}"'}
        return Response(made.content, media_type=made.media_type, headers=disposition)

    return Starlette(
        routes=[
            Route("/api/settings", lambda _: JSONResponse(settings)),
            Route("/api/pictures", pictures, methods=["POST"]),
            Route("/api/films", films, methods=["POST"]),
            Route("/api/file", file, methods=["POST"]),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ],
        middleware=[
            Middleware(OwnPage),
            Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False),
        ],
        exception_handlers=HANDLERS,
    )


async def _asked(request: Request) -> dict[str, Any]:
    """The JSON object that a request has, of at most MOST_BYTES. Raises HTTPException, UsageError.

    The body is counted as it arrives: its length may be missing from the headers, or wrong.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/json":
        raise HTTPException(415, "the request has to be application/json")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise HTTPException(413, f"the request has more than {MOST_BYTES:,} bytes")
    return document(bytes(body))


def _message(text: str, status: int, **headers: str) -> JSONResponse:
    return JSONResponse({"message": text}, status, headers=headers)


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _message(error.detail, error.status_code)


async def _unusable(_: Request, error: Exception) -> Response:
    return _message(str(error), 400)


async def _unreadable(_: Request, error: Exception) -> Response:
    return _message(str(error), 422)


async def _busy(_: Request, error: Exception) -> Response:
    assert isinstance(error, BusyError)
    return _message(str(error), 429, **{"Retry-After": str(error.seconds)})


HANDLERS: dict[Any, Callable[..., Any]] = {
    HTTPException: _http,
    UsageError: _unusable,
    OneshotError: _unreadable,
    BusyError: _busy,
}
"""The answers to exceptions. Each has a status, and a message for the person."""
