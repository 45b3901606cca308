"""Finds out who a client's user is, or that nobody is, or that somebody has to be asked."""

from __future__ import annotations

import logging
from typing import Protocol

from sumun.config.user_settings import UserSettings
from sumun.model.name import IPAddress
from sumun.model.request import UNKNOWN, Unknown
from sumun.model.segment import Authenticate, FailMode
from sumun.model.user import Identity
from sumun.model.verdict import Point
from sumun.proxy.credentials import Said
from sumun.proxy.telling import Teller
from sumun.users.errors import Busy, Unavailable

logger = logging.getLogger(__name__)

type Who = Identity | Unknown | None
"""Somebody; nobody (None); or somebody who has not said so and could be asked (UNKNOWN)."""


class Asked(Exception):
    """The client has to say, or to say better, who its user is."""


class Unsettled(Exception):
    """Nobody can tell now whether what was said is true, and the segment is closed on failure."""


class Known(Protocol):
    """Where users are known."""

    async def check(self, name: str, password: bytes) -> Identity | None:
        """The user, if these are their name and password; raises sumun.users.errors.Unavailable."""
        ...

    def close(self) -> None:
        """Ask no more."""
        ...


class Authentication:
    """The rules of one host; where users are not configured there is none of these, and nothing is asked."""

    def __init__(self, settings: UserSettings, known: Known | None, teller: Teller) -> None:
        """Take the parts; without ``known`` only parents tell who asks."""
        self.header = settings.header
        self.realm = settings.realm
        self._known, self._teller = known, teller

    def close(self) -> None:
        """Ask no more."""
        if self._known:
            self._known.close()

    def mode(self, client: IPAddress) -> Authenticate:
        """What the client's segment wants."""
        return self._teller.proxy_policy(client).authenticate

    async def identify(self, client: IPAddress, said: Said, *, parent: bool) -> Who:
        """Who asks; ``parent``: a listed one says it. Raises Asked and Unsettled."""
        if parent and said.named:
            self.count(client, "vouched")
            return said.named
        mode = self.mode(client)
        if mode is Authenticate.NONE:
            return None
        if said.credentials is None or self._known is None:
            if mode is Authenticate.REQUIRED or said.malformed:
                self.ask(client)
            return UNKNOWN
        try:
            found = await self._known.check(said.credentials.name, said.credentials.password)
        except Unavailable as why:
            self._fail(client, why)
            return None
        self.count(client, "accepted" if found else "refused")
        if found is None:
            raise Asked
        return found

    def ask(self, client: IPAddress) -> None:
        """Count that somebody is asked; raises Asked."""
        self.count(client, "asked")
        raise Asked

    @property
    def challenge(self) -> str:
        """The value of Proxy-Authenticate (RFC 7617, 2)."""
        return f'Basic realm="{self.realm}", charset="UTF-8"'

    def _fail(self, client: IPAddress, why: Unavailable) -> None:
        """As the segment says; being asked too much at once opens no segment."""
        self.count(client, "unavailable")
        logger.warning("users cannot be asked about: %s", why)
        if isinstance(why, Busy):
            raise Unsettled
        _, mode = self._teller.failed(Point.GATE, client)
        if mode is FailMode.CLOSED:
            raise Unsettled

    def count(self, client: IPAddress, outcome: str) -> None:
        """Count what came of asking."""
        self._teller.authentication(client, outcome)
