"""The key that forms are signed with: made once, kept beside the other state."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from sumun.store.faults import StoreFault

_OCTETS = 32


def form_key(state: Path) -> bytes:
    """Read the key, or make it where there is none; several processes may do so at once. Raises StoreFault."""
    path = state / "forms.key"
    try:
        _make(path)
        key = path.read_bytes()
    except OSError as fault:
        raise StoreFault(f"`{path}` (the key of forms) cannot be used: {fault.strerror}") from fault
    if len(key) != _OCTETS:
        raise StoreFault(f"`{path}` (the key of forms) has {len(key)} octets, not {_OCTETS}: remove it")
    return key


def _make(path: Path) -> None:
    """Write beside it and link: nobody ever reads half a key, and the first one stays."""
    if path.exists():
        return
    fresh = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_OCTETS))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            return
    finally:
        fresh.unlink()
