"""DNS cookies (RFC 7873), made as RFC 9018 says. Pure: the time is an argument, in seconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass

from sumun.model.name import IPAddress

CLIENT = 8
"""Octets of a client's cookie; a server's makes it 16 to 40."""
_HEAD = b"\x01\x00\x00\x00"
"""Version 1."""
_LIFETIME, _RENEWED, _AHEAD = 3600, 1800, 300
"""Seconds that a cookie of ours is taken, is given again, and may come from the future (RFC 9018, section 4.3)."""
_WORD = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Cookies:
    """Makes and knows the server's half."""

    secret: bytes
    """Sixteen octets."""

    def answer(self, cookie: bytes, client: IPAddress, now: float) -> bytes:
        """The whole cookie that goes with an answer to this one."""
        if self.knows(cookie, client, now) and now - _made(cookie) < _RENEWED:
            return cookie
        return cookie[:CLIENT] + self._server(cookie[:CLIENT], client, int(now) & 0xFFFFFFFF)

    def knows(self, cookie: bytes, client: IPAddress, now: float) -> bool:
        """Whether the server's half is ours, for this client, and not too old: then the address is not forged."""
        if len(cookie) != CLIENT + 16 or not -_AHEAD <= now - _made(cookie) <= _LIFETIME:
            return False
        return self._server(cookie[:CLIENT], client, _made(cookie)) == cookie[CLIENT:]

    def _server(self, half: bytes, client: IPAddress, made: int) -> bytes:
        head = _HEAD + made.to_bytes(4)
        return head + siphash(self.secret, half + head + client.packed)


def _made(cookie: bytes) -> int:
    return int.from_bytes(cookie[CLIENT + 4 : CLIENT + 8])


def siphash(key: bytes, data: bytes) -> bytes:
    """SipHash-2-4 of the data, eight octets (https://www.aumasson.jp/siphash/siphash.pdf)."""
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    state = (k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573)
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 0xFF])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        a, b, c, d = state
        a, b, c, d = _round(*_round(a, b, c, d ^ word))
        state = a ^ word, b, c, d
    a, b, c, d = state
    state = a, b, c ^ 0xFF, d
    for _ in range(4):
        state = _round(*state)
    return (state[0] ^ state[1] ^ state[2] ^ state[3]).to_bytes(8, "little")


def _round(a: int, b: int, c: int, d: int) -> tuple[int, int, int, int]:
    a, c = (a + b) & _WORD, (c + d) & _WORD
    b, d = _turned(b, 13) ^ a, _turned(d, 16) ^ c
    a = _turned(a, 32)
    c, a = (c + b) & _WORD, (a + d) & _WORD
    b, d = _turned(b, 17) ^ c, _turned(d, 21) ^ a
    return a, b, _turned(c, 32), d


def _turned(word: int, bits: int) -> int:
    return (word << bits | word >> (64 - bits)) & _WORD
