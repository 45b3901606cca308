"""Trailers over HTTP/1, which mitmproxy does not read: left out, as every proxy may do (RFC 9110, 6.5.1).

Over HTTP/2 on both sides, where gRPC needs them, they pass. The same place tells an HTTP/1 origin where a body ends
that a client began over HTTP/2 without a length. Reaches into mitmproxy's layers, as ``failing`` does.
"""

from __future__ import annotations

from typing import Any

from h11 import EndOfMessage
from h11._readers import ChunkedReader
from mitmproxy.proxy import events
from mitmproxy.proxy.layer import CommandGenerator, Layer
from mitmproxy.proxy.layers.http import HttpLayer, HttpStream
from mitmproxy.proxy.layers.http._events import HttpEvent, RequestTrailers
from mitmproxy.proxy.layers.http._http1 import Http1Client


class PlainChunks(ChunkedReader):
    """Reads a body in chunks, without what follows the last."""

    def __call__(self, buf: Any) -> Any:
        """Read on; an end with trailers is an end."""
        found = super().__call__(buf)
        return EndOfMessage() if isinstance(found, EndOfMessage) else found


def fit_to_origin(stream: HttpStream) -> None:
    """Once the origin's version is known, send it only what that version has."""
    theirs = stream.make_server_connection

    def ours() -> CommandGenerator[bool]:
        connected = yield from theirs()
        if connected and (client := _http1_client(stream)):
            request = stream.flow.request
            request.trailers = None
            if request.is_http2 and request.data.content is None and "content-length" not in request.headers:
                request.headers["transfer-encoding"] = "chunked"  # it streams: mitmproxy would not frame it
            _leave_out(client)
        return connected

    stream.make_server_connection = ours  # type: ignore[method-assign] # there is no hook for it


def _leave_out(client: Http1Client) -> None:
    if "send" in vars(client):
        return  # the connection is used again
    send, read = client.send, client.read_body

    def sending(event: HttpEvent) -> CommandGenerator[None]:
        if not isinstance(event, RequestTrailers):
            yield from send(event)

    def reading(event: events.Event) -> CommandGenerator[None]:
        if type(client.body_reader) is ChunkedReader:
            client.body_reader = PlainChunks()
        yield from read(event)

    client.send = sending  # type: ignore[method-assign] # there is no hook for it
    client.read_body = reading  # type: ignore[method-assign] # there is no hook for it


def _http1_client(stream: HttpStream) -> Http1Client | None:
    layers = stream.context.layers
    parent = layers[layers.index(stream) - 1]
    layer: Layer | None = parent.connections.get(stream.context.server) if isinstance(parent, HttpLayer) else None
    while layer is not None and not isinstance(layer, Http1Client):
        layer = getattr(layer, "child_layer", None)
    return layer
