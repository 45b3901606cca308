"""TLS over octets: no socket, so that what arrives together is read together and what is said leaves together."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from contextlib import suppress

_RECORD = 16_384


class Secured:
    """The server's side of one connection."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.established = False
        self.ended = False
        """Whether the client has said that no more comes."""

    @property
    def protocol(self) -> str | None:
        """What client and server agreed to speak (ALPN); None: nothing."""
        return self._tls.selected_alpn_protocol()

    def received(self, octets: bytes) -> bytes:
        """What these octets say; the handshake says nothing. Raises ssl.SSLError; ``pending`` then holds the alert."""
        self._incoming.write(octets)
        if not self.established:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                return b""
            self.established = True
        said, read, incoming = [], self._tls.read, self._incoming
        try:
            while incoming.pending:  # one look too many costs as much as a record
                if record := read(_RECORD):
                    said.append(record)
                else:
                    self.ended = True
                    break
        except ssl.SSLWantReadError:
            pass  # a record that is not whole, or says nothing
        return said[0] if len(said) == 1 else b"".join(said)

    def send(self, parts: Iterable[bytes]) -> bytes:
        """What goes over the wire in place of these octets.

        Each part is in records of its own: there are clients (dnsperf) that take one answer out of a record.
        """
        write = self._tls.write
        for part in parts:
            write(part)
        return self._outgoing.read()

    def pending(self) -> bytes:
        """What TLS itself has to say."""
        return self._outgoing.read()

    def farewell(self) -> bytes:
        """The notice that no more comes."""
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        return self._outgoing.read()
