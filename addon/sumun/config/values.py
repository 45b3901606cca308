"""Single values of the configuration: text to a checked value, or Unreadable with what to write instead."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from sumun.config.fault import Unreadable, quoted
from sumun.config.user_settings import LdapServer
from sumun.model.name import DomainName, InvalidName, IPAddress, parse_host, plain
from sumun.model.rule import IPNetwork
from sumun.model.service import Match, Pattern
from sumun.model.user import BadUserName, principal

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,6})(s|m|h|d|w)", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", re.ASCII)
"""A field name (RFC 9110, 5.1)."""
_FIELD_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?", re.ASCII)
"""A field value without control characters, which could begin another field (RFC 9110, 5.5)."""
_OURS = {
    "host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive",
    "proxy-authorization", "proxy-connection", "authorization", "cookie", "content-type", "content-encoding", "expect",
}  # fmt: skip
"""Fields that frame or authenticate a message: setting them would break requests or hand over credentials."""
_COUNTRY_MISTAKES = {"UK": "GB", "EN": "GB", "ROK": "KR", "USA": "US", "PRC": "CN"}


def identifier(text: str) -> str:
    """Read the id of a segment, rule, list or detector."""
    if not _ID.fullmatch(text):
        raise Unreadable(
            f"{quoted(text)} is not an id: lower-case letters, digits and `-`, 63 at most, no `-` in front"
        )
    return text


def words(text: str) -> str:
    """Read free text for people: no control characters, 2,000 characters at most."""
    text = text.strip()
    if len(text) > 2000:
        raise Unreadable(f"text has {len(text):,} characters: 2,000 is the most a page can show")
    if any((ord(c) < 32 and c not in "\t\n") or ord(c) == 127 for c in text):
        raise Unreadable(f"{quoted(text)} holds control characters")
    return text


def line_of_words(text: str) -> str:
    """Read free text that must stay on one line: references, names of offices, addresses."""
    text = words(text)
    if len(text) > 500 or "\n" in text:
        raise Unreadable(f"{quoted(text)} must be one line of 500 characters at most")
    return text


def network(text: str) -> IPNetwork:
    """Read a network in CIDR notation; a bare address is a network of one."""
    address, slash, length = text.strip().partition("/")
    base = _plain_address(text, address)
    if not slash:
        return ip_network(base)
    bits = base.max_prefixlen
    if not length.isascii() or not length.isdigit():
        raise Unreadable(f"{quoted(text)} is not a network: the prefix length is a number, such as `/{bits - 8}`")
    if int(length[:6]) > bits:
        raise Unreadable(f"{quoted(text)} is not a network: prefix length above {bits}")
    meant = ip_network((base, int(length)), strict=False)
    if meant.network_address != base:
        raise Unreadable(
            f"{quoted(text)} has bits set after its prefix: the network is `{meant}`, the one client `{base}/{bits}`"
        )
    return meant


def _plain_address(text: str, address: str) -> IPAddress:
    try:
        base = ip_address(address)
    except ValueError:
        raise Unreadable(f"{quoted(text)} is not a network: {quoted(address)} is not an address") from None
    if isinstance(base, IPv6Address) and base.scope_id:
        raise Unreadable(f"{quoted(text)} is not a network: remove `%{base.scope_id}`")
    if plain(base) is not base:
        raise Unreadable(
            f"{quoted(text)} is an IPv4-mapped network: write the IPv4 network, such as `{plain(base)}/32`"
        )
    return base


def address(text: str) -> IPAddress:
    """Read an address to listen on or to answer with."""
    try:
        return plain(ip_address(text.strip().removeprefix("[").removesuffix("]")))
    except ValueError:
        raise Unreadable(f"{quoted(text)} is not an address: write one such as `127.0.0.1` or `::1`") from None


def address4(text: str) -> IPv4Address:
    """Read an IPv4 address: what an A record carries."""
    found = address(text)
    if not isinstance(found, IPv4Address):
        raise Unreadable(f"{quoted(text)} is an IPv6 address: write it as `address6`, and an IPv4 address here")
    return found


def address6(text: str) -> IPv6Address:
    """Read an IPv6 address: what an AAAA record carries."""
    found = address(text)
    if not isinstance(found, IPv6Address):
        raise Unreadable(f"{quoted(text)} is an IPv4 address: an IPv6 address belongs here, or nothing")
    return found


def duration(text: str) -> timedelta:
    """Read ``90s``, ``30m``, ``24h``, ``7d`` or ``2w``; a minute at least, a year at most."""
    length = _span(text)
    if not timedelta(minutes=1) <= length <= timedelta(days=366):
        raise Unreadable(f"{quoted(text)} is out of range: from `1m` to `366d`")
    return length


def patience(text: str) -> timedelta:
    """Read how long something is waited for: a second at least, an hour at most."""
    length = _span(text)
    if not timedelta(seconds=1) <= length <= timedelta(hours=1):
        raise Unreadable(f"{quoted(text)} is out of range: from `1s` to `1h`")
    return length


def _span(text: str) -> timedelta:
    if not (found := _DURATION.fullmatch(text.strip())):
        raise Unreadable(f"{quoted(text)} is not a duration: write a number and a unit, such as `30m`, `24h` or `7d`")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def country(text: str) -> str:
    """Read an ISO 3166 alpha-2 code, in upper case."""
    code = text.strip().upper()
    if code in _COUNTRY_MISTAKES:
        raise Unreadable(f"{quoted(text)} is not an ISO 3166 code: write `{_COUNTRY_MISTAKES[code]}`")
    if not re.fullmatch("[A-Z]{2}", code):
        raise Unreadable(f"{quoted(text)} is not a country: write two letters (ISO 3166), such as `KR`")
    return code


def domain_name(text: str) -> DomainName:
    """Read one name, which stands for itself or for all below it as its key says."""
    return DomainName(pattern(text, Match.SUFFIX).text)


def pattern(text: str, match: Match | None = None) -> Pattern:
    """Read a name to match, and refuse what looks like one but would never match."""
    _refuse_url(text)
    try:
        found = Pattern.parse(text, match)
        host = parse_host(text) if "*" not in text else None
    except InvalidName as why:
        raise Unreadable(f"{quoted(text)} is not a name to match: {why}") from None
    if host is not None and not isinstance(host, DomainName):
        raise Unreadable(f"{quoted(text)} is an address: rules match names; block addresses in the firewall")
    if match and (found.match is not match or (match is Match.GLOB and "*" not in found.text)):
        raise Unreadable(f"{quoted(text)} does not go with `match: {match}`: a glob has an asterisk, nothing else has")
    return found


def _refuse_url(text: str) -> None:
    if not re.search(r"[/?#@:]", text):
        return
    host = re.sub(r"^[a-z0-9+.-]*:?//", "", text.strip(), flags=re.IGNORECASE)
    host = re.split(r"[/?#:]", host.rpartition("@")[2], maxsplit=1)[0]
    what = "a URL" if "/" in text else "no name"
    hint = f": write the name alone, {quoted(host)}" if host else ": write a name such as `ai.example`"
    raise Unreadable(f"{quoted(text)} is {what}{hint}")


def header_name(text: str) -> str:
    """Read the name of a header field that a rule may set."""
    if not _TOKEN.fullmatch(text):
        raise Unreadable(f"{quoted(text)} is not the name of a header field")
    if text.lower() in _OURS:
        raise Unreadable(f"{quoted(text)} cannot be set by a rule: it frames or authenticates the request")
    return text


def header_value(text: str) -> str:
    """Read the value of a header field: printable ASCII on one line, 4,000 characters at most."""
    if len(text) > 4000 or not _FIELD_VALUE.fullmatch(text):
        raise Unreadable(f"{quoted(text)} is not the value of a header field: printable ASCII on one line")
    return text


def user(text: str) -> str:
    """Read a user, or ``group:NAME``, as both are compared."""
    try:
        return principal(line_of_words(text))
    except BadUserName as error:
        raise Unreadable(f"{quoted(text)}: {error}") from None


def realm(text: str) -> str:
    """Read what a browser shows where it asks for a password: it stands in a quoted string (RFC 9110, 5.6.4)."""
    text = line_of_words(text)
    if len(text) > 100 or not text.isprintable() or '"' in text or "\\" in text:
        raise Unreadable(f"{quoted(text)} cannot be shown: at most 100 characters, no quotation mark or backslash")
    return text


def identity_field(text: str) -> str:
    """Read the name of a field in which a parent says who asks; never one that means something else."""
    if not _TOKEN.fullmatch(text) or text.lower() in _OURS or not text.lower().startswith("x-"):
        raise Unreadable(f"{quoted(text)} is not the name of a field of one's own: it begins with `X-`")
    return text


def ldap_server(text: str) -> LdapServer:
    """Read ``ldaps://host`` or ``ldap://host`` (which begins with StartTLS), maybe with a port."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        port, parts = None, urlsplit("")
    if parts.scheme not in ("ldap", "ldaps") or not parts.hostname or parts.path.strip("/") or "@" in parts.netloc:
        raise Unreadable(f"{quoted(text)} is not a server: write `ldaps://ldap.example`, or `ldap://` with StartTLS")
    start_tls = parts.scheme == "ldap"
    return LdapServer(parts.hostname, port or (389 if start_tls else 636), start_tls)


