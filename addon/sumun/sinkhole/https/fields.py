"""Header fields of HTTP/2 (HPACK, RFC 7541): the general decoder, and a short way for what most requests look like.

A client repeats itself: all fields but the path stand in the tables of the connection. Such a block changes nothing
there and is read by looking up; every other goes to the ``hpack`` library, whose tables both use.
"""

from __future__ import annotations

from functools import cache, lru_cache

from hpack import Decoder, HPACKError
from hpack.huffman_table import HUFFMAN_COMPLETE, HUFFMAN_EMIT_SYMBOL, HUFFMAN_FAIL, HUFFMAN_TABLE
from hpack.table import HeaderTable

MAX_OCTETS = 16_384
"""Of all fields together, as RFC 7541 counts them."""
_MAX_FIELDS = 64
_STATIC = [(b"", b""), *HeaderTable.STATIC_TABLE]
_FOR_CONNECTIONS = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_PSEUDO = frozenset({b":method", b":scheme", b":authority", b":path"})
_REQUIRED = frozenset({b":method", b":scheme", b":path"})

type Field = tuple[bytes, bytes]


class FieldFault(Exception):
    """The block cannot be read, which ends the connection: its tables are not known any more."""


class FieldReader:
    """The fields of all requests of one connection."""

    def __init__(self) -> None:
        self._decoder = Decoder(max_header_list_size=MAX_OCTETS)
        self._around: tuple[bytes, bytes] | None = None
        """What stood before and after the text of the path in the block that was read last, if all else was indexed.

        INVARIANT: the tables have not changed since, so what is around the next path means the same.
        """

    def path(self, block: bytes) -> bytes | None:
        """The path, where all other fields are those of the block that was ``read`` last; None: it has to be read."""
        if self._around is None or not block.startswith(self._around[0]):
            return None
        found = _literal(block, len(self._around[0]))
        return found[0] if found and block[found[1] :] == self._around[1] else None

    def read(self, block: bytes) -> list[Field]:
        """The fields in order; raises FieldFault."""
        self._around = None
        fields = self._quickly(block)
        if fields is not None:
            return fields
        try:
            return [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except (HPACKError, IndexError, UnicodeError) as fault:
            raise FieldFault(str(fault)) from None

    def _quickly(self, block: bytes) -> list[Field] | None:
        """None: the block changes the tables, or is long or odd in some way."""
        if len(block) > 1024 or not block:
            return None
        dynamic = self._decoder.header_table.dynamic_entries
        fields: list[Field] = []
        texts: list[tuple[bytes, int, int]] = []
        at, end = 0, len(block)
        while at < end:
            octet = block[at]
            index = octet & 0x7F if octet & 0x80 else octet & 0x0F
            if index == 0 or (octet < 0x80 and (octet >= 0x20 or index == 0x0F)) or index == 0x7F:
                return None
            if index - 62 >= len(dynamic):
                return None
            found = _STATIC[index] if index < 62 else dynamic[index - 62]
            at += 1
            if octet < 0x80:
                value = _literal(block, at)
                if value is None:
                    return None
                texts.append((found[0], at, value[1]))
                found, at = (found[0], value[0]), value[1]
            fields.append(found)
        if len(texts) == 1 and texts[0][0] == b":path":
            self._around = block[: texts[0][1]], block[texts[0][2] :]
        return fields


def _literal(block: bytes, at: int) -> tuple[bytes, int] | None:
    """The text at this place, and where the next thing is (RFC 7541, 5.2); None: let the general decoder look."""
    if at + 1 >= len(block):
        return None
    huffman, length = block[at] & 0x80, block[at] & 0x7F
    at += 1
    if length == 0x7F:
        if block[at] & 0x80:
            return None  # longer than 254 octets
        length += block[at]
        at += 1
    text = block[at : at + length]
    if len(text) < length:
        return None
    if huffman:
        plain = unhuffed(text)
        return None if plain is None else (plain, at + length)
    return text, at + length


def prepare() -> None:
    """Make the table of codes, which takes a tenth of a second, before somebody waits for it."""
    _rows()


type _Row = list[tuple[_Row, bytes]]
"""A state: for each octet that may come, the next state and what is said by then."""
_END = 256
"""Where a row says whether a text may end there, since nothing is left but padding: it says something."""
_STATES = len(HUFFMAN_TABLE) // 16
_PREFIX, _MAX_PREFIXES = 10, 256
_PREFIXES: dict[bytes, tuple[_Row, bytes]] = {}
"""First octets of texts, to the state after them and what they say: paths of one resolver begin alike."""


def unhuffed(text: bytes) -> bytes | None:
    """Text in the code of RFC 7541, appendix B, an octet at a time; None: it is not."""
    begun = step = _PREFIXES.get(text[:_PREFIX]) or _begun(text[:_PREFIX])
    said = [(step := step[0][octet])[1] for octet in text[_PREFIX:]]
    return begun[1] + b"".join(said) if step[0][_END][1] else None


def _begun(text: bytes) -> tuple[_Row, bytes]:
    step = _rows()[0], b""
    said = [(step := step[0][octet])[1] for octet in text]
    if len(_PREFIXES) >= _MAX_PREFIXES:
        _PREFIXES.clear()
    found = _PREFIXES[text] = step[0], b"".join(said)
    return found


@cache
def _rows() -> list[_Row]:
    """By the numbers that the library has for states; the last is that of what is no text, for good."""
    rows: list[_Row] = [[] for _ in range(_STATES + 1)]
    ends = {0, *(state for state, flags, _ in HUFFMAN_TABLE if flags & HUFFMAN_COMPLETE)}
    for state, row in enumerate(rows[:-1]):
        for octet in range(256):
            after, said = _step(state, octet)
            row.append((rows[after], said))
        row.append((row, b"." if state in ends else b""))
    rows[-1] += [(rows[-1], b"")] * (_END + 1)
    return rows


def _step(state: int, octet: int) -> tuple[int, bytes]:
    """Two steps of the library's automaton, which goes by four bits."""
    out = bytearray()
    for nibble in (octet >> 4, octet & 0xF):
        state, flags, symbol = HUFFMAN_TABLE[state * 16 + nibble]
        if flags & HUFFMAN_FAIL:
            return _STATES, b""
        if flags & HUFFMAN_EMIT_SYMBOL:
            out.append(symbol)
    return state, bytes(out)


@lru_cache(maxsize=128)
def well_formed(names: tuple[bytes, ...]) -> bool:
    """Whether a request may have fields of these names in this order (RFC 9113, 8.2 and 8.3)."""
    pseudo = [name for name in names if name.startswith(b":")]
    return (
        len(names) <= _MAX_FIELDS
        and list(names[: len(pseudo)]) == pseudo
        and len(set(pseudo)) == len(pseudo)
        and _REQUIRED <= set(pseudo) <= _PSEUDO
        and not _FOR_CONNECTIONS & set(names)
        and all(name and name == name.lower() for name in names)
    )
