"""One spelling for every name, and a reason for every refusal."""

from __future__ import annotations

from ipaddress import ip_address

import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.model.name import DomainName, InvalidName, parse_host, plain


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        pytest.param("API.OpenAI.com.", "api.openai.com", id="case and final dot"),
        pytest.param("ｄｅｅｐｓｅｅｋ.com", "deepseek.com", id="full-width letters"),
        pytest.param("chat。deepseek．com", "chat.deepseek.com", id="ideographic and full-width stops"),
        pytest.param(r"\100eepseek.com", "deepseek.com", id="decimal escape of a letter"),
        pytest.param(r"chat\.deepseek.com", r"chat\046deepseek.com", id="an escaped dot separates nothing"),
        pytest.param("딥시크.kr", "xn--k01b33xvrk.kr", id="Korean"),
        pytest.param("faß.example", "xn--fa-hia.example", id="IDNA 2008, not transitional"),
        pytest.param("_dns.resolver.arpa", "_dns.resolver.arpa", id="underscore"),
    ],
)
def test_normalises(written: str, canonical: str) -> None:
    assert DomainName.parse(written) == DomainName(canonical)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        pytest.param("", "empty", id="nothing"),
        pytest.param("a..b", "empty label", id="empty label"),
        pytest.param("a" * 64 + ".com", "63", id="long label"),
        pytest.param("a." * 127 + "com", "253", id="long name"),
        pytest.param("x" * 5000, "253", id="not even looked at"),
        pytest.param("a b.com", "space", id="space"),
        pytest.param("a\x00b.com", "control character", id="NUL"),
        pytest.param("foo\\", "escape", id="unfinished escape"),
        pytest.param(r"\999.com", "255", id="escape above an octet"),
        pytest.param("a\u200d.com", "internationalised", id="joiner out of place"),
    ],
)
def test_refuses_with_a_reason(written: str, why: str) -> None:
    with pytest.raises(InvalidName, match=why):
        DomainName.parse(written)


@given(st.lists(st.binary(min_size=1, max_size=63), max_size=6).filter(lambda labels: sum(map(len, labels)) < 240))
def test_reads_the_labels_of_a_message_as_dnspython_writes_them(labels: list[bytes]) -> None:
    name = DomainName.from_labels(labels)
    again = dns.name.from_text(name.text + ".") if labels else dns.name.root
    assert again.labels == tuple(label.lower() for label in (*labels, b""))
    assert len(name.labels) == len(labels)


@given(st.text(max_size=80))
def test_parsing_is_total_and_idempotent(text: str) -> None:
    try:
        name = DomainName.parse(text)
    except InvalidName:
        return
    assert DomainName.parse(name.text) == name


@pytest.mark.parametrize(
    "spelling",
    [
        "127.0.0.1",
        "0x7f000001",
        "127.1",
        "2130706433",
        "017700000001",
        "[::ffff:127.0.0.1]",
        "１２７.0.0.1",
        "127.0.0.1.",
        "127%2e0.0.1",
    ],
)
def test_reads_an_address_as_a_browser_does(spelling: str) -> None:
    assert parse_host(spelling) == ip_address("127.0.0.1")


@pytest.mark.parametrize(
    "spelling", ["256.1.1.1", "1.2.3.4.5", "08.1.1.1", "[::g]", "host.0x7f", "chat%00.deepseek.com", "%ff.com"]
)
def test_refuses_hosts_that_no_browser_takes(spelling: str) -> None:
    with pytest.raises(InvalidName):
        parse_host(spelling)


def test_a_percent_encoded_host_is_the_host() -> None:
    assert parse_host("chat%2Edeepseek.com") == DomainName("chat.deepseek.com")


def test_suffixes_go_from_the_name_to_the_top() -> None:
    assert list(DomainName("a.b.c").suffixes()) == ["a.b.c", "b.c", "c"]
    assert list(DomainName("").suffixes()) == []


def test_an_ipv4_mapped_address_is_plain_ipv4() -> None:
    assert plain(ip_address("::ffff:192.0.2.1")) == ip_address("192.0.2.1")
    assert plain(ip_address("2001:db8::1")) == ip_address("2001:db8::1")


@given(st.lists(st.binary(min_size=1, max_size=63), max_size=12))
def test_a_name_of_a_message_is_the_name_of_its_labels(labels: list[bytes]) -> None:
    wire, places = b"", []
    for label in labels:
        places.append(len(wire))
        wire += bytes([len(label)]) + label
    try:
        expected: DomainName | None = DomainName.from_labels(labels)
    except InvalidName:
        expected = None
    try:
        found: DomainName | None = DomainName.from_wire(wire + b"\0", places)
    except InvalidName:
        found = None
    assert found == expected


@pytest.mark.parametrize("text", ["WWW.Example.ORG", "a-b_c.example", "xn--p1ai", "a.b.c.d.e.f.g"])
def test_plain_names_of_messages_are_read_alike(text: str) -> None:
    labels = [label.encode() for label in text.split(".")]
    wire = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    places = [wire.index(bytes([len(label)]) + label) for label in labels]
    assert DomainName.from_wire(wire, places) == DomainName.parse(text)


def test_suffixes_go_from_the_name_to_its_top() -> None:
    assert list(DomainName("a.b.c").suffixes()) == ["a.b.c", "b.c", "c"]
    assert list(DomainName("c").suffixes()) == ["c"]
    assert list(DomainName("").suffixes()) == []
