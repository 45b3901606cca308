"""Generated attempts to be read in two ways: requests, authorities and ClientHellos; and readers that would be fooled.

Each reader stands for servers that exist: lenient about line ends, about a space before the colon, about which of two
lengths counts. What the proxy sends on must mean the same to all of them.
"""

from __future__ import annotations

import re
import ssl
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from urllib.parse import unquote

from tests.support.proxies import hello

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: chat.deepseek.com\r\n\r\n"
"""The request that is to be smuggled."""


type Request = tuple[bytes, bytes, bytes]
"""Method, target and Host."""


@dataclass(frozen=True)
class Reader:
    """One way to read a connection's octets as requests."""

    lone_feeds: bool = False
    """A bare line feed ends a line."""
    loose_names: bool = False
    """Blanks around a name go, and an underscore is a hyphen."""
    any_coding: bool = False
    """Whatever contains the word is chunked."""
    last_length: bool = False

    def requests(self, data: bytes) -> list[Request]:
        """Every request."""
        found = []
        while first := self.first(data):
            found.append(first[0])
            data = first[1]
        return found

    def first(self, data: bytes) -> tuple[Request, bytes] | None:
        """The first request, and what comes after its body."""
        end = re.search(rb"\n\r?\n" if self.lone_feeds else rb"\r\n\r\n", data)
        if end is None:
            return None
        head, data = data[: end.start()], data[end.end() :]
        line, *rest = re.split(rb"\r?\n" if self.lone_feeds else rb"\r\n", head)
        fields = [self._field(text) for text in rest]
        hosts = [value for name, value in fields if name == b"host"]
        method, target, _ = (*line.split(None, 2), b"", b"", b"")[:3]
        return (method, target, b"|".join(hosts)), data[self._size(fields, data) :]

    def _field(self, text: bytes) -> tuple[bytes, bytes]:
        name, _, value = text.partition(b":")
        if self.loose_names:
            name = name.strip().replace(b"_", b"-")
        return name.lower(), value.strip()

    def _size(self, fields: list[tuple[bytes, bytes]], data: bytes) -> int:
        codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
        if any(coding == b"chunked" or (self.any_coding and b"chunked" in coding) for coding in codings):
            return _chunked_size(data)
        said = [re.search(rb"\d+", value) for name, value in fields if name == b"content-length"]
        lengths = [int(length[0]) for length in said if length]
        return lengths[-1 if self.last_length else 0] if lengths else 0


READERS = [Reader(*flags) for flags in product((False, True), repeat=4)]


def _chunked_size(data: bytes) -> int:
    at = 0
    while match := re.compile(rb"([0-9A-Fa-f]+)[^\n]*\n").match(data, at):
        at = match.end() + min(int(match[1], 16), len(data)) + 2
        if int(match[1], 16) == 0:
            break
    return min(at, len(data))


# requests

