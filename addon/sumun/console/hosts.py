"""Which Host headers are taken: a defence against DNS rebinding.

A web page of an attacker can point its own name at this listener and then read our answers as its own. It cannot do so
under an address literal, nor under a name without a dot, which nobody can register: ``localhost``, or the service
name of a container. Every other name has to be configured.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from sumun.model.name import DomainName, InvalidName, parse_host


class OnlyHosts:
    """Answers 421 (RFC 9110, 15.5.20) to requests for other hosts."""

    def __init__(self, app: ASGIApp, names: Collection[str] = ()) -> None:
        self._app, self._names = app, frozenset(DomainName.parse(name) for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if its one Host header is ours."""
        hosts = Headers(scope=scope).getlist("host")
        if scope["type"] != "http" or (len(hosts) == 1 and is_ours(hosts[0], self._names)):
            await self._app(scope, receive, send)
            return
        answer = PlainTextResponse("this host name is not served here: use the address\n", status_code=421)
        await answer(scope, receive, send)


def is_ours(host: str, names: Collection[DomainName]) -> bool:
    """Whether a Host header is an address literal, a name without a dot, or one of these names."""
    name, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "")
    if port and not (port.isascii() and port.isdigit()):
        return False
    try:
        parsed = parse_host(name)
    except InvalidName:
        return False
    return not isinstance(parsed, DomainName) or len(parsed.labels) == 1 or parsed in names
