"""Where `cryptography` is not installed, a signed list is not taken, and the reason says what to do."""

from __future__ import annotations

import subprocess
import sys

from tests.support.signing import Signer

PROGRAM = """
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "cryptography":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from sumun.loading.outcome import NotTaken, Outcome
from sumun.loading.signature import verify
try:
    verify(b"a.example", bytes.fromhex(sys.argv[2]), sys.argv[1])
except NotTaken as why:
    print(why.outcome.value, why, sep=": ")
"""


def test_a_host_without_cryptography_says_what_to_install() -> None:
    """In a process of its own, as such a host is: nothing of this one is changed."""
    signer = Signer()
    words = [sys.executable, "-c", PROGRAM, signer.public_key, signer.minisign("a.example", 1).encode().hex()]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout.startswith("signature: ")
    assert "install it, or `sumun[proxy]`" in answer.stdout