_CODINGS = [
    b"Transfer-Encoding: chunked", b"Transfer-Encoding : chunked", b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: \x0bchunked", b"Transfer-Encoding: chunked\x00",
    b"Transfer-Encoding:\n chunked", b"Transfer-Encoding:\r\n chunked", b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked", b"Transfer_Encoding: chunked", b" Transfer-Encoding: chunked",
    b"\tTransfer-Encoding: chunked", b"Transfer-Encoding: 'chunked'", b'Transfer-Encoding: "chunked"',
    b"Transfer-Encoding: CHUNKED", b"Transfer-Encoding: chun\xe9ked", b"Transfer-Encoding\x00: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked", b"Transfer-Encoding:chunked\r\nTransfer-Encoding: x",
    b"Connection: transfer-encoding\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: identity", b"",
]  # fmt: skip
_LENGTHS = [
    b"Content-Length: %d", b"Content-Length: 0\r\nContent-Length: %d", b"Content-Length: %d\r\nContent-Length: 0",
    b"Content-Length: %d, 0", b"Content-Length: +%d", b"Content-Length: 0%d", b"Content-Length: %d.0",
    b"Content-Length: 0x%x", b"Content-Length : %d", b"Content-Length: %d\x00", b"Content_Length: %d",
    b"X: y\nContent-Length: %d", b"Content-Length: \x0c%d", b"Content-Length:\r\n %d", b"Content-Length: %d 0",
    b"Content-Length: -%d", b"Content-Length: ", b"Content-Length: 99999999999999999999", b"",
]  # fmt: skip
_BODIES = [b"0\r\n\r\n" + HIDDEN, HIDDEN, b"%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n"]
_CHUNKS = [
    b"0;x=y\r\n\r\n", b"0\n\n", b"0\r\n\n", b"00000000000000000000000\r\n\r\n", b"0x0\r\n\r\n", b"-1\r\n\r\n",
    b" 0\r\n\r\n",
    b"0 \r\n\r\n", b"1;\nx\r\na\r\n0\r\n\r\n", b"1\r\naX0\r\n\r\n", b"2\r\na\r\n0\r\n\r\n", b"\r\n0\r\n\r\n",
    b"g\r\n\r\n",
    b"0\r\nHost: chat.deepseek.com\r\nContent-Length: 9\r\n\r\n", b"1;a=\"\r\n0\r\n\r\nGET /\"\r\na\r\n0\r\n\r\n",
    b"7fffffffffffffff\r\na", b"10000000000000000\r\n\r\n", b"1\r\n\r\n\r\n0\r\n\r\n",
]  # fmt: skip
_FIELDS = [
    b"X: a\x00b", b"X: a\rb", b"X: a\nb", b"X: a\n\nGET /hidden HTTP/1.1\nHost: chat.deepseek.com", b"X", b": x",
    b"X Y: z", b"X\t: z", b"X: a\r\n b", b"X: a\r\n\tb", b"\xff: x", b"X\x0b: z", b"X: a\x7f", b"X: a\x1b[0m",
    b"Host: chat.deepseek.com", b"Host:chat.deepseek.com", b"Host : chat.deepseek.com", b" Host: chat.deepseek.com",
    b"X: y\nHost: chat.deepseek.com", b"X: y\rHost: chat.deepseek.com", b"Ho\x00st: chat.deepseek.com",
    b"Connection: host", b"Connection: close, content-length", b"X: \r\r\nHost: chat.deepseek.com", b"(a): b",
    b"X: a\x85Host: chat.deepseek.com", b"X:\xa0a", b"Content-Length: 5\r\nContent-Length: 5", b"host:\x00x",
]  # fmt: skip
_LINES = [
    b"GET {t} HTTP/1.1\n", b"GET  {t} HTTP/1.1\r\n", b"GET {t}  HTTP/1.1\r\n", b"GET\t{t} HTTP/1.1\r\n", b"GET {t}\r\n",
    b"GET {t} HTTP/1.1 \r\n", b"GET {t} HTTP/1.1 HTTP/1.1\r\n", b"GET {t} x HTTP/1.1\r\n", b"GET {t} HTTP/2.0\r\n",
    b"GET {t} HTTP/1.10\r\n", b"GET {t} http/1.1\r\n", b"GET {t} HTTP/0.9\r\n", b"G\x00ET {t} HTTP/1.1\r\n",
    b"GET {t}\x00 HTTP/1.1\r\n", b"GET {t}\x0bHTTP/1.1\r\n", b" GET {t} HTTP/1.1\r\n", b"\nGET {t} HTTP/1.1\r\n",
    b"\r\nGET {t} HTTP/1.1\r\n", b"G(T {t} HTTP/1.1\r\n", b"GET {t} HTTP/1.1\r\r\n", b"GET {t}\rX HTTP/1.1\r\n",
    b"GET * HTTP/1.1\r\n", b"GET /hidden#{t} HTTP/1.1\r\n", b"GET hidden HTTP/1.1\r\n", b"{t} HTTP/1.1\r\n",
    b"PRI * HTTP/2.0\r\n", b"GET {t} HTTP/1.1\r\nX\r\n", b"get {t} HTTP/1.1\r\n", b"POST {t} HTTP/1.0\r\n",
]  # fmt: skip


def smuggling(target: bytes, host: bytes) -> Iterator[bytes]:
    """Some hundreds of requests of which an honest server takes few; the first of each family is honest."""
    start = b"POST " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n"
    for coding, length, body in product(_CODINGS, _LENGTHS, _BODIES):
        if (coding and length) or body == _BODIES[0]:
            length_ = length % 4 if b"%" in length else length
            yield start + b"".join(field + b"\r\n" for field in (coding, length_) if field) + b"\r\n" + body
    for chunks in _CHUNKS:
        yield start + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + HIDDEN
    get = b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n"
    for field in _FIELDS:
        yield get + field + b"\r\n\r\n"
    for line in _LINES:
        yield line.replace(b"{t}", target) + b"Host: " + host + b"\r\n\r\n"
    for version in (b"1.0", b"1.1"):
        yield b"GET " + target + b" HTTP/" + version + b"\r\n\r\n"


# authorities

