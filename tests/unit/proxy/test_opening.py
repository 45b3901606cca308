import ipaddress
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.model.name import DomainName, InvalidName
from sumun.proxy.destination import Destination
from sumun.proxy.opening import Kind, Unreadable, authority, client_hello, connect, kind
from tests.support.proxies import hello


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", None),
        (b"\x16", None),
        (b"\x16\x03", Kind.TLS),
        (b"\x16\x02", Kind.OTHER),
        (b"G", None),
        (b"GET ", Kind.HTTP),
        (b"M-SEARCH * HTTP/1.1", Kind.HTTP),
        (b"CONNECT", None),
        (b"CONNECT a:1", Kind.CONNECT),
        (b"connect a:1", Kind.CONNECT),
        (b"PRI * HTTP/2.0", Kind.OTHER),
        (b"SSH-2.0-x", Kind.OTHER),
        (b"\x80\x2e\x01\x00\x02", Kind.OTHER),
        (b"\x05\x01\x00", Kind.SOCKS),
        (b"A" * 33, Kind.OTHER),
    ],
)
def test_first_bytes_tell_the_kind(data: bytes, expected: Kind | None) -> None:
    assert kind(data) is expected


def test_a_connect_is_read_and_measured() -> None:
    head = b"CONNECT Example.Test.:443 HTTP/1.1\r\nHost: other.test\r\nUser-Agent: x\r\n\r\n"
    read = connect(head + b"\x16\x03")
    assert read is not None
    assert (read.destination, read.size) == (Destination(DomainName("example.test"), 443), len(head))
    assert all(connect(head[:cut]) is None for cut in range(len(head)))


@pytest.mark.parametrize(
    "target",
    [b"a.test", b"a.test:", b"a.test:99999", b":443", b"a b:443", b"user@a.test:443/", b"[::1:443", b"1.2.3.4.5:443"],
)
def test_a_malformed_connect_is_unreadable(target: bytes) -> None:
    with pytest.raises(Unreadable):
        connect(b"CONNECT " + target + b" HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("a.test", "a.test", None),
        ("A.Test:8443", "a.test", 8443),
        ("[::1]:80", "::1", 80),
        ("[::ffff:10.0.0.1]", "10.0.0.1", None),
        ("0x7f.1:80", "127.0.0.1", 80),
        ("bücher.test", "xn--bcher-kva.test", None),
    ],
)
def test_authorities(text: str, host: str, port: int | None) -> None:
    read, found = authority(text)
    assert (str(read), found) == (host, port)


@pytest.mark.parametrize("text", ["", "a:b", "a:0", "a:65536", "a:１", "a@b:1", "::1", "a b", "a\x00b"])
def test_no_authorities(text: str) -> None:
    with pytest.raises(InvalidName):
        authority(text)


def test_the_server_name_of_a_real_hello() -> None:
    data = hello("chat.example.test", "h2", "http/1.1")
    read = client_hello(data)
    assert read is not None
    assert read.server_name == DomainName("chat.example.test")
    assert all(client_hello(data[:cut]) is None for cut in range(len(data)))
    without = client_hello(hello(None))
    assert without is not None
    assert without.server_name is None


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_a_hello_cut_into_records_is_the_same(size: int) -> None:
    data = hello("chat.example.test")
    message = data[5:]
    records = [message[at : at + size] for at in range(0, len(message), size)]
    cut = b"".join(b"\x16\x03\x01" + len(r).to_bytes(2) + r for r in records)
    assert client_hello(cut) == client_hello(data)


def made(server_name_extension: bytes | None, *more: bytes) -> bytes:
    bodies = ([] if server_name_extension is None else [server_name_extension]) + list(more)
    extensions = b"".join(b"\x00\x00" + len(b).to_bytes(2) + b for b in bodies)
    hello_ = (
        b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00" + len(extensions).to_bytes(2) + extensions
    )
    message = b"\x01" + len(hello_).to_bytes(3) + hello_
    return b"\x16\x03\x01" + len(message).to_bytes(2) + message


def names(*entries: tuple[int, bytes]) -> bytes:
    listed = b"".join(bytes((type_,)) + len(name).to_bytes(2) + name for type_, name in entries)
    return len(listed).to_bytes(2) + listed


def test_the_control_is_read() -> None:
    read = client_hello(made(names((0, b"A.Test"))))
    assert read is not None
    assert read.server_name == DomainName("a.test")


def test_an_address_in_the_server_name_is_an_address() -> None:
    for text in (b"192.0.2.1", b"2001:db8::1"):
        read = client_hello(made(names((0, text))))
        assert read is not None
        assert read.server_name == ipaddress.ip_address(text.decode())


@pytest.mark.parametrize(
    "extensions",
    [
        pytest.param((names((0, b"a.test"), (0, b"b.test")),), id="two names"),
        pytest.param((names((0, b"a.test")), names((0, b"b.test"))), id="two extensions"),
        pytest.param((names((1, b"a.test")),), id="another type of name"),
        pytest.param((names((0, b"")),), id="an empty name"),
        pytest.param((names((0, b"a\x00.test")),), id="NUL"),
        pytest.param((names((0, b"a%2e.test")),), id="percent"),
        pytest.param((names((0, "ä.test".encode())),), id="not ASCII"),
        pytest.param((names((0, b"a..test")),), id="an empty label"),
        pytest.param((names(),), id="an empty list"),
        pytest.param((b"\x00",), id="cut short"),
        pytest.param((b"\x00\x20\x00\x00\x06a.test",), id="a length that lies"),
    ],
)
def test_a_server_name_that_two_servers_could_read_differently_is_unreadable(extensions: tuple[bytes, ...]) -> None:
    with pytest.raises(Unreadable):
        client_hello(made(*extensions))


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    for parse in (kind, connect, client_hello):
        for prefix in (b"", b"\x16\x03\x01\x00\x40\x01\x00\x00\x30", b"CONNECT "):
            with suppress(Unreadable):
                parse(prefix + data)