def contact(text: str) -> str:
    """Read where a user asks for a review: an e-mail address or an https URL."""
    text = line_of_words(text)
    if re.fullmatch(r"https://[^\s<>\"'`\\]+", text) or re.fullmatch(r"[^\s@<>\"'`\\:/?&]+@[^\s@<>\"'`\\:/?&]+", text):
        return text
    raise Unreadable(f"{quoted(text)} is neither an e-mail address nor an `https://` address")


def colour(text: str) -> str:
    """Read a colour as six hexadecimal digits."""
    if not re.fullmatch("#[0-9a-f]{6}", text.strip().lower()):
        raise Unreadable(f"{quoted(text)} is not a colour: write it in quotes, such as `'#0b6470'`")
    return text.strip().lower()


def store_url(text: str) -> str:
    """Read the URL of a PostgreSQL database; a password belongs into the service's environment or ``~/.pgpass``."""
    text = text.strip()
    if re.fullmatch(r"postgresql://[^\s\x00-\x1f\x7f]{1,500}", text):
        return text
    raise Unreadable(f"{quoted(text)} is not a store: write `postgresql://user@host/name`, or leave the key out")


def sha256(text: str) -> str:
    """Read a SHA-256 digest in hexadecimal."""
    if not re.fullmatch("[0-9a-f]{64}", text.strip().lower()):
        raise Unreadable(f"{quoted(text)} is not a SHA-256 digest: 64 hexadecimal digits")
    return text.strip().lower()


