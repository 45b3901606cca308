"""Fetches a list over HTTPS: conditional, bounded in size, time and redirections, through our own resolvers.

The names of list servers are resolved by ``resolve``, not by the host: where Sumun is the host's only resolver, its
lists would otherwise wait for its lists.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from sumun.config.fault import Unreadable, quoted
from sumun.config.values import list_url
from sumun.loading.exchange import Answer, Exchange, Target
from sumun.loading.gzipped import unpacked
from sumun.loading.outcome import NotTaken, Outcome
from sumun.model.name import DomainName, InvalidName, IPAddress, parse_host

type Resolve = Callable[[DomainName], Awaitable[Sequence[IPAddress]]]
"""Addresses of a host; whatever it raises means that there are none."""
type Progress = Callable[[int, int | None], object]
"""Told the octets received, and how many there will be where that is known."""

_REDIRECTIONS = frozenset({301, 302, 303, 307, 308})
_ADDRESSES_TRIED = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of somebody else's behaviour is borne."""

    octets: int = 64_000_000
    """Before and after decompression: a million names take 20 million."""
    seconds: float = 120.0
    """For one attempt, from the first look-up to the last octet."""
    connect: float = 10.0
    """For one address."""
    redirections: int = 5
    attempts: int = 3
    pause: float = 1.0
    """Seconds before the second attempt, doubled before each further one, with jitter."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What makes a request conditional (RFC 9110, 8.8)."""

    etag: str = ""
    last_modified: str = ""


NO_VALIDATORS = Validators()
USUAL = Limits()


@dataclass(frozen=True, slots=True)
class Fetched:
    """A body, decompressed."""

    octets: bytes
    content_type: str = ""
    validators: Validators = Validators()


def unseen(_received: int, _total: int | None) -> None:
    """Nobody watches the progress."""


class Fetcher:
    """Fetches; ``proxy_for`` gives the HTTP proxy for a host, as a URL, or an empty text."""

    def __init__(
        self,
        resolve: Resolve,
        tls: ssl.SSLContext,
        *,
        proxy_for: Callable[[str], str] = lambda _host: "",
        limits: Limits = USUAL,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._resolve, self._tls, self._proxy_for = resolve, tls, proxy_for
        self._limits, self._pause = limits, pause

    async def fetch(
        self, url: str, known: Validators = NO_VALIDATORS, *, limit: int | None = None, progress: Progress = unseen
    ) -> Fetched | None:
        """The body at a URL, None if it is what ``known`` stands for; raises NotTaken, and nothing else."""
        octets = min(limit or self._limits.octets, self._limits.octets)
        for attempt in range(1, self._limits.attempts + 1):
            try:
                return await self._within_time(url, known, octets, progress)
            except NotTaken as trouble:
                if not trouble.passing or attempt == self._limits.attempts:
                    raise
            await self._pause(self._limits.pause * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load, hides nothing
        raise AssertionError("an attempt either returns or raises")

    async def _within_time(self, url: str, known: Validators, limit: int, progress: Progress) -> Fetched | None:
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await self._follow(url, known, limit, progress)
        except TimeoutError:
            raise NotTaken(Outcome.TOO_SLOW, f"not finished within {self._limits.seconds:g} s") from None

    async def _follow(self, url: str, known: Validators, limit: int, progress: Progress) -> Fetched | None:
        seen = [url]
        while True:
            answer = await self._get(seen[-1], known, limit, progress)
            if answer.status not in _REDIRECTIONS:
                return _body(answer, limit)
            seen.append(self._next(seen, answer.field("location")))

    def _next(self, seen: Sequence[str], location: str) -> str:
        url = urljoin(seen[-1], location)
        if not location or url in seen:
            raise NotTaken(Outcome.REDIRECTED, f"redirected in a circle to {quoted(url)}")
        if len(seen) > self._limits.redirections:
            raise NotTaken(Outcome.REDIRECTED, f"redirected more than {self._limits.redirections} times")
        if url.startswith("http:") and seen[0].startswith("https:"):
            raise NotTaken(Outcome.REDIRECTED, f"redirected to {quoted(url)}, which anybody on the way could change")
        try:
            return list_url(url)
        except Unreadable as why:
            raise NotTaken(Outcome.REDIRECTED, f"redirected: {why}") from None

    async def _get(self, url: str, known: Validators, limit: int, progress: Progress) -> Answer:
        target = Target.of(url)
        proxy = "" if target.plain else self._proxy_for(target.host)
        exchange = await self._connect(target, proxy)
        try:
            return await exchange.get(target, _conditions(known), limit, progress)
        finally:
            await exchange.close()

    async def _connect(self, target: Target, proxy: str) -> Exchange:
        if not proxy:
            return await self._to_any(target, None if target.plain else self._tls)
        gate = Target.of(proxy)
        exchange = await self._to_any(gate, None)
        try:
            await exchange.tunnel(target, urlsplit(proxy), self._tls)
        except BaseException:
            await exchange.close()
            raise
        return exchange

    async def _to_any(self, target: Target, tls: ssl.SSLContext | None) -> Exchange:
        """A connection to the first address that takes one."""
        faults = []
        for address in await self._addresses(target.host):
            try:
                async with asyncio.timeout(self._limits.connect):
                    return await Exchange.open(address, target, tls)
            except TimeoutError:
                faults.append(f"`{address}`: no answer")
            except OSError as why:  # also ssl.SSLError
                faults.append(f"`{address}`: {_reason(why)}")
        raise NotTaken(Outcome.UNREACHABLE, f"connecting to `{target.host}`: {'; '.join(faults)}")

    async def _addresses(self, host: str) -> Sequence[IPAddress]:
        try:
            name = parse_host("127.0.0.1" if host == "localhost" else f"[{host}]" if ":" in host else host)
        except InvalidName as why:
            raise NotTaken(Outcome.UNREACHABLE, f"`{host}`: {why}") from None
        if not isinstance(name, DomainName):
            return [name]
        try:
            found = await self._resolve(name)
        except Exception as why:
            raise NotTaken(Outcome.UNREACHABLE, f"resolving `{host}`: {why}") from why
        if not found:
            raise NotTaken(Outcome.UNREACHABLE, f"resolving `{host}`: it has no address")
        return found[:_ADDRESSES_TRIED]


def _conditions(known: Validators) -> list[tuple[str, str]]:
    pairs = (("If-None-Match", known.etag), ("If-Modified-Since", known.last_modified))
    return [(name, value) for name, value in pairs if value]


def _body(answer: Answer, limit: int) -> Fetched | None:
    if answer.status == 304:
        return None
    if answer.status != 200:
        passing = answer.status >= 500 or answer.status == 429
        raise NotTaken(Outcome.STATUS, f"the server answered {answer.status} in place of the list", passing=passing)
    octets = unpacked(answer.octets, answer.field("content-encoding"), limit)
    validators = Validators(answer.field("etag"), answer.field("last-modified"))
    return Fetched(octets, answer.field("content-type"), validators)


def _reason(why: OSError) -> str:
    if isinstance(why, ssl.SSLCertVerificationError):
        return f"certificate does not hold: {why.verify_message}"
    return (why.strerror or str(why) or "closed the connection").lower()
