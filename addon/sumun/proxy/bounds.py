"""Bounds that mitmproxy does not set on bodies that wait for a decision.

Reaches into mitmproxy's layers, which no hook shows; tests/contract/test_mitmproxy.py pins what is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial

from mitmproxy import http
from mitmproxy.proxy.layer import Layer
from mitmproxy.proxy.layers.http import HttpLayer, HttpStream
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler
from mitmproxy.proxy.utils import ReceiveBuffer

from sumun.proxy.strict import StrictHttp1

DISCARDED = 256 * 1024 * 1024
"""Octets of an upload that are read and thrown away, so that its sender sees the page, before the connection is cut."""


class BoundedBuffer(ReceiveBuffer):
    """Keeps a body up to a bound; a longer one is thrown away as it comes, and cut off in the end."""

    def __init__(self, keep: int, cut: Callable[[], None], *, discard: int = DISCARDED) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # mitmproxy leaves it so
        self._keep = keep
        self._cut = cut
        self._discard = discard
        self._received = 0

    @property
    def overflowed(self) -> bool:
        """Whether the body was too long to be kept."""
        return self._received > self._keep

    def __iadd__(self, data: bytes) -> BoundedBuffer:
        self._received += len(data)
        if not self.overflowed:
            super().__iadd__(data)
            return self
        self.clear()  # type: ignore[no-untyped-call] # mitmproxy leaves it so
        if self._received > self._discard:
            self._cut()
        return self


def bound_body(handler: ProxyConnectionHandler | None, flow: http.HTTPFlow, keep: int) -> BoundedBuffer | None:
    """Bound what is kept of this flow's request body; call it from ``requestheaders``."""
    if handler is None:
        return None
    if stream := stream_of(handler, flow):
        buffer = BoundedBuffer(keep, partial(abort, handler))
        stream.request_body_buf = buffer
        return buffer
    return None


def stream_of(handler: ProxyConnectionHandler | None, flow: http.HTTPFlow) -> HttpStream | None:
    """The part of mitmproxy that deals with one request."""
    layers = _http_layers(handler.layer.context.layers) if handler else ()
    streams = (stream for layer in layers for stream in layer.streams.values())
    return next((stream for stream in streams if getattr(stream, "flow", None) is flow), None)


def is_idle(handler: ProxyConnectionHandler) -> bool:
    """Whether a client that may ask for more has no request under way."""
    layers = list(_http_layers(handler.layer.context.layers))
    return bool(layers) and not any(layer.streams for layer in layers)


def is_late(handler: ProxyConnectionHandler, since: float, before: float) -> bool:
    """Whether something that a client must say first was begun ``before`` a time and is not whole yet.

    ``since`` is when mitmproxy has taken it over: TLS, which comes first, has to be done soon after.
    """
    layers = list(_http_layers(handler.layer.context.layers))
    if not layers:
        return since < before
    servers = [layer.connections.get(handler.client) for layer in layers]
    return any(isinstance(server, StrictHttp1) and server.is_late(before) for server in servers)


def abort(handler: ProxyConnectionHandler) -> None:
    """End a client's connection now."""
    writer = handler.transports[handler.client].writer if handler.client in handler.transports else None
    if isinstance(writer, asyncio.StreamWriter):
        writer.transport.abort()


def _http_layers(layers: list[Layer]) -> Iterator[HttpLayer]:
    """The HTTP layers of a connection, those inside a CONNECT included."""
    for layer in layers:
        if isinstance(layer, HttpLayer):
            yield layer
            for stream in layer.streams.values():
                inner = stream.context.layers
                yield from _http_layers(inner[inner.index(stream) + 1 :] if stream in inner else [])
