"""Our own page where an origin cannot be reached, or has a certificate that nobody should trust.

mitmproxy would answer with a page of its own, which names nobody to ask. Reaches into its layers, which no hook shows;
tests/contract/test_mitmproxy.py pins what is used.
"""

from __future__ import annotations

from collections.abc import Callable

from mitmproxy import http
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import (
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)

type PageFor = Callable[[http.HTTPFlow, str], http.Response | None]
"""Makes the answer out of mitmproxy's message; None: mitmproxy's own will do."""


def show_failures(stream: HttpStream, page_for: PageFor) -> None:
    """Answer this stream's failures by our own page, while nothing of another answer has been sent."""
    theirs = stream.handle_protocol_error

    def ours(event: RequestProtocolError | ResponseProtocolError) -> CommandGenerator[None]:
        flow = stream.flow
        unanswered = flow.response is None and stream.client_state != stream.state_errored
        failed = isinstance(event, ResponseProtocolError) and event.code.http_status_code() == 502
        if failed and unanswered and (page := page_for(flow, event.message)):
            yield from _send(stream, page)
        yield from theirs(event)

    stream.handle_protocol_error = ours  # type: ignore[method-assign] # there is no hook for it


def _send(stream: HttpStream, page: http.Response) -> CommandGenerator[None]:
    client, id_ = stream.context.client, stream.stream_id
    yield SendHttp(ResponseHeaders(id_, page, end_stream=False), client)
    yield SendHttp(ResponseData(id_, page.raw_content or b""), client)
    if stream.flow.request.is_http2:
        yield SendHttp(ResponseEndOfMessage(id_), client)
    # an HTTP/1 connection is closed by mitmproxy on the event that follows
