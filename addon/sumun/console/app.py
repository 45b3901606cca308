"""Paths and answers of the console."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from datetime import datetime

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sumun.console.hosts import OnlyHosts
from sumun.console.html import page
from sumun.console.readiness import Readiness

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""https://prometheus.io/docs/instrumenting/exposition_formats/"""

_HEADERS = [
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]


def application(
    *,
    metrics: Callable[[], bytes],
    readiness: Readiness,
    clock: Callable[[], datetime],
    areas: Sequence[Route] = (),
    hosts: Collection[str] = (),
) -> Starlette:
    """Build the ASGI application; ``metrics`` reads files, so it is called in a thread, one scrape at a time.

    ``areas`` are the pages of its parts, such as ``grants.GrantsPage.routes()``.
    """
    scraping = asyncio.Lock()

    async def index(_: Request) -> Response:
        return page("index.html.j2", area="/")

    async def scrape(_: Request) -> Response:
        async with scraping:
            body = await asyncio.to_thread(metrics)
        return Response(body, headers={"content-type": METRICS_TYPE})

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        checks = await readiness.checks()
        ready = all(check.ok for check in checks.values())
        body = {
            "ready": ready,
            "at": clock().isoformat(timespec="seconds"),
            "checks": {name: asdict(check) for name, check in checks.items()},
        }
        return JSONResponse(body, status_code=200 if ready else 503)

    app = Starlette(
        routes=[
            Route("/", index),
            Route("/metrics", scrape),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            *areas,
        ],
        middleware=[Middleware(SecureHeaders), Middleware(OnlyHosts, names=hosts)],
    )
    app.router.redirect_slashes = False  # the redirection would echo the query
    return app


class SecureHeaders:
    """Adds the security headers to every answer, refusals too; an answer's own stricter or wider field stays."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on unchanged."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(field for field in _HEADERS if field[0] not in given)]
            await send(message)

        await self._app(scope, receive, with_headers)
