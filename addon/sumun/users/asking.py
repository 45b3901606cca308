"""Asks a source of users, never twice at once for the same credentials, few at a time, and remembers the answer.

What is remembered is filed under an HMAC of the credentials, with a key as old as the process: no password is kept.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from sumun.model.user import BadUserName, Identity, user_name
from sumun.users.errors import Busy, Unavailable

LONGEST = 256
"""Octets of a password."""
_WAITING = 128
"""Different credentials that are checked or wait at one time."""
_REMEMBERED = 16_384
_WRONG = 10.0
"""Seconds a wrong password is remembered, at most: somebody may set it meanwhile."""


class Source(Protocol):
    """Where users are known; used from threads."""

    def check(self, name: str, password: bytes) -> Identity | None:
        """The user, if the password is theirs; may wait; raises Unavailable."""
        ...

    def close(self) -> None:
        """Let go of what is held open."""
        ...


class Users:
    """Tells whether credentials are somebody's, without blocking the loop."""

    def __init__(
        self, source: Source, *, remember: float = 300.0, within: float = 10.0, at_once: int = 4, least: float = 0.3
    ) -> None:
        """Times in seconds: to remember an answer, to wait for it, and that a no takes, so that time tells nothing."""
        self._source = source
        self._remember, self._within, self._least = remember, within, least
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="users")
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, tuple[float, Identity | None]] = OrderedDict()
        self._asked: dict[bytes, asyncio.Future[Identity | None]] = {}

    async def check(self, name: str, password: bytes) -> Identity | None:
        """The user, if these are their name and password; raises Unavailable."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        found = await self._find(name, password, began)
        if found is None:
            await asyncio.sleep(began + self._least - loop.time())
        return found

    def close(self) -> None:
        """Ask no more; what is under way ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._source.close()

    async def _find(self, name: str, password: bytes, now: float) -> Identity | None:
        try:
            user = user_name(name)
        except BadUserName:
            return None
        if not 0 < len(password) <= LONGEST or b"\0" in password:
            return None  # without a password many a directory lets anybody in (RFC 4513, 5.1.2)
        key = self._filed(user, password)
        known = self._known.get(key)
        if known and now < known[0]:
            return known[1]
        return await self._shared(key, user, password)

    async def _shared(self, key: bytes, user: str, password: bytes) -> Identity | None:
        """A browser opens many connections at once: one question answers them all."""
        asked = self._asked.get(key)
        if asked is None:
            if len(self._asked) >= _WAITING:
                raise Busy("too many passwords are being checked")
            asked = asyncio.ensure_future(self._ask(user, password))
            self._asked[key] = asked
            asked.add_done_callback(lambda done: self._learn(key, done))
        try:
            async with asyncio.timeout(self._within):
                return await asyncio.shield(asked)
        except TimeoutError:
            raise Unavailable("no answer in time") from None

    async def _ask(self, user: str, password: bytes) -> Identity | None:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._source.check, user, password)

    def _learn(self, key: bytes, done: asyncio.Future[Identity | None]) -> None:
        self._asked.pop(key, None)
        if done.cancelled() or done.exception():
            return
        found = done.result()
        life = self._remember if found else min(self._remember, _WRONG)
        self._known[key] = asyncio.get_running_loop().time() + life, found
        self._known.move_to_end(key)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _filed(self, user: str, password: bytes) -> bytes:
        named = user.encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, len(named).to_bytes(4) + named + password, "sha256")
