"""Guards that a person gets a page and a program an error it understands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.pages.form import Form, asset_type, form_of
from tests.unit.pages.cases import BROWSER, asked


@pytest.mark.parametrize(
    ("fields", "form"),
    [
        pytest.param({"accept": BROWSER}, Form.PAGE, id="browser without fetch metadata"),
        pytest.param({"accept": BROWSER, "fetch_dest": "document"}, Form.PAGE, id="browser navigation"),
        pytest.param({"accept": BROWSER, "fetch_dest": "iframe"}, Form.PAGE, id="frame"),
        pytest.param({"accept": "TEXT/HTML"}, Form.PAGE, id="media types ignore case"),
        pytest.param({"accept": "text/html", "fetch_dest": "empty"}, Form.API, id="fetch asking for html"),
        pytest.param({"accept": "text/html", "content_type": "application/json"}, Form.API, id="json sent"),
        pytest.param({"accept": "text/html;q=0, */*"}, Form.API, id="html refused"),
        pytest.param({"accept": "text/html;q=0.5, application/json"}, Form.API, id="json liked better"),
        pytest.param({"accept": "application/json, text/html"}, Form.PAGE, id="html liked as much"),
        pytest.param({"accept": "application/json"}, Form.API, id="json"),
        pytest.param({"accept": "*/*"}, Form.PAGE, id="curl"),
        pytest.param({}, Form.PAGE, id="no accept at all"),
        pytest.param({"accept": "*/*", "method": "POST"}, Form.API, id="a program that sends something"),
        pytest.param({"accept": "*/*", "fetch_dest": "empty"}, Form.API, id="fetch"),
        pytest.param({"accept": "text/event-stream"}, Form.API, id="stream"),
        pytest.param({"accept": "text/plain"}, Form.TEXT, id="plain text"),
        pytest.param({"accept": "application/json, text/plain, */*"}, Form.API, id="axios"),
        pytest.param({"accept": "application/json, text/plain", "fetch_dest": "empty"}, Form.API, id="axios fetch"),
        pytest.param({"accept": "*/*", "fetch_dest": "script"}, Form.ASSET, id="script"),
        pytest.param({"accept": "image/avif,image/webp,*/*;q=0.8"}, Form.ASSET, id="image over plain http"),
        pytest.param({"accept": "text/css,*/*;q=0.1"}, Form.ASSET, id="style sheet over plain http"),
        pytest.param({"upgrade": "WebSocket"}, Form.WEBSOCKET, id="websocket upgrade"),
        pytest.param({"fetch_dest": "websocket"}, Form.WEBSOCKET, id="websocket over http/2"),
        pytest.param({"content_type": "application/grpc+proto"}, Form.GRPC, id="grpc"),
        pytest.param({"content_type": "application/grpc-web+proto", "accept": "*/*"}, Form.GRPC, id="grpc-web"),
        pytest.param(
            {"method": "OPTIONS", "origin": "https://app.example", "preflight": "POST"}, Form.PREFLIGHT, id="preflight"
        ),
        pytest.param({"method": "OPTIONS", "preflight": "POST"}, Form.API, id="options without origin"),
        pytest.param({"method": "OPTIONS", "origin": "https://app.example"}, Form.API, id="options from a script"),
    ],
)
def test_the_form_fits_the_client(fields: dict[str, str], form: Form) -> None:
    assert form_of(asked(**fields), calls_api=False) is form


@pytest.mark.parametrize(
    ("accept", "form"), [("*/*", Form.API), ("", Form.API), (BROWSER, Form.PAGE), ("text/plain", Form.TEXT)]
)
def test_who_takes_anything_from_an_api_gets_its_error(accept: str, form: Form) -> None:
    assert form_of(asked(accept=accept), calls_api=True) is form


@pytest.mark.parametrize(
    ("dest", "content_type"),
    [("image", "image/png"), ("font", "font/woff2"), ("style", "text/css"), ("script", "text/javascript"),
     ("serviceworker", "text/javascript"), ("document", None), ("empty", None), ("nonsense", None)],
)  # fmt: skip
def test_an_asset_has_the_type_its_page_expects(dest: str, content_type: str | None) -> None:
    assert asset_type(asked(fetch_dest=dest, accept="image/png")) == content_type


@given(st.text(max_size=60), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_any_header_gives_some_form(accept: str, dest: str, upgrade: str, content_type: str) -> None:
    said = asked(accept=accept, fetch_dest=dest, upgrade=upgrade, content_type=content_type)
    found = form_of(said, calls_api=bool(len(accept) % 2))
    assert isinstance(found, Form)
