"""Single values: what is read, and what is said where they cannot be."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.config import values
from sumun.config.fault import Unreadable
from sumun.model.service import Match, Pattern


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (values.network, "10.0.0.0/8", ip_network("10.0.0.0/8")),
        (values.network, "127.0.0.3", ip_network("127.0.0.3/32")),
        (values.network, "2001:DB8::/32", ip_network("2001:db8::/32")),
        (values.address, "[::1]", ip_address("::1")),
        (values.address, "::ffff:127.0.0.1", ip_address("127.0.0.1")),
        (values.duration, "24h", timedelta(hours=24)),
        (values.duration, "7d", timedelta(days=7)),
        (values.duration, "90s", timedelta(seconds=90)),
        (values.patience, "15s", timedelta(seconds=15)),
        (values.country, "kr", "KR"),
        (values.country, "NO", "NO"),
        (values.pattern, "Chat.DeepSeek.com.", Pattern("chat.deepseek.com")),
        (values.pattern, "*-ai.cloud.example", Pattern("*-ai.cloud.example", Match.GLOB)),
        (values.contact, "it@example.org", "it@example.org"),
        (values.contact, "https://help.example/ai", "https://help.example/ai"),
        (values.header_name, "ChatGPT-Allowed-Workspace-Id", "ChatGPT-Allowed-Workspace-Id"),
        (values.header_value, "a, b", "a, b"),
        (values.sha256, "A" * 64, "a" * 64),
        (values.words, " two\nlines ", "two\nlines"),
    ],
)
def test_what_is_read(read: Callable[[str], object], text: str, value: object) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (values.network, "10.0.0.0/33", "`10.0.0.0/33` is not a network: prefix length above 32"),
        (values.network, "10.0.0/8", "`10.0.0/8` is not a network: `10.0.0` is not an address"),
        (
            values.network, "10.0.0.0/255.0.0.0",
            "`10.0.0.0/255.0.0.0` is not a network: the prefix length is a number, "
            "such as `/24`",
        ),
        (
            values.network, "10.1.2.3/8",
            "`10.1.2.3/8` has bits set after its prefix: the network is `10.0.0.0/8`, the one client "
            "`10.1.2.3/32`",
        ),
        (
            values.network, "::ffff:10.0.0.0/104",
            "`::ffff:10.0.0.0/104` is an IPv4-mapped network: write the IPv4 network, such as "
            "`10.0.0.0/32`",
        ),
        (values.network, "fe80::%eth0/10", "`fe80::%eth0/10` is not a network: remove `%eth0`"),
        (values.address, "localhost", "`localhost` is not an address: write one such as `127.0.0.1` or `::1`"),
        (values.address4, "::1", "`::1` is an IPv6 address: write it as `address6`, and an IPv4 address here"),
        (values.address6, "127.0.0.1", "`127.0.0.1` is an IPv4 address: an IPv6 address belongs here, or nothing"),
        (values.duration, "24", "`24` is not a duration: write a number and a unit, such as `30m`, `24h` or `7d`"),
        (values.duration, "0s", "`0s` is out of range: from `1m` to `366d`"),
        (values.patience, "0s", "`0s` is out of range: from `1s` to `1h`"),
        (values.patience, "2h", "`2h` is out of range: from `1s` to `1h`"),
        (values.country, "China", "`China` is not a country: write two letters (ISO 3166), such as `KR`"),
        (values.country, "UK", "`UK` is not an ISO 3166 code: write `GB`"),
        (
            values.pattern, "https://chat.deepseek.com/a",
            "`https://chat.deepseek.com/a` is a URL: write the name alone, "
            "`chat.deepseek.com`",
        ),
        (values.pattern, "ai.example:443", "`ai.example:443` is no name: write the name alone, `ai.example`"),
        (
            values.pattern, "*.ai.example",
            "`*.ai.example` is not a name to match: `*.ai.example`: write `ai.example`, which covers the name and "
            "everything below it",
        ),
        (values.pattern, "192.0.2.7", "`192.0.2.7` is an address: rules match names; block addresses in the firewall"),
        (
            values.pattern, "a b.example",
            "`a b.example` is not a name to match: name has a space or a control "
            "character",
        ),
        (values.identifier, "HQ", "`HQ` is not an id: lower-case letters, digits and `-`, 63 at most, no `-` in front"),
        (values.header_name, "Host", "`Host` cannot be set by a rule: it frames or authenticates the request"),
        (values.header_name, "a b", "`a b` is not the name of a header field"),
        (
            values.header_value, "a\r\nX: b",
            "`a\\x0d\\x0aX: b` is not the value of a header field: printable ASCII "
            "on one line",
        ),
        (
            values.contact, "javascript:alert(1)",
            "`javascript:alert(1)` is neither an e-mail address nor an "
            "`https://` address",
        ),
        (
            values.contact, "a@b.example?bcc=c@d.example",
            "`a@b.example?bcc=c@d.example` is neither an e-mail address nor an "
            "`https://` address",
        ),
        (values.sha256, "abc", "`abc` is not a SHA-256 digest: 64 hexadecimal digits"),
        (values.words, "a\x00b", "`a\\x00b` holds control characters"),
        (values.line_of_words, "a\nb", "`a\\x0ab` must be one line of 500 characters at most"),
    ],
)  # fmt: skip
def test_what_is_said(read: Callable[[str], object], text: str, message: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "match"),
    [("a*.b.example", Match.EXACT), ("a*.b.example", Match.SUFFIX), ("a.b.example", Match.GLOB)],
)
def test_a_glob_is_what_has_an_asterisk(text: str, match: Match) -> None:
    with pytest.raises(Unreadable, match="does not go with"):
        values.pattern(text, match)


READERS = [
    values.network, values.address, values.address4, values.address6, values.duration, values.patience, values.country,
    values.pattern,
    values.identifier, values.header_name, values.header_value, values.contact, values.sha256, values.words,
]  # fmt: skip


@given(st.sampled_from(READERS), st.text(max_size=40) | st.from_regex(r"[0-9a-f.:/*@%-]{1,30}"))
def test_any_text_is_read_or_refused(read: Callable[[str], object], text: str) -> None:
    with suppress(Unreadable):
        assert read(text) is not None
