"""An HTTP request as mitmproxy holds it -> what policy and pages are asked about. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import unquote

from mitmproxy import http

from sumun.content.dns_message import is_dns
from sumun.content.llm_request import LlmRequest
from sumun.model.name import DomainName, InvalidName, IPAddress, plain
from sumun.model.parents import forwarded, is_parent
from sumun.model.request import UNKNOWN, AccessRequest
from sumun.model.rule import IPNetwork
from sumun.model.user import Identity
from sumun.pages.render import Asked
from sumun.proxy.hygiene import request_flaw
from sumun.proxy.opening import authority, web_host

TOLD = "sumun.client"
"""Key in a flow's metadata: the client's address, where a listed parent told it."""
USER = "sumun.user"
"""Key in a flow's metadata: who the user is; there where it was asked, with None for nobody."""
_HOSTS = 8
"""Host header fields that are read; more than one is refused anyhow."""


class Client(Protocol):
    """Who is at the other end."""

    @property
    def peername(self) -> tuple[str, int]:
        """Address and port."""
        ...

    @property
    def sni(self) -> str | None:
        """The server name, where there was TLS."""
        ...


class Server(Protocol):
    """Where the connection leads that a request came through."""

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of a tunnel, or of whom a steered client believes to speak to."""
        ...


class Flow(Protocol):
    """What is looked at and set of a request: mitmproxy's own flow, or that of a request which never gets there."""

    request: http.Request
    response: http.Response | None
    metadata: dict[str, Any]

    @property
    def client_conn(self) -> Client:
        """The client."""
        ...

    @property
    def server_conn(self) -> Server:
        """The server."""
        ...


class Problem(StrEnum):
    """Why a request is refused whatever policy says; some are metric labels of attempts to get round the filter."""

    HOST_MISMATCH = "host_mismatch"
    MISDIRECTED = "misdirected"
    """An HTTP/2 request for another host than that of its connection: it must come on one of its own."""
    MALFORMED = "malformed"
    DNS_OVER_HTTPS = "dns_over_https"
    """A question to a resolver, whose answers the sinkhole does not see."""


@dataclass(frozen=True, slots=True)
class Authorities:
    """Every destination that a request names, each once, and what is wrong with that."""

    hosts: tuple[DomainName | IPAddress, ...]
    problem: Problem | None = None
    judged: DomainName | IPAddress | None = None
    """The one that the request is for, where it is sound."""


def client_address(flow: Flow) -> IPAddress:
    """Who asks: the client of a connection, or whom a listed parent has named."""
    return flow.metadata.get(TOLD) or address(flow.client_conn.peername[0])


def told(flow: Flow, trusted: tuple[IPNetwork, ...]) -> IPAddress:
    """Who asks, once what a listed parent tells of it is taken down."""
    if trusted and is_parent(client_address(flow), trusted):
        flow.metadata[TOLD] = forwarded(flow.request.headers.get_all("x-forwarded-for"), trusted)
    return client_address(flow)


def user(flow: Flow) -> Identity | None:
    """Who the user is; None: nobody is known."""
    who = flow.metadata.get(USER)
    return who if isinstance(who, Identity) else None


@lru_cache(maxsize=8192)
def address(text: str) -> IPAddress:
    """Read an address as sockets name it, a zone left out."""
    return plain(ip_address(text.partition("%")[0]))


@lru_cache(maxsize=8192)
def host(text: str) -> DomainName | IPAddress:
    """Read a host as mitmproxy holds it, an IPv6 address without brackets; raises InvalidName."""
    return web_host(f"[{text}]" if ":" in text and not text.startswith("[") else text)


def authorities(flow: Flow) -> Authorities:
    """Take the union of request target, ``:authority``, Host, server name and tunnel.

    ``stated`` is what the request itself says, ``carried`` what its connection was opened for.
    """
    request = flow.request
    try:
        carried = _carried(flow)
        stated = _stated(request, tunnelled=bool(carried))
    except InvalidName:
        return Authorities((), Problem.MALFORMED)
    hosts = tuple(dict.fromkeys((*carried, *stated)))
    if malformed(request):
        return Authorities(hosts, Problem.MALFORMED)
    if len(set(stated)) > 1 or len(request.headers.get_all("host")) > 1:
        return Authorities(hosts, Problem.HOST_MISMATCH)
    if stated and carried and not _fits(stated[0], carried):
        return Authorities(hosts, Problem.MISDIRECTED if request.is_http2 else Problem.HOST_MISMATCH)
    return Authorities(hosts, judged=stated[0] if stated else carried[-1] if carried else None)


