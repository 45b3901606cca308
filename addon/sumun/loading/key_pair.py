"""A certificate and its private key, as TLS takes them: read, vetted, and read again when they are renewed."""

from __future__ import annotations

import logging
import ssl
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sumun.config.settings import KeyPair
from sumun.model.fault import OperatorFault

log = logging.getLogger(__name__)

type _Mark = tuple[tuple[int, int, int], ...]


class UnusableKeyPair(OperatorFault):
    """The files cannot serve TLS; the message says which, why and what to do."""


def server_context(keys: KeyPair, protocols: Sequence[str]) -> ssl.SSLContext:
    """What a listener wraps its connections with; raises UnusableKeyPair."""
    _vet_key(keys.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 9325, 3.1.1
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(list(protocols))
    try:
        context.load_cert_chain(keys.certificate, keys.key, password=_no_password)
    except ssl.SSLError as fault:
        mismatch = fault.reason == "KEY_VALUES_MISMATCH"
        why = "the key is not that of the certificate" if mismatch else "one of them is no PEM file"
        raise UnusableKeyPair(
            f"`{keys.certificate}` and `{keys.key}`: {why}: give the chain and its key, both as PEM"
        ) from None
    except OSError as fault:
        raise UnusableKeyPair(f"`{keys.certificate}` cannot be read: {fault.strerror}") from None
    except ValueError as why:
        raise UnusableKeyPair(f"`{keys.key}` {why}") from None
    return context


def _vet_key(key: Path) -> None:
    try:
        mode = key.stat().st_mode
        with key.open("rb"):
            pass
    except OSError as fault:
        raise UnusableKeyPair(
            f"`{key}` cannot be read: {fault.strerror}: give the user that runs Sumun a copy of the key"
        ) from None
    if not stat.S_ISREG(mode):
        raise UnusableKeyPair(f"`{key}` is no file: name the private key")
    if mode & 0o077:
        raise UnusableKeyPair(
            f"`{key}` is open to others than its owner (mode {stat.S_IMODE(mode):04o}): `chmod 600` it"
        )


def _no_password() -> str:
    """Otherwise OpenSSL asks on the terminal."""
    raise ValueError("is locked by a password, which a service cannot type: store it without")


@dataclass(slots=True)
class Renewed:
    """The context to wrap the next connection with; connections that are open keep theirs."""

    keys: KeyPair
    protocols: Sequence[str]
    context: ssl.SSLContext
    _seen: _Mark

    @classmethod
    def read(cls, keys: KeyPair, protocols: Sequence[str]) -> Renewed:
        """Read it for the first time; raises UnusableKeyPair."""
        mark = _mark(keys)
        return cls(keys, protocols, server_context(keys, protocols), mark)

    def look(self) -> None:
        """Take files that have changed, if they fit together; otherwise the old ones serve on, and it is said once."""
        mark = _mark(self.keys)
        if mark == self._seen:
            return
        self._seen = mark
        try:
            self.context = server_context(self.keys, self.protocols)
        except UnusableKeyPair as fault:
            log.warning("the certificate before it is served on: %s", fault)
        else:
            log.info("certificate `%s` was renewed", self.keys.certificate)


def _mark(keys: KeyPair) -> _Mark:
    return tuple(_mark_of(path) for path in (keys.certificate, keys.key))


def _mark_of(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_ino, status.st_mode
