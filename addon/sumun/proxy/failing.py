"""A second try where a kept connection was closed; our page where an origin cannot be reached, or proves nothing.

mitmproxy would answer with a page of its own, which names nobody to ask. Reaches into its layers, which no hook shows;
tests/contract/test_mitmproxy.py pins what is used.
"""

from __future__ import annotations

from collections.abc import Callable

from mitmproxy import http
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import (
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)

_TRIED = "sumun.tried"
"""Key in a flow's metadata: it was sent a second time."""
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""RFC 9110, 9.2.2, without those that may carry a body."""
_CLOSED = ("server closed connection", "peer closed connection", "HTTP/2 connection closed")
"""How mitmproxy says it."""

type PageFor = Callable[[http.HTTPFlow, str], http.Response | None]
"""Makes the answer out of mitmproxy's message; None: mitmproxy's own will do."""


def show_failures(stream: HttpStream, page_for: PageFor) -> None:
    """Answer this stream's failures by our own page, while nothing of another answer has been sent."""
    theirs = stream.handle_protocol_error

    def ours(event: RequestProtocolError | ResponseProtocolError) -> CommandGenerator[None]:
        flow = stream.flow
        if _may_try_again(stream, event):
            flow.metadata[_TRIED] = True
            if (yield from stream.make_server_connection()):
                yield SendHttp(RequestHeaders(stream.stream_id, flow.request, end_stream=True), stream.context.server)
                yield SendHttp(RequestEndOfMessage(stream.stream_id), stream.context.server)
            return
        unanswered = flow.response is None and stream.client_state != stream.state_errored
        failed = isinstance(event, ResponseProtocolError) and event.code.http_status_code() == 502
        if failed and unanswered and (page := page_for(flow, event.message)):
            yield from _send(stream, page)
        yield from theirs(event)

    stream.handle_protocol_error = ours  # type: ignore[method-assign] # there is no hook for it


def _may_try_again(stream: HttpStream, event: RequestProtocolError | ResponseProtocolError) -> bool:
    """Whether the origin has closed a kept connection just as the request left (RFC 9112, 9.3.1).

    Nobody can tell if it was acted on: so only a whole request that may be made twice is, and once.
    """
    flow = stream.flow
    return (
        isinstance(event, ResponseProtocolError)
        and event.message.startswith(_CLOSED)
        and flow.response is None
        and _TRIED not in flow.metadata
        and flow.request.method in _IDEMPOTENT
        and flow.request.raw_content == b""
        and stream.client_state == stream.state_done
        and stream.server_state == stream.state_wait_for_response_headers
    )


def _send(stream: HttpStream, page: http.Response) -> CommandGenerator[None]:
    client, id_ = stream.context.client, stream.stream_id
    yield SendHttp(ResponseHeaders(id_, page, end_stream=False), client)
    yield SendHttp(ResponseData(id_, page.raw_content or b""), client)
    if stream.flow.request.is_http2:
        yield SendHttp(ResponseEndOfMessage(id_), client)
    # an HTTP/1 connection is closed by mitmproxy on the event that follows
