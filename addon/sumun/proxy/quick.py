"""Answers plain requests that are stopped, at the gate: mitmproxy's layers, hooks and tasks cost more than a page.

What is decided, told and shown is the http point's affair, as it is for mitmproxy's hooks, and the request is read by
mitmproxy's own parser. Only the connection is kept here, as mitmproxy keeps it.

Rule 1: whatever is not entirely clear is mitmproxy's, with every octet that was read.
Rule 2: nothing is told or counted of a request that is handed over.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import Any

from mitmproxy import http
from mitmproxy.net.http import http1, url
from mitmproxy.proxy.layers.http import HTTPMode, validate_request

from sumun.model.name import IPAddress
from sumun.model.parents import is_parent
from sumun.model.rule import IPNetwork
from sumun.model.segment import Authenticate
from sumun.model.verdict import Point
from sumun.policy.engine import Policy
from sumun.proxy import messages, translate
from sumun.proxy.authentication import Authentication
from sumun.proxy.caller import IDLE, Caller
from sumun.proxy.forms import Forms
from sumun.proxy.http_point import HttpPoint
from sumun.proxy.hygiene import head_flaw
from sumun.proxy.memo import ENTRIES, LIFE
from sumun.proxy.opening import LIMIT, Unreadable
from sumun.proxy.telling import Teller

logger = logging.getLogger(__name__)

_BODY_TIME = 15.0
"""Seconds for which the rest of a small body is waited for, before that is left to mitmproxy."""
_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request is answered."""

    octets: bytes
    size: int
    """Octets that the request took, its body included."""
    closes: bool
    """Whether the connection ends with it."""


@dataclass(frozen=True, slots=True)
class _Client:
    peername: tuple[str, int]
    sni: None = None


@dataclass(frozen=True, slots=True)
class _Nowhere:
    """A request that came through no tunnel."""

    address: None = None


@dataclass(slots=True)
class _Flow:
    """What the http point looks at of a request."""

    request: http.Request
    client_conn: _Client
    server_conn: _Nowhere = _Nowhere()
    response: http.Response | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


class _Stopwatch(AbstractContextManager["_Stopwatch"]):
    """Takes the time, for whoever may want it later."""

    seconds = 0.0

    def __enter__(self) -> _Stopwatch:
        self.seconds = -perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += perf_counter()


class _Passed:
    """Which client went where a moment ago without being stopped here: nothing is decided by it, only time is saved.

    Whatever mitmproxy is given needlessly is judged there.
    """

    def __init__(self) -> None:
        self._policy: Policy | None = None
        self._until: dict[tuple[str, str], datetime] = {}

    def lately(self, teller: Teller, flow: _Flow) -> bool:
        until = self._until.get((flow.client_conn.peername[0], flow.request.host))
        return until is not None and teller.clock() < until and teller.policy() is self._policy

    def note(self, teller: Teller, flow: _Flow) -> None:
        policy = teller.policy()
        if policy is not self._policy or len(self._until) >= ENTRIES:
            self._policy = policy
            self._until.clear()
        self._until[flow.client_conn.peername[0], flow.request.host] = teller.clock() + LIFE


@dataclass(frozen=True, slots=True)
class Quick:
    """Attends to plain HTTP until something else is asked for than what is stopped."""

    point: HttpPoint
    forms: Forms | None = None
    authentication: Authentication | None = None
    trusted: tuple[IPNetwork, ...] = ()
    """Parents that are believed when they tell whose request it is."""
    head: int = LIMIT
    """Octets that a request head may have."""
    passed: _Passed = field(default_factory=_Passed)

    async def attend(self, caller: Caller, *, is_proxy: bool) -> bool:
        """Answer request after request; True: the connection has ended, False: what comes now is mitmproxy's."""
        while True:
            try:
                said = await caller.read(_anything, within=IDLE)
            except (Unreadable, TimeoutError):
                caller.close()
                return True
            finally:
                caller.is_idle = None
            answer = None if self._has_to_ask(caller, is_proxy) else await self._answer(caller, said)
            if answer is None:
                return False
            caller.forget(answer.size)
            if not await caller.deliver(answer.octets, within=IDLE) or answer.closes:
                caller.close()
                return True
            if len(said) > answer.size:
                await caller.give_way()
            caller.is_idle = _always

    def _has_to_ask(self, caller: Caller, is_proxy: bool) -> bool:
        """Whether who the user is has to be found out first, or was."""
        asking = self.authentication
        if asking is None or not (is_proxy or caller.asked):
            return False
        named = caller.asked or is_parent(caller.client, self.trusted)
        return named or asking.mode(caller.client) is not Authenticate.NONE

    async def _answer(self, caller: Caller, said: bytes) -> Answer | None:
        answer = self.answer(said, caller.client)
        if not isinstance(answer, int):
            return answer
        size = answer
        if size > LIMIT:
            return None
        try:
            said = await caller.read(lambda said: said if len(said) >= size else None, within=_BODY_TIME)
        except (Unreadable, TimeoutError):
            return None
        answer = self.answer(said, caller.client)  # policy may have changed
        return None if isinstance(answer, int) else answer

    def answer(self, said: bytes, client: IPAddress) -> Answer | int | None:
        """Answer the request that begins here; None: it is mitmproxy's; a number: so many octets are needed first."""
        end = said.find(_END)
        if end < 0 or end > self.head or head_flaw(head := said[: end + len(_END)]):
            return None
        flow = _flow(head, client)
        if flow is None or (self.forms and self.forms.takes(flow)):
            return None
        timer, teller = _Stopwatch(), self.point.teller
        try:
            if self.passed.lately(teller, flow):
                return None
            facts = self.point.read_head(flow, self.trusted)
            judgement = self.point.judge(flow, facts, timer)
            if not judgement.is_page:
                self.passed.note(teller, flow)
                return None
        except Exception:  # noqa: BLE001 - mitmproxy's hooks meet the same, log it, and end as the segment says
            return None
        size = len(head) + (translate.declared_size(flow.request) or 0)
        if size > len(said):
            return size
        teller.metrics.decision_duration.labels(Point.HTTP).observe(timer.seconds)
        try:
            self.point.act(judgement, facts, whole=False)
        except Exception:
            logger.exception("answering failed")
            self.point.fail(flow)
        return _framed(flow, size)


def _flow(head: bytes, client: IPAddress) -> _Flow | None:
    """Read a head without flaw as mitmproxy does, for which this is a proxy; None: it means more than it says."""
    try:
        request = messages.request(head)
        if not request.host:
            _lead_to_host(request)
    except ValueError:
        return None
    headers = request.headers
    if request.method.upper() == "CONNECT" or "expect" in headers or "transfer-encoding" in headers:
        return None
    if validate_request(HTTPMode.regular, request, validate_inbound_headers=True):
        return None
    request.authority = ""
    return _Flow(request, _Client((str(client), 0)))


def _lead_to_host(request: http.Request) -> None:
    """A request in origin form is for the host that it names; raises ValueError."""
    host, port = url.parse_authority(request.host_header or "", check=True)
    request.data.host, request.data.port, request.scheme = host, 80 if port is None else port, "http"


def _framed(flow: _Flow, size: int) -> Answer | None:
    request, response = flow.request, flow.response
    if response is None:
        return None
    closes = any(http1.connection_close(message.http_version, message.headers) for message in (request, response))
    return Answer(http1.assemble_response(response), size, closes)


def _anything(said: bytes) -> bytes | None:
    return said or None


def _always() -> bool:
    return True
