import gzip
import json
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.content.llm_request import LIMIT, from_head, from_whole, model_in_path
from sumun.model.request import UNKNOWN

JSON = "application/json"


def body(**fields: object) -> bytes:
    return json.dumps(fields).encode()


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1beta/models/gemini-2.0-flash:generateContent", "gemini-2.0-flash"),
        ("/v1beta/models/gemini-2.0-flash:streamGenerateContent", "gemini-2.0-flash"),
        ("/v1/projects/p/locations/l/publishers/google/models/gemini-1.5-pro:predict", "gemini-1.5-pro"),
        ("/model/anthropic.claude-3-haiku-20240307-v1%3A0/invoke", "anthropic.claude-3-haiku-20240307-v1:0"),
        ("/model/us.deepseek.r1-v1:0/converse-stream", "us.deepseek.r1-v1:0"),
        ("/openai/deployments/our-gpt/chat/completions", "our-gpt"),
        ("/v1/models/gpt-4o", None),
        ("/v1/chat/completions", None),
        ("/", None),
    ],
)
def test_a_path_may_name_the_model(path: str, model: str | None) -> None:
    assert model_in_path(path) == model


@pytest.mark.parametrize(
    ("content", "model"),
    [
        pytest.param(body(model="deepseek-chat", messages=[]), "deepseek-chat", id="chat"),
        pytest.param(b'\xef\xbb\xbf{"model":"m"}', "m", id="byte order mark"),
        pytest.param(b' \n{"model":"m"}', "m", id="white space first"),
        pytest.param(body(messages=[{"model": "inner"}]), None, id="only an inner key"),
        pytest.param(body(a={"model": "inner"}, model="outer"), "outer", id="inner and outer"),
        pytest.param(b"{}", None, id="no model"),
        pytest.param(b"", None, id="no body"),
        pytest.param(b"[1, 2]", None, id="a list"),
        pytest.param(b'{"model":"a","model":"b"}', UNKNOWN, id="twice"),
        pytest.param(b'{"mod\\u0065l":"a"}', "a", id="an escaped key"),
        pytest.param(body(model=None), UNKNOWN, id="null"),
        pytest.param(body(model=["a"]), UNKNOWN, id="a list of models"),
        pytest.param(b'{"model":', UNKNOWN, id="broken"),
        pytest.param(b"not json", UNKNOWN, id="no JSON under its name"),
        pytest.param(b'{"a":' + b"[" * 200_000, UNKNOWN, id="nested without end"),
        pytest.param(b'{"model":"\xff"}', UNKNOWN, id="not UTF-8"),
    ],
)
def test_the_model_of_a_json_body(content: bytes, model: object) -> None:
    assert from_whole("POST", "/v1/chat/completions", JSON, content).model == model


def test_the_model_in_the_path_needs_no_body() -> None:
    assert from_whole("POST", "/model/m/invoke", JSON, None).model == "m"
    assert from_head("POST", "/model/m/invoke", JSON).model == "m"


def test_what_was_not_seen_is_unknown() -> None:
    assert from_head("POST", "/v1/chat/completions", JSON).model is UNKNOWN
    unseen = from_whole("POST", "/v1/chat/completions", JSON, None)
    assert (unseen.model, unseen.uploads) == (UNKNOWN, UNKNOWN)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "GZIP", "identity", ""])
def test_a_packed_body_is_read(encoding: str) -> None:
    plain = body(model="m")
    pack: dict[str, Callable[[bytes], bytes]] = {"g": gzip.compress, "x": gzip.compress, "d": zlib.compress}
    packed = pack.get(encoding[:1].lower(), bytes)(plain)
    assert from_whole("POST", "/", JSON, packed, encoding).model == "m"


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        pytest.param(gzip.compress(b'{"model":"m","x":"' + bytes(LIMIT) + b'"}'), "gzip", id="a bomb"),
        pytest.param(gzip.compress(b'{"model":"m"}')[:-6], "gzip", id="cut short"),
        pytest.param(gzip.compress(b"{}") + gzip.compress(b'{"model":"m"}'), "gzip", id="two members"),
        pytest.param(b"{}", "gzip", id="not packed"),
        pytest.param(b"{}", "br", id="not understood"),
        pytest.param(gzip.compress(b"{}"), "gzip, gzip", id="packed once, and said to be twice"),
    ],
)
def test_what_cannot_be_unpacked_is_unknown(packed: bytes, encoding: str) -> None:
    assert from_whole("POST", "/", JSON, packed, encoding).model is UNKNOWN


def form(*parts: str) -> bytes:
    return "".join(f"--B\r\n{part}\r\n" for part in parts).encode() + b"--B--\r\n"


FORM = "multipart/form-data; boundary=B"
MODEL = 'Content-Disposition: form-data; name="model"\r\n\r\nwhisper-1'
FILE = 'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\nRIFF'
FIELD = 'Content-Disposition: form-data; name="language"\r\n\r\nfilename=nothing'


@pytest.mark.parametrize(
    ("parts", "model", "uploads"),
    [
        ((MODEL, FILE), "whisper-1", True),
        ((FILE, MODEL), "whisper-1", True),
        ((FIELD,), None, False),
        ((MODEL, MODEL.replace("whisper-1", "other")), UNKNOWN, False),
        ((), UNKNOWN, UNKNOWN),
    ],
)
def test_a_form_tells_model_and_file(parts: tuple[str, ...], model: object, uploads: object) -> None:
    seen = from_whole("POST", "/v1/audio/transcriptions", FORM, form(*parts))
    assert (seen.model, seen.uploads) == (model, uploads)


@pytest.mark.parametrize(
    ("method", "path", "content_type", "uploads"),
    [
        ("POST", "/v1/files", JSON, True),
        ("POST", "/backend-api/files", JSON, True),
        ("POST", "/api/v0/file/upload_file", JSON, True),
        ("PUT", "/blob", "image/png", True),
        ("PUT", "/blob", "application/octet-stream", True),
        ("POST", "/v1/chat/completions", JSON, False),
        ("GET", "/v1/files", "", False),
        ("POST", "/profiles", JSON, False),
    ],
)
def test_uploads_by_head(method: str, path: str, content_type: str, uploads: bool) -> None:
    assert from_whole(method, path, content_type, b"{}").uploads is uploads


@given(
    st.text(), st.binary(max_size=300), st.sampled_from([JSON, FORM, "text/plain", ""]), st.sampled_from(["", "gzip"])
)
def test_nothing_raises(path: str, content: bytes, content_type: str, encoding: str) -> None:
    from_whole("POST", path, content_type, content, encoding)
