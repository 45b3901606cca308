"""Bytes of a request -> the model it asks for, and whether it uploads a file.

What cannot be read is UNKNOWN, which policy treats as such; it is never taken for absent.
Shapes: OpenAI and Anthropic (``model`` of a JSON object, or a field of a form), Gemini and Vertex AI
(``/models/X:generateContent``), Bedrock (``/model/X/invoke``), Azure OpenAI (``/deployments/X/``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from sumun.content.encoding import decoded
from sumun.model.request import UNKNOWN, Unknown

LIMIT = 10 * 1024 * 1024
"""Octets of a body that are looked at, packed or unpacked."""

_PATHS = (
    re.compile(r"/models/([^/:]+):[A-Za-z]"),  # Gemini API, Vertex AI publishers
    re.compile(r"/model/([^/]+)/(?:invoke|converse)"),  # Bedrock runtime; the id is percent-encoded
    re.compile(r"/deployments/([^/]+)/"),  # Azure OpenAI: the deployment's name is what a request can tell
)
_UPLOADS = (
    re.compile(r"/v1/(?:files|uploads)(?:/|$)"),  # OpenAI, Anthropic
    re.compile(r"^/upload/"),  # Gemini API
    re.compile(r"/(?:backend-api|api)/(?:[a-z0-9/_-]*/)?(?:files?|uploads?|file_upload)(?:/|$|_)"),  # web applications
)
_FILE_TYPES = re.compile(
    r"(?:image|audio|video|font)/|application/(?:octet-stream|pdf|zip|gzip|msword|vnd\.(?:openxmlformats|ms-))"
)
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"})
_FILENAME = re.compile(rb"[;\s]filename\*?\s*=", re.IGNORECASE)
_FIELD_NAME = re.compile(rb'[;\s]name="?([^";\r\n]*)"?', re.IGNORECASE)
_PARTS = 1000
"""Parts of a form that are looked at."""


@dataclass(frozen=True, slots=True)
class LlmRequest:
    """What the request says of itself."""

    model: str | Unknown | None
    uploads: bool | Unknown


@dataclass(frozen=True, slots=True)
class _Form:
    model: str | Unknown | None
    has_file: bool


def from_head(method: str, path: str, content_type: str) -> LlmRequest:
    """Say what is certain before the body is seen; ``path`` without the query string."""
    model = model_in_path(path)
    return LlmRequest(
        UNKNOWN if model is None else model, True if _uploads_by_head(method, path, content_type) else UNKNOWN
    )


def from_whole(method: str, path: str, content_type: str, body: bytes | None, encoding: str = "") -> LlmRequest:
    """Read a whole request; ``body`` None: it was too large to be kept."""
    named = model_in_path(path)
    uploads: bool | Unknown = _uploads_by_head(method, path, content_type)
    plain = None if body is None else decoded(body, encoding, LIMIT)
    if plain is None:
        return LlmRequest(UNKNOWN if named is None else named, uploads or UNKNOWN)
    if not plain:
        return LlmRequest(named, uploads)
    type_ = content_type.partition(";")[0].strip().lower()
    if type_ == "multipart/form-data":
        form = _form(content_type, plain)
        if form is None:
            return LlmRequest(named or UNKNOWN, uploads or UNKNOWN)
        return LlmRequest(named or form.model, uploads or form.has_file)
    return LlmRequest(named or _model_in_json(type_, plain), uploads)


def model_in_path(path: str) -> str | None:
    """The model that a path names."""
    match = next((m for pattern in _PATHS if (m := pattern.search(path))), None)
    return unquote(match[1]) if match else None


def _uploads_by_head(method: str, path: str, content_type: str) -> bool:
    if method.upper() in _BODILESS:
        return False
    return bool(_FILE_TYPES.match(content_type.strip().lower())) or any(p.search(path) for p in _UPLOADS)


def _model_in_json(type_: str, body: bytes) -> str | Unknown | None:
    if body.lstrip(b" \t\r\n\xef\xbb\xbf")[:1] != b"{":
        # no JSON object: nothing we know names a model in it, unless it says that it is JSON and is not
        return UNKNOWN if type_.endswith("json") and body.lstrip()[:1] != b"[" else None
    try:
        pairs = json.loads(body.removeprefix(b"\xef\xbb\xbf"), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return UNKNOWN
    named = [value for key, value in pairs.items if key == "model"]
    if not named:
        return None
    # two values are read differently by different servers
    return named[0] if len(named) == 1 and isinstance(named[0], str) else UNKNOWN


class _Pairs:
    """An object of JSON with every key it has, duplicates included."""

    __slots__ = ("items",)

    def __init__(self, items: list[tuple[str, object]]) -> None:
        self.items = items


def _form(content_type: str, body: bytes) -> _Form | None:
    boundary = re.search(r'boundary="?([^";]{1,70})"?', content_type, re.IGNORECASE)
    if boundary is None:
        return None
    parts = list(_parts(body, boundary[1].encode("utf-8", "replace")))
    if not parts or len(parts) > _PARTS:
        return None
    models = {value for head, value in parts if (m := _FIELD_NAME.search(head)) and m[1] == b"model"}
    has_file = any(_FILENAME.search(head) for head, _ in parts)
    if len(models) > 1:
        return _Form(UNKNOWN, has_file)
    return _Form(next(iter(models)).decode("utf-8", "replace").strip() if models else None, has_file)


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[bytes, bytes]]:
    for raw in body.split(b"--" + boundary, _PARTS + 2)[1:]:
        if raw.startswith(b"--"):
            return
        head, _, value = raw.partition(b"\r\n\r\n")
        yield head, value[:512]
