"""What a hostile or broken resolver may answer: a corpus made anew for each question, the same each time."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

import dns.edns
import dns.flags
import dns.message
import dns.rrset

POINTER_TO_QUESTION = b"\xc0\x0c"
A, NS, CNAME, SOA, TXT, AAAA, DNAME, OPT = 1, 2, 5, 6, 16, 28, 39, 41


def honest(query: bytes, *lines: str, **edns: object) -> bytes:
    """A well-formed answer; ``@`` stands for the name asked for."""
    message = dns.message.make_response(dns.message.from_wire(query), recursion_available=True)
    asked = message.question[0].name.to_text()
    for line in lines or ("@ 60 A 192.0.2.7",):
        name, ttl, type_, data = line.replace("@", asked).split(maxsplit=3)
        message.answer.append(dns.rrset.from_text(name, int(ttl), "IN", type_, data))
    if edns:
        message.use_edns(0, 0, 1232, options=edns.get("options"))  # type: ignore[arg-type]  # options are EDNS options
    return message.to_wire(max_size=65_535)


def record(
    owner: bytes, type_: int, data: bytes, *, ttl: int = 60, class_: int = 1, length: int | None = None
) -> bytes:
    """A record as octets; ``length`` is what it says of its data."""
    return owner + struct.pack("!HHIH", type_, class_, ttl, len(data) if length is None else length) + data


def message(query: bytes, *records: bytes, counts: tuple[int, int, int] | None = None, flags: int = 0x8180) -> bytes:
    """Header and question of the query, and then what is said; by default all of it in the answer section."""
    end = query.index(b"\0", 12) + 5
    return (
        query[:2]
        + struct.pack("!HHHHH", flags, 1, *(counts or (len(records), 0, 0)))
        + query[12:end]
        + b"".join(records)
    )


def name(*labels: bytes) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def other_answers(query: bytes) -> Iterator[bytes]:
    """Datagrams that answer something else, which nobody must take for the answer."""
    true = honest(query)
    end = query.index(b"\0", 12) + 5
    yield from (bytes([true[0] ^ bit]) + true[1:] for bit in (1, 2, 4, 8, 16, 32, 64, 128))
    yield from (true[:1] + bytes([true[1] ^ bit]) + true[2:] for bit in (1, 2, 4, 8, 16, 32, 64, 128))
    yield query
    yield from (true[:2] + bytes([true[2] ^ opcode << 3]) + true[3:] for opcode in range(1, 16))
    yield from (true[:4] + count.to_bytes(2) + true[6:] for count in (0, 2, 255, 65_535))
    yield from (true[:at] + bytes([true[at] ^ 0x01]) + true[at + 1 :] for at in range(13, end))
    yield from (true[:length] for length in range(1, end))
    yield true[:12] + POINTER_TO_QUESTION + true[end - 4 :]
    yield true[:12] + b"\0" + true[end - 4 :]
    yield true[:12] + name(b"x" * 63, b"y" * 63, b"z" * 63, b"w" * 61) + true[end - 4 :]


def bad_answers(query: bytes) -> Iterator[bytes]:
    """Answers to the very question that are wrong behind it, or odd."""
    true = honest(query, "@ 60 CNAME b.lies.test.", "b.lies.test. 60 A 192.0.2.8", options=[dns.edns.EDEOption(3)])
    end = query.index(b"\0", 12) + 5
    yield from (true[:length] for length in range(end, len(true)))
    yield from (
        true[:at] + count.to_bytes(2) + true[at + 2 :]
        for at in (6, 8, 10)
        for count in (0, 1, 2, 3, 7, 255, 4096, 65_535)
    )
    yield from (true + junk for junk in (b"\0", b"\xff" * 7, b"\xc0\x0c", bytes(400)))
    yield from (true[:2] + flags.to_bytes(2) + true[4:] for flags in (0x8000, 0x8580, 0x81F0, 0x87FF & ~0x0200))
    yield from (true[:3] + bytes([0x80 | rcode]) + true[4:] for rcode in range(16))
    yield from _names(query)
    yield from _records(query)
    yield from _edns(query)
    yield from _aliases(query)
    chance = random.Random(1035)
    for _ in range(120):
        wire = bytearray(true)
        for _ in range(chance.randrange(1, 6)):
            wire[chance.randrange(end, len(wire))] = chance.randrange(256)
        yield bytes(wire)


def _names(query: bytes) -> Iterator[bytes]:
    """Compression that loops, points ahead, into the header, or for ever back; labels of no known kind."""
    here = query.index(b"\0", 12) + 5
    for target in (here, here + 1, here + 2, here + 12, 0, 2, 11, 0x3FFF):
        yield message(query, record(struct.pack("!H", 0xC000 | target), A, bytes(4)))
        yield message(query, record(POINTER_TO_QUESTION, CNAME, struct.pack("!H", 0xC000 | target)))
    yield from (message(query, record(bytes([kind]) + b"ab\0", A, bytes(4))) for kind in (0x40, 0x41, 0x80, 0xBF))
    yield message(query, record(name(*[b"a" * 63] * 5), A, bytes(4)))
    yield message(query, record(b"\x01a" * 200 + b"\0", A, bytes(4)))
    yield message(query, record(POINTER_TO_QUESTION, CNAME, name(*[b"a" * 63] * 5)))
    yield message(query, record(POINTER_TO_QUESTION, CNAME, b"\x3fabc"))
    chain = b"".join(struct.pack("!H", 0xC000 | (12 if n == 0 else here + 12 + 2 * (n - 1))) for n in range(400))
    last = struct.pack("!H", 0xC000 | here + 12 + 2 * 399)
    yield message(query, record(POINTER_TO_QUESTION, 65_280, chain), *[record(last, A, bytes(4))] * 40)


def _records(query: bytes) -> Iterator[bytes]:
    """Data of the wrong length, lengths that lie, odd classes and times, and names nobody asked for."""
    for type_ in (A, AAAA, SOA, NS, CNAME, TXT, 64, 65, 46, 250, 0, 255):
        yield from (
            message(query, record(POINTER_TO_QUESTION, type_, bytes(length))) for length in (0, 1, 3, 5, 17, 255)
        )
    for length in (0, 1, 3, 5, 255, 65_535):
        yield message(query, record(POINTER_TO_QUESTION, A, bytes(4), length=length))
    yield from (message(query, record(POINTER_TO_QUESTION, A, bytes(4), class_=c)) for c in (0, 3, 254, 255, 65_535))
    yield from (message(query, record(POINTER_TO_QUESTION, A, bytes(4), ttl=t)) for t in (0, 1 << 31, (1 << 32) - 1))
    yield message(query, record(name(b"chat", b"victim", b"test"), A, b"\xc6\x33\x64\x01"))
    yield message(
        query,
        record(POINTER_TO_QUESTION, A, bytes(4)),
        record(name(b"victim", b"test"), NS, name(b"evil")),
        counts=(1, 1, 0),
    )
    soa = name(b"a") + name(b"b")
    for data in (b"", b"\0", soa, soa + bytes(3), soa + bytes(19), soa + b"\xff" * 20):
        yield message(query, record(POINTER_TO_QUESTION, SOA, data), counts=(0, 1, 0), flags=0x8183)
    yield message(query, *[record(b"\0", A, bytes(4))] * 800)


def _edns(query: bytes) -> Iterator[bytes]:
    """The OPT record twice, elsewhere, with a name, of another version, with options that lie."""
    opt, answer = record(b"\0", OPT, b"", class_=1232, ttl=0), record(POINTER_TO_QUESTION, A, bytes(4))
    yield message(query, answer, opt, opt, counts=(1, 0, 2))
    yield message(query, opt, answer, counts=(1, 0, 1))
    yield message(query, answer, opt, counts=(1, 1, 0))
    yield message(query, answer, opt, answer, counts=(1, 0, 2))
    yield message(query, answer, record(POINTER_TO_QUESTION, OPT, b"", class_=1232, ttl=0), counts=(1, 0, 1))
    yield message(query, answer, record(b"\0", OPT, b"", class_=0, ttl=0xFFFF_FFFF), counts=(1, 0, 1))
    for options in (b"\0", b"\0\x0f", b"\0\x0f\0\1x", b"\0\x0f\xff\xff", b"\0\x0a\0\x40" + bytes(64), b"\xff" * 60):
        yield message(query, answer, record(b"\0", OPT, options, class_=1232, ttl=0), counts=(1, 0, 1))


def _aliases(query: bytes) -> Iterator[bytes]:
    """Loops of one, of several, chains without end, and a whole tree that is moved onto itself."""
    for length in (1, 2, 3, 16, 17, 31, 40, 200):
        names = [f"n{number}.loop.test." for number in range(length)]
        chain = zip(["@", *names], [*names, names[0]], strict=True)
        yield honest(query, *(f"{owner} 60 CNAME {target}" for owner, target in chain))
    yield honest(query, "@ 60 CNAME @")
    yield honest(query, "@ 60 CNAME .")
    yield honest(query, "test. 60 DNAME test.", "@ 60 CNAME @")
    yield honest(query, "lies.test. 60 DNAME a.lies.test.", "@ 60 CNAME x.a.lies.test.")


def long_answers(query: bytes) -> Iterator[bytes]:
    """For a stream: as long as a message can be, of names as long as they can be, and of pointers to pointers."""
    longest = name(*[b"a" * 63] * 3, b"b" * 61)
    yield message(query, *[record(longest, A, bytes(4))] * 240)
    yield message(query, record(POINTER_TO_QUESTION, TXT, b"\xff" + b"t" * 255) * 240, counts=(240, 0, 0))
    here = query.index(b"\0", 12) + 5
    chain = b"".join(struct.pack("!H", 0xC000 | (12 if n == 0 else here + 12 + 2 * (n - 1))) for n in range(8_000))
    last = struct.pack("!H", 0xC000 | here + 12 + 2 * 7_999)
    yield message(query, record(POINTER_TO_QUESTION, 65_280, chain), *[record(last, 65_280, b"")] * 4_000)
    yield message(query, *[record(b"\0", 65_280, b"")] * 5_900)
    yield message(query, counts=(65_535, 65_535, 65_535)) + bytes(65_000)
