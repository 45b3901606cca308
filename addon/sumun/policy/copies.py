"""Hosts that show other hosts: translations, archives, readers. A copy is judged as what it copies. Pure.

A copy that is named by its own host is recognised by the gate, too; one that is named in a path or a query only where
the request is seen, that is, decrypted for another reason or in plain HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from sumun.model.name import DomainName, InvalidName, IPAddress, parse_host

_LABELLED = ("translate.goog", "cdn.ampproject.org")
"""Their first label spells a host, `.` as `-` and `-` as `--` (Google Translate's and AMP's URL formats)."""
_CARRYING = frozenset(
    {
        "translate.google.com", "translate.googleusercontent.com", "webcache.googleusercontent.com",  # Google
        "www.translatetheweb.com", "www.microsofttranslator.com", "translated.turbopages.org",  # Bing, Yandex
        "translate.yandex.com", "papago.naver.net", "papago.naver.com",
        "web.archive.org", "archive.org", "archive.ph", "archive.today", "archive.is", "archive.li", "archive.md",
        "archive.vn", "archive.fo", "ghostarchive.org", "cc.bingj.com", "cachedview.nl", "arquivo.pt",
        "r.jina.ai", "12ft.io", "txtify.it", "textise.net", "www.textise.net", "freedium.cfd", "smry.ai",
        "api.allorigins.win", "corsproxy.io", "proxy.cors.sh", "cors-anywhere.herokuapp.com",
    }
)  # fmt: skip
"""Hosts that carry the address of what they show in their path or query."""
_URL = re.compile(r"(?:https?:/{1,2}|[=:]/{0,2}|//)((?:[A-Za-z0-9_-]+\.)+[A-Za-z0-9-]{2,63})(?=\.?(?:[:/?#&]|$))")
_BARE = re.compile(r"^/((?:[A-Za-z0-9_-]+\.)+[A-Za-z][A-Za-z0-9-]{1,62})(?=[:/?#]|$)")
_LOOKED_AT = 8192
"""Characters of path and query."""
_COPIES = 4


def copied_by_name(host: DomainName | IPAddress) -> DomainName | None:
    """The host that a name spells, such as ``chat-example-com.translate.goog``."""
    if not isinstance(host, DomainName):
        return None
    label, _, parent = host.text.partition(".")
    if parent not in _LABELLED:
        return None
    return _name(label.replace("--", "\0").replace("-", ".").replace("\0", "-"))


def copied_by_path(host: DomainName | IPAddress, path: str) -> list[DomainName]:
    """The hosts that path and query of a request to a copying service name."""
    if str(host) not in _CARRYING:
        return []
    text = unquote(unquote(path[:_LOOKED_AT]))[:_LOOKED_AT]
    found = (_name(text_) for text_ in _candidates(text))
    return list(dict.fromkeys(name for name in found if name))[:_COPIES]


def with_copied(hosts: tuple[DomainName | IPAddress, ...], path: str) -> tuple[DomainName | IPAddress, ...]:
    """These hosts and all that they copy."""
    copied = [name for host in hosts for name in (copied_by_name(host), *copied_by_path(host, path)) if name]
    return tuple(dict.fromkeys((*hosts, *copied)))


def _candidates(text: str) -> Iterator[str]:
    if bare := _BARE.match(text):
        yield bare[1]
    yield from (match[1] for match in _URL.finditer(text))


def _name(text: str) -> DomainName | None:
    try:
        host = parse_host(text)
    except InvalidName:
        return None
    return host if isinstance(host, DomainName) and "." in host.text else None
