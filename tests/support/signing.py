"""Signs lists as minisign does."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_ID = b"testtest"


@dataclass
class Signer:
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def bare(self) -> str:
        return base64.b64encode(self.key.public_key().public_bytes_raw()).decode()

    @property
    def public_key(self) -> str:
        return base64.b64encode(b"Ed" + KEY_ID + self.key.public_key().public_bytes_raw()).decode()

    def minisign(self, content: str, timestamp: int | None, *, prehashed: bool = True, key_id: bytes = KEY_ID) -> str:
        octets = content.encode()
        signed = self.key.sign(hashlib.blake2b(octets).digest() if prehashed else octets)
        comment = "file:list.txt" if timestamp is None else f"timestamp:{timestamp}\tfile:list.txt\thashed"
        made = (b"ED" if prehashed else b"Ed") + key_id + signed
        sealed = self.key.sign(signed + comment.encode())
        lines = ("untrusted comment: x", base64.b64encode(made).decode(), f"trusted comment: {comment}")
        return "\n".join([*lines, base64.b64encode(sealed).decode(), ""])

    def sign(self, content: str) -> bytes:
        return self.key.sign(content.encode())