def public_key(text: str) -> str:
    """Read a public key for lists: minisign's (42 octets: `Ed`, key id, key) or 32 octets of Ed25519, in base64."""
    try:
        octets = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        octets = b""
    if len(octets) == 32 or (len(octets) == 42 and octets.startswith(b"Ed")):
        return text.strip()
    raise Unreadable(f"{quoted(text)} is not a public key: the second line of minisign's, or 32 octets in base64")


def http_proxy(text: str) -> str:
    """Read the proxy that lists are fetched through; empty for ``none``."""
    text = text.strip()
    if text == "none":
        return ""
    if re.fullmatch(r"http://([!-~]+@)?(\[[0-9a-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}/?", text):
        return text
    raise Unreadable(f"{quoted(text)} is not a proxy: write `http://proxy.example:3128`, or `none`")


def url_path(text: str) -> str:
    """Read the path of an end point; raises Unreadable."""
    if re.fullmatch(r"/[A-Za-z0-9._~!$'()*+,;=:@%/-]{0,200}", text.strip()):
        return text.strip()
    raise Unreadable(f"{quoted(text)} is not a path: write such as `/dns-query`, without query and template")


def next_proxy(text: str) -> tuple[str, int]:
    """Read the proxy behind ours: host and port."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        port, parts = None, urlsplit("")
    if parts.scheme != "http" or not parts.hostname or not port or parts.path.strip("/") or "@" in parts.netloc:
        raise Unreadable(f"{quoted(text)} is not a proxy: write `http://proxy.example:3128`; `credentials` is a file")
    try:
        host = parse_host(f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname)
    except InvalidName as error:
        raise Unreadable(str(error)) from None
    return str(host), port


def name_or_network(text: str) -> DomainName | IPNetwork:
    """Read a name, which covers all below it, or a network."""
    try:
        return network(text)
    except Unreadable:
        if re.fullmatch(r"[0-9.:/a-fA-F]*[:/][0-9.:/a-fA-F]*|[0-9.]+", text):
            raise
        return domain_name(text)


def list_url(text: str, *, what: str = "list") -> str:
    """Read where a list is published: https, or plain http on this very host; raises Unreadable."""
    text = text.strip()
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError as why:
        raise Unreadable(f"{quoted(text)} is not an address of a {what}: {why}") from None
    if not re.fullmatch(r"[!-~]+", text) or not host or "@" in parts.netloc or parts.fragment:
        raise Unreadable(f"{quoted(text)} is not an `https://` address: no spaces, user or fragment")
    if parts.scheme == "https" or (parts.scheme == "http" and host in ("127.0.0.1", "::1", "localhost")):
        return text
    if parts.scheme == "http":
        raise Unreadable(f"{quoted(text)} is not an `https://` address: anybody on the way could change the {what}")
    raise Unreadable(f"{quoted(text)} is not an `https://` address")


def overlaps(one: IPNetwork, other: IPNetwork) -> bool:
    """Whether two networks share an address; networks of different versions never do."""
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return isinstance(other, IPv6Network) and one.overlaps(other)