_FULL_WIDTH = str.maketrans({c: chr(ord(c) + 0xFEE0) for c in "abcdefghijklmnopqrstuvwxyz."})
_WRAPS = [
    "{a}@{b}", "{b}@{a}", "{a}:80@{b}", "{a}:@{b}", "@{b}", "{a}#@{b}", "{a}?@{b}", "{a}/@{b}", "{a}\\@{b}", "{a};{b}",
    "{a},{b}", "{a} {b}", "{a}%20{b}", "{a}%00.{b}", "{b}%00.{a}", "{a}\x00{b}", "{b}\x00{a}", "{a}%0d%0a{b}",
    "{a}%09{b}",
    "{a}%2f{b}", "{a}%23{b}", "{a}%3f{b}", "{a}%40{b}", "{a}%5c{b}", "{b}%2523", "{b}\\.{a}", "{b}/.{a}", "{b}#.{a}",
    "{b}?.{a}", "{a}&@{b}#", "{a}:80:{b}", "{a}::{b}", "[{b}]", "[{a}]@{b}", "[::1]{b}", "[::1].{b}", "[{b}", "{b}]",
    "{b}:", "{b}:0", "{b}:65536", "{b}:-1", "{b}:+80", "{b}:0x50", "{b}:80a", "{b}:８０", "{b}: 80", "{b}..", ".{b}",
    "{b}...", "-{b}", "{b}-", "_{b}", "{b}_", "*.{b}", "//{b}", "///{b}", "http:{b}", "http://{b}", "{b}/", "{b}//",
    "\t{b}", "{b}\t", " {b}", "{b} ", "\x0b{b}", "{b}\xa0", "{b}\u200b", "{b}\u00ad", "\ufeff{b}", "{b}%e2%80%8b",
    "{b}%",
    "{b}%2", "{b}%zz", "%", "%00", "", ".", "..", ":", ":80", "[", "]", "[]", "[]:80", "@", "{b}.", "{b}.:80",
    "{a}.{b}", "{b}.{a}", "{a}\r\nHost: {b}", "{a}\nHost: {b}", "{a}\rHost: {b}", "xn--{b}", "xn--a.{b}", "{b}.xn--0",
]  # fmt: skip


def spellings(name: str) -> Iterator[str]:
    """Other ways to write one name."""
    yield from (name, name.upper(), name.title(), name + ".", name.translate(_FULL_WIDTH))
    yield from (name.replace(".", dot) for dot in ("。", "．", "｡", "%2e", "%2E", "%E3%80%82", "․", "\\046", "\\."))
    yield "".join(f"%{ord(c):02x}" for c in name)
    yield from (name[:n] + f"%{ord(name[n]):02X}" + name[n + 1 :] for n in range(len(name)))
    odd = "\u200b\u00ad\u2060\ufe0f\u0301\x00\t\n\r /\\"
    yield from (name[:n] + each + name[n:] for n in (0, 4, len(name)) for each in odd)
    yield from (
        "ⓒⓗⓐⓣ.deepseek.com",
        "𝒸𝒽𝒶𝓉.deepseek.com",
        "chat.deepſeek.com",
        "chat.deepseeK.com",
        "CHAT。DEEPSEEK。COM",
    )
    yield from ("xn--chat-.deepseek.com", "chat.xn--deepseek-.com", "chat.xn--deepseek.com", "xn--chat.deepseek.com")


def authorities(allowed: str, blocked: str) -> list[str]:
    """Some hundreds of texts where a host belongs."""
    wrapped = (wrap.format(a=a, b=b) for wrap in _WRAPS for a, b in ((allowed, blocked), (blocked, allowed)))
    return list(dict.fromkeys((*spellings(allowed), *spellings(blocked), *wrapped)))


def meanings(text: str) -> set[str]:
    """The hosts that one parser or another makes of a Host field."""
    found = {text}
    folded: Callable[[str], str] = lambda t: unicodedata.normalize("NFKC", t)  # noqa: E731  # one of a row
    unspaced: Callable[[str], str] = lambda t: re.sub(r"\s", "", t)  # noqa: E731  # likewise
    for read in (str.lower, str.strip, unquote, folded, unspaced):
        found |= {read(each) for each in found}
    found |= {part for each in found for part in re.split(r"[@/\\#?;, \x00]", each)}
    found |= {re.sub(r":[0-9]*$", "", each).rstrip(".") for each in found}
    return found - {""}


# ClientHellos


