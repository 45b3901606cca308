"""Requests shaped like those to an LLM API, whatever host they go to.

Shapes: OpenAI and whatever is compatible with it (vLLM, llama.cpp, LM Studio, ...), Anthropic, Gemini, Ollama, Cohere.
"""

from __future__ import annotations

import re

from sumun.content.llm_request import LlmRequest

SERVICE = "unknown-llm-api"
"""Id of the service that such a request to a host nobody knows belongs to."""
_PLAIN = re.compile(r"/v1(?:beta\d*)?/(?:chat/completions|completions|messages|responses)/?$")
_GEMINI = re.compile(r"/models/[^/:]+:(?:streamG|g)enerateContent$")
_COMMON = re.compile(r"/api/(?:chat|generate)/?$|/v[12]/(?:chat|generate)/?$")
"""Paths of Ollama and Cohere, which others have, too: only with a model in the body."""


def may_be(method: str, path: str, content_type: str) -> bool:
    """Whether the head has the shape; ``path`` without the query string."""
    if method.upper() != "POST" or not _is_json(content_type):
        return False
    return any(shape.search(path) for shape in (_PLAIN, _GEMINI, _COMMON))


def is_one(method: str, path: str, content_type: str, facts: LlmRequest) -> bool:
    """The same, when the body has been read: a request of this shape names a model."""
    return may_be(method, path, content_type) and isinstance(facts.model, str)


def _is_json(content_type: str) -> bool:
    type_ = content_type.partition(";")[0].strip().lower()
    return type_ == "application/json" or type_.endswith("+json") or not type_
