"""The error shape of the API that was called, so that its SDK raises its ordinary error with our message.

The path tells more than the host: one host often speaks several APIs, and every vendor copies a few. So paths
that belong to one API come first, then hosts, then the catalogue's category.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from sumun.model.service import Service
from sumun.pages.asked import Asked
from sumun.pages.sentences import message
from sumun.pages.story import Story

type Json = dict[str, object]
_MAX_PATH = 2048


@dataclass(frozen=True, slots=True)
class ApiError:
    """A body and the header fields in which an SDK looks for the request's id."""

    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """How one API reports an error."""

    name: str
    body: Callable[[Story], Json]
    id_header: str = ""
    error_header: str = ""
    """Where the API says the kind of error in a header field too."""


def api_error(asked: Asked, service: Service | None, story: Story) -> ApiError:
    """The whole error, in UTF-8 (RFC 8259, 8.1)."""
    shape = shape_of(asked, service)
    headers = [(shape.id_header, story.incident)] if shape.id_header else []
    if shape.error_header:
        headers.append((shape.error_header, _AMAZON_KINDS[story.status]))
    return ApiError(json.dumps(shape.body(story), ensure_ascii=False).encode(), tuple(headers))


def calls_api(asked: Asked, service: Service | None) -> bool:
    """Whether path, host or catalogue tell that this is a call of an API, not a look at a web site."""
    if shape_of(asked, service) is not NEUTRAL:
        return True
    host = _bare_host(asked.host)
    return service is not None and any(d.role == "api" and d.pattern.text == host for d in service.domains)


def shape_of(asked: Asked, service: Service | None) -> Shape:
    """Choose by path, host and category."""
    path, host = asked.path[:_MAX_PATH], _bare_host(asked.host)
    if shape := next((shape for pattern, shape in _PATHS if pattern.search(path)), None):
        return shape
    if shape := next((shape for pattern, shape in _HOSTS if pattern.search(host)), None):
        return shape
    if _OLLAMA_PATH.fullmatch(path) and (service is None or service.id.startswith("ollama")):
        return OLLAMA
    is_llm_api = service is not None and service.category == "llm-api"
    return OPENAI if is_llm_api or _OPENAI_PATH.search(path) else NEUTRAL


def _openai(story: Story) -> Json:
    kind = {403: "permission_denied", 400: "invalid_request_error"}.get(story.status, "server_error")
    return {"error": {"message": message(story), "type": kind, "param": None, "code": story.code, **_extras(story)}}


def _anthropic(story: Story) -> Json:
    kind = {403: "permission_error", 400: "invalid_request_error"}.get(story.status, "api_error")
    details = {"error_code": story.code, **_extras(story)}
    error = {"type": kind, "message": message(story), "details": details}
    return {"type": "error", "error": error, "request_id": story.incident}


def _google(story: Story) -> Json:
    """google.rpc.Status with an ErrorInfo (https://google.aip.dev/193)."""
    kind = {403: "PERMISSION_DENIED", 400: "INVALID_ARGUMENT"}.get(story.status, "UNAVAILABLE")
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": story.code.upper(),
        "domain": "sumun",
        "metadata": _extras(story),
    }
    return {"error": {"code": story.status, "message": message(story), "status": kind, "details": [info]}}


def _amazon(story: Story) -> Json:
    return {"message": message(story), "code": story.code, **_extras(story)}


def _ollama(story: Story) -> Json:
    return {"error": message(story), "code": story.code, **_extras(story)}


def _neutral(story: Story) -> Json:
    return {"error": {"code": story.code, "message": message(story), **_extras(story)}}


def _extras(story: Story) -> Json:
    return {"incident": story.incident, **story.extras}


_AMAZON_KINDS = {403: "AccessDeniedException", 400: "ValidationException", 502: "ServiceUnavailableException"}

OPENAI = Shape("openai", _openai, "x-request-id")
ANTHROPIC = Shape("anthropic", _anthropic, "request-id")
GOOGLE = Shape("google", _google)
AMAZON = Shape("amazon", _amazon, "x-amzn-requestid", "x-amzn-errortype")
OLLAMA = Shape("ollama", _ollama)
NEUTRAL = Shape("neutral", _neutral)
SHAPES = (OPENAI, ANTHROPIC, GOOGLE, AMAZON, OLLAMA, NEUTRAL)

_PATHS = tuple(
    (re.compile(pattern), shape)
    for pattern, shape in (
        (r"/(chat/completions|responses|embeddings|images/generations)(/|$)", OPENAI),
        (r"/audio/(speech|transcriptions|translations)(/|$)", OPENAI),
        (r"/openai/(deployments/|v1/)", OPENAI),  # Azure OpenAI
        (r"/v1/(messages|complete)(/|$)", ANTHROPIC),
        (r":(streamGenerateContent|generateContent|countTokens|embedContent|batchEmbedContents)$", GOOGLE),
        (r":(predict|rawPredict|streamRawPredict)$", GOOGLE),
        (r"^/model/[^/]+/(invoke|converse)(-stream|-with-(bidirectional|response)-stream)?$", AMAZON),
    )
)
_HOSTS = (
    (re.compile(r"(^|\.)(anthropic|claude)\.com$"), ANTHROPIC),
    (re.compile(r"(^|\.)(generativelanguage|[a-z0-9-]*aiplatform)\.googleapis\.com$"), GOOGLE),
    (re.compile(r"^bedrock[a-z-]*\.[a-z0-9-]+\.amazonaws\.com$"), AMAZON),
    (re.compile(r"(^|\.)ollama\.com$"), OLLAMA),
    (re.compile(r"(^api\.openai\.com|(^|\.)openai\.azure\.com)$"), OPENAI),
)
_OLLAMA_PATH = re.compile(r"/api/(generate|chat|embed|embeddings|tags|ps|show|pull|version)")
_OPENAI_PATH = re.compile(r"^(/api)?/v1/(completions|files|models|moderations|batches|uploads|threads|assistants)(/|$)")


def _bare_host(host: str) -> str:
    return host[:300].lower().partition(":")[0].rstrip(".")