def hellos(allowed: str, blocked: str, *, ascii_only: bool = False) -> Iterator[bytes]:
    """Some hundreds of ClientHellos of OpenSSL's making with another server name extension, or cut in other records.

    Python's binding to OpenSSL cannot hand on other names than ``ascii_only``.
    """
    a, b = allowed.encode(), blocked.encode()
    odd = [
        a, b, a.upper(), a + b".", a + b"..", b"." + a, b + b".", b"", b".", a + b"\x00", a + b"\x00." + b,
        b + b"\x00" + a,
        a + b" ", b" " + a, a + b"\n", a + b"\r\n", a + b"%00", b.replace(b".", b"%2e"), a.replace(b"o", "о".encode()),
        "ｏｐｅｎ.test".encode(), b"[" + a + b"]", a + b":443", b + b":443", a + b"/", a + b"@" + b, b + b"@" + a,
        a + b"," + b,
        b"127.0.0.1", b"0x7f.1", b"2130706433", b"::1", b"[::1]", b"*." + a, b"_" + a, a + b"\x7f", a + b"\\",
        b"xn--", b"-" + a,
        a * 20, b"a" * 64 + b".test", b"a." * 126 + b"aa", b"a." * 127 + b"aa", b"\xff" + a, a + b"\xff",
        b"http://" + a,
        b.upper(), b.replace(b".", "。".encode()), b + b"\t", a[:4] + b"\x00" + a[4:], b"chat\x00.deepseek.com",
    ]  # fmt: skip
    bodies = [_list((0, name)) for name in odd if name.isascii() or not ascii_only]
    pairs = ((a, b), (b, a), (a, a))
    bodies += [_list((t1, x), (t2, y)) for x, y in pairs for t1 in (0, 1, 255) for t2 in (0, 1, 255)]
    bodies += [_list((0, a)) + extra for extra in (b"\x00", b, _list((0, b)), b"\x00\x00\x01a")]
    bodies += [b"", b"\x00", b"\x00\x00", b"\xff\xff" + _list((0, a))[2:], _list((0, a))[:-1]]
    bodies += [_list((1, b)), _list((255, a))]
    bodies += [_list((0, name), lie=lie) for name in (a, b) for lie in (-2, -1, 1, 2, 255)]
    extensions = [[body] for body in bodies]
    extensions += [[_list((0, x)), _list((0, y))] for x, y in pairs] + [[]]
    whole = [_with_names(allowed, each) for each in extensions]
    yield from (_records(message) for message in whole)
    good = [_with_names(allowed, [_list((0, name))]) for name in (a, b)]
    for message in good:
        yield from (_records(message, size) for size in (1, 2, 3, 5, 16, 64, 100, 255, len(message) - 1))
        yield from (_records(message, 64, version=bytes((3, minor))) for minor in (0, 3, 4, 255))
        yield _records(message) + _records(_with_names(allowed, [_list((0, b))]))
        yield _records(good[1] + message)
        yield _records(message + b"\x00")
        yield b"\x16\x03\x01\x00\x00" + _records(message)
        yield _records(message, 50)[:-1] + b"\x00"
        yield b"\x15\x03\x01\x00\x02\x01\x00" + _records(message)
        yield from (_records(message)[:cut] for cut in (1, 5, 6, 40, 100, -1))
        yield from (_records(_longer(message, by)) for by in (-3, -1, 1, 3))


_SERVER = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def hello_with(*names: str) -> bytes:
    """A ClientHello with these server names in one extension."""
    return _records(_with_names("unused.test", [_list(*((0, name.encode()) for name in names))]))


def read_by_openssl(said: bytes) -> str | None:
    """The server name that OpenSSL finds in a ClientHello; None: there is none; empty: it would not read it."""
    found: list[str | None] = []
    incoming = ssl.MemoryBIO()
    _SERVER.sni_callback = lambda _, name, __: found.append(name)
    connection = _SERVER.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True)
    incoming.write(said)
    with suppress(ssl.SSLError, ValueError, UnicodeError):
        connection.do_handshake()
    return found[-1] if found else ""


def _list(*names: tuple[int, bytes], lie: int = 0) -> bytes:
    body = b"".join(bytes([type_]) + (max(0, len(name) + lie)).to_bytes(2) + name for type_, name in names)
    return len(body).to_bytes(2) + body


def _with_names(allowed: str, bodies: list[bytes]) -> bytes:
    """The handshake message of a real hello, with these server name extensions in place of its own."""
    message = hello(allowed)[5:]
    at = 4 + 2 + 32
    at += 1 + message[at]
    at += 2 + int.from_bytes(message[at : at + 2])
    at += 1 + message[at]
    rest, kept = message[at + 2 :], b""
    while rest:
        size = 4 + int.from_bytes(rest[2:4])
        kept += b"" if rest[:2] == b"\x00\x00" else rest[:size]
        rest = rest[size:]
    kept = b"".join(b"\x00\x00" + len(body).to_bytes(2) + body for body in bodies) + kept
    body = message[4:at] + len(kept).to_bytes(2) + kept
    return b"\x01" + len(body).to_bytes(3) + body


def _longer(message: bytes, by: int) -> bytes:
    return message[:1] + (int.from_bytes(message[1:4]) + by).to_bytes(3) + message[4:]


def _records(message: bytes, size: int = 0x4000, version: bytes = b"\x03\x01") -> bytes:
    pieces = (message[n : n + size] for n in range(0, len(message), size))
    return b"".join(b"\x16" + version + len(piece).to_bytes(2) + piece for piece in pieces)
