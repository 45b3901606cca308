from mitmproxy import http
from mitmproxy.test import tflow

from sumun.pages.render import Page
from sumun.proxy import enforce
from tests.support.builders import rule


def test_a_page_is_sent_as_it_is_with_its_length() -> None:
    page = Page(403, (("content-type", "text/html"), ("vary", "Accept")), b"<p>")
    sent = enforce.response(page)
    assert (sent.status_code, sent.content) == (403, b"<p>")
    assert dict(sent.headers) == {"content-type": "text/html", "vary": "Accept", "content-length": "3"}


def test_a_response_without_content_has_no_length() -> None:
    assert "content-length" not in enforce.response(Page(204, (), b"")).headers


def test_a_bare_answer_parts_where_the_protocol_can() -> None:
    for version, closes in ((b"HTTP/1.1", True), (b"HTTP/2.0", False)):
        flow = tflow.tflow()
        flow.request.data.http_version = version
        enforce.bare(flow, 400, "no")
        assert flow.response is not None
        assert (flow.response.text, "connection" in flow.response.headers) == ("no\n", closes)


def test_tenant_fields_are_ours_alone() -> None:
    request = http.Request.make("GET", "http://a.test/", headers=http.Headers([(b"X-T", b"1"), (b"x-t", b"2")]))
    enforce.keep_to_tenant(request, rule("own", "allow", tenant=(("X-T", "a"), ("X-T", "b"), ("X-U", "c"))))
    assert request.headers.get_all("x-t") == ["a", "b"]
    assert request.headers.get_all("x-u") == ["c"]


def test_an_upgrade_to_cleartext_http2_is_taken_out_and_others_stay() -> None:
    upgrade = {"upgrade": "h2c", "http2-settings": "AA", "connection": "Upgrade, HTTP2-Settings"}
    request = http.Request.make("GET", "http://a.test/", headers=upgrade)
    enforce.without_upgrade_to_h2c(request)
    assert not set(upgrade) & {name.lower() for name in request.headers}
    websocket = http.Request.make("GET", "http://a.test/", headers={"upgrade": "websocket", "connection": "Upgrade"})
    enforce.without_upgrade_to_h2c(websocket)
    assert websocket.headers["upgrade"] == "websocket"