def _carried(flow: Flow) -> tuple[DomainName | IPAddress, ...]:
    """The CONNECT host or the destination of a steered client, then the server name."""
    found: list[DomainName | IPAddress] = []
    if opened_for := flow.server_conn.address:
        found.append(host(opened_for[0]))
    if server_name := flow.client_conn.sni:
        found.append(web_host(server_name))
    return tuple(dict.fromkeys(found))


def _stated(request: http.Request, *, tunnelled: bool) -> tuple[DomainName | IPAddress, ...]:
    """The request target where the client wrote one, ``:authority`` and each Host."""
    texts = [request.authority, *request.headers.get_all("host")[:_HOSTS]]
    target = () if tunnelled else (host(request.data.host),)
    return (*target, *(authority(text)[0] for text in texts if text))


def _fits(stated: DomainName | IPAddress, carried: tuple[DomainName | IPAddress, ...]) -> bool:
    """A connection opened to an address literal, without server name, may carry any name; else one of those named."""
    names = [host for host in carried if isinstance(host, DomainName)]
    return stated in carried or (not names and isinstance(stated, DomainName))


def malformed(request: http.Request) -> bool:
    """Whether another server could read it in another way: mitmproxy would pass it on."""
    data = request.data
    return bool(request_flaw(data.method, data.path, data.headers.fields, is_http2=request.is_http2))


def access_requests(
    flow: Flow, client: IPAddress, hosts: tuple[DomainName | IPAddress, ...], facts: LlmRequest
) -> list[AccessRequest]:
    """One question a host; at least one."""
    who = user(flow)
    names: list[DomainName | None] = [host for host in hosts if isinstance(host, DomainName)]
    literal = next((host for host in hosts if not isinstance(host, DomainName)), None)
    return [
        AccessRequest(
            client,
            name,
            address=literal,
            port=flow.request.port,
            method=flow.request.method,
            path=plain_path(flow.request.path),
            user=who.name if who else None,
            groups=who.groups if who else frozenset(),
            model=facts.model,
            content=UNKNOWN,  # detectors are not in this version
            uploads=facts.uploads,
        )
        for name in names or [None]
    ]


def is_dns_over_https(request: http.Request) -> bool:
    """Whether this asks a resolver."""
    headers = request.headers
    return is_dns(request.path, headers.get("content-type", ""), headers.get("accept", ""))


def plain_path(path: str) -> str:
    """The path as a server is likely to read it: without query, decoded, without dot segments and empty ones."""
    segments: list[str] = []
    raw = unquote(path.partition("?")[0].partition("#")[0]).replace("\\", "/").split("/")
    for segment in raw:
        if segment == "..":
            segments[-1:] = []
        elif segment not in ("", "."):
            segments.append(segment)
    end = "/" if segments and raw[-1] in ("", ".", "..") else ""
    return "/" + "/".join(segments) + end


def asked(flow: Flow) -> Asked:
    """What pages need to choose form and language."""
    request, field = flow.request, _fields(flow.request.headers)
    return Asked(
        host=request.pretty_host,
        path=request.path.partition("?")[0],
        method=request.method,
        accept=field("accept", ""),
        accept_language=field("accept-language", ""),
        fetch_dest=field("sec-fetch-dest", ""),
        upgrade=field("upgrade", ""),
        content_type=field("content-type", ""),
        origin=field("origin", ""),
        preflight=field("access-control-request-method", ""),
        preflight_headers=field("access-control-request-headers", ""),
    )


def _fields(headers: http.Headers) -> Callable[[str, str], str]:
    """Look up fields as ``headers.get`` does, which goes through all of them each time."""
    found: dict[str, str] = {}
    for raw_name, raw_value in headers.fields:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("utf-8", "surrogateescape")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found.get


def declared_size(request: http.Request) -> int | None:
    """Octets of the body as the header says; None: it does not say."""
    if "transfer-encoding" in request.headers:
        return None
    length = request.headers.get("content-length", "")
    if length.isdecimal() and length.isascii():
        return int(length[:18])
    return None if request.is_http2 and request.method not in ("GET", "HEAD", "OPTIONS") else 0


def lies_about_length(request: http.Request) -> bool:
    """Whether a whole HTTP/2 body is not as long as it was said to be (RFC 9113, 8.1.1): HTTP/1 would take the word."""
    if not request.is_http2 or request.raw_content is None:
        return False
    length = str(len(request.raw_content))
    return bool(request.headers.get("content-length", length) != length)
