"""mitmproxy's requests and responses, made without what mitmproxy checks a second time: that took longer than the rest.

Reaches into its parser and its types; tests/unit/proxy/test_messages.py compares each message with mitmproxy's own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from mitmproxy import http
from mitmproxy.net.http.http1.read import _read_request_line

type Fields = tuple[tuple[bytes, bytes], ...]


class _Headers(http.Headers):
    """Looks through its fields once, not for every name that is asked for."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self._indexed: Fields | None = None
        self._index: dict[bytes, list[str]] = {}

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str | bytes) and self._values(name) is not None

    def __getitem__(self, name: str | bytes) -> str:
        if values := self._values(name):
            return ", ".join(values)
        raise KeyError(name)

    def get(self, name: str | bytes, default: Any = None) -> Any:
        return ", ".join(values) if (values := self._values(name)) else default

    def get_all(self, name: str | bytes) -> list[str]:
        return list(self._values(name) or ())

    def _values(self, name: str | bytes) -> list[str] | None:
        if self._indexed is not self.fields:  # every change puts another tuple there
            self._indexed, self._index = self.fields, {}
            for field, value in self.fields:
                self._index.setdefault(field.lower(), []).append(value.decode("utf-8", "surrogateescape"))
        key = name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name
        return self._index.get(key.lower())


class _RequestData(http.RequestData):
    """Its fields have the right types: nothing here comes from outside."""

    def __post_init__(self) -> None:
        pass


class _ResponseData(http.ResponseData):
    """The same."""

    def __post_init__(self) -> None:
        pass


def request(head: bytes) -> http.Request:
    """Read a head without flaw (``hygiene.head_flaw``) as mitmproxy does; raises ValueError."""
    first, *lines = head[: -len(b"\r\n\r\n")].split(b"\r\n")
    host, port, method, scheme, authority, path, version = _request_line(first)
    fields = tuple((name, value.strip()) for name, _, value in (line.partition(b":") for line in lines))
    made = http.Request.__new__(http.Request)
    made.data = _RequestData(
        http_version=version, headers=_Headers(fields), content=None, trailers=None, timestamp_start=0.0,
        timestamp_end=None, host=host, port=port, method=method, scheme=scheme, authority=authority, path=path,
    )  # fmt: skip
    return made


@lru_cache(maxsize=256)
def _request_line(line: bytes) -> tuple[str, int, bytes, bytes, bytes, bytes, bytes]:
    """The same addresses come again and again; what raises is not kept."""
    return _read_request_line(line)


def response(status: int, reason: bytes, fields: Fields, body: bytes) -> http.Response:
    """Make a whole response of HTTP/1.1."""
    made = http.Response.__new__(http.Response)
    made.data = _ResponseData(
        http_version=b"HTTP/1.1", headers=_Headers(fields), content=body, trailers=None, timestamp_start=0.0,
        timestamp_end=0.0, status_code=status, reason=reason,
    )  # fmt: skip
    return made
