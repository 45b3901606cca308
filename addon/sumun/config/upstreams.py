"""Upstream resolvers, as an administrator writes them."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from sumun.config.fault import Unreadable, quoted
from sumun.config.settings import Transport, Upstream
from sumun.model.name import DomainName, InvalidName

SYSTEM = Upstream("system", Transport.SYSTEM)
_PORTS = {Transport.UDP: 53, Transport.TLS: 853, Transport.HTTPS: 443}
_EXAMPLES = (
    "`system`, `udp://192.0.2.53:53`, `tls://192.0.2.53#dns.example`, "
    "`https://192.0.2.53/dns-query#dns.example` or `https://dns.example/dns-query`"
)


def upstream(text: str) -> Upstream:
    """Read one resolver; raises Unreadable with the forms there are."""
    text = text.strip()
    if text == "system":
        return SYSTEM
    parts = _split(text)
    transport = Transport(parts.scheme)
    host, port = (parts.hostname or "").lower(), _port(parts, text) or _PORTS[transport]
    if transport is Transport.HTTPS:
        if parts.fragment and not _is_address(host):
            raise Unreadable(f"{quoted(text)} names its resolver twice: before `#` stands its address")
        name = _name(parts.fragment or host, text)
        host = host if _is_address(host) else name
        return Upstream(text, transport, host, port, tls_name=name, path=parts.path or "/dns-query")
    _refuse(text, "a path", parts.path.strip("/"))
    if not _is_address(host):
        raise Unreadable(f"{quoted(text)} names its resolver: write the address, since a name would need a resolver")
    if transport is Transport.UDP:
        _refuse(text, "a fragment", parts.fragment)
        return Upstream(text, transport, host, port)
    return Upstream(text, transport, host, port, tls_name=_name(parts.fragment or host, text))


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
    except ValueError as why:
        raise Unreadable(f"{quoted(text)} is not a resolver: {why}") from None
    if parts.scheme not in _PORTS:
        hint = f": write `udp://{text}`" if _is_address(text) else f": write {_EXAMPLES}"
        raise Unreadable(f"{quoted(text)} is not a resolver{hint}")
    _refuse(text, "a query", parts.query)
    _refuse(text, "a user", "@" if "@" in parts.netloc else "")
    if any(c <= " " or c > "~" for c in text):
        raise Unreadable(f"{quoted(text)} holds spaces or characters that a URL encodes")
    return parts


def _port(parts: SplitResult, text: str) -> int | None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise Unreadable(f"{quoted(text)}: the port is a number from 1 to 65535")
    return port


def _refuse(text: str, what: str, given: str) -> None:
    if given:
        raise Unreadable(f"{quoted(text)} has {what}, which means nothing here: write {_EXAMPLES}")


def _name(host: str, text: str) -> str:
    if _is_address(host):
        return host
    try:
        return DomainName.parse(host).text
    except InvalidName as why:
        raise Unreadable(f"{quoted(text)}: {why}") from None


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
