"""What an answer tells leads to the event that the attempt is counted in."""

from __future__ import annotations

import asyncio
import re
from ipaddress import ip_address

import dns.edns
import dns.message
import pytest

from sumun.sinkhole import tally as module
from sumun.sinkhole.handler import Handler
from sumun.sinkhole.outcome import Answer
from sumun.sinkhole.responder import Responder
from sumun.sinkhole.tally import Tally
from sumun.telemetry.incident import NO_ID
from sumun.telemetry.recorder import Recorder
from tests.support.builders import NOON, three_segments
from tests.unit.sinkhole.asking import PAGES, ask, errors, query, responder
from tests.unit.sinkhole.test_handler import Echoing
from tests.unit.telemetry.fakes import Counted, FakeSink

NAME = "chat.deepseek.com"


class Bench:
    """A handler with a real recorder behind it."""

    def __init__(self) -> None:
        self.counted, self.sink = Counted(), FakeSink()
        self.recorder = Recorder(self.counted.metrics, [self.sink], clock=lambda: NOON)
        self.tally, policy = Tally(self.counted.metrics, self.recorder), three_segments()
        self.handler = Handler(
            responder=Responder(policy=lambda: policy, pages=PAGES),
            upstream=Echoing(),
            tally=self.tally,
            clock=lambda: NOON,
        )

    def told(self, wire: bytes, client: str = "127.0.0.3", protocol: str = "udp") -> str:
        """Ask the slow way."""
        replies: list[bytes | None] = []
        self.handler.handle(wire, ip_address(client), protocol, replies.append)  # type: ignore[arg-type]  # a literal
        assert replies[0]
        return incident(replies[0])

    def told_by_look_up(self, wire: bytes, client: bytes) -> str:
        """Ask the way that a listener does for many at once."""
        tables, at = self.handler.ready_tables()
        answer = tables[client][wire[2:]]
        octets = self.handler.incident(client, answer, at)
        self.handler.answered([client], [answer], [], at, 0.001)
        return incident(wire[:2] + answer.telling(octets))

    def events(self) -> dict[str, int]:
        """Counts by id; ids are unique, or it fails."""
        self.handler.settle()
        self.recorder.close()
        found = [(document["event"]["id"], document["sumun"]["count"]) for document in self.sink.documents]
        assert len(dict(found)) == len(found)
        return dict(found)


def incident(wire: bytes) -> str:
    ((_, text),) = errors(dns.message.from_wire(wire))
    match = re.search(r"incident ([0-9A-Z-]{19})", text)
    assert match
    return match[1]


def run(scenario: object) -> Bench:
    async def main() -> Bench:
        bench = Bench()
        scenario(bench)  # type: ignore[operator]  # a function of the test
        await bench.handler.drain(1)
        return bench

    return asyncio.run(main())


def test_all_that_a_client_asks_for_anew_is_one_incident() -> None:
    """Whether the octets are the same, a cookie differs, or the answer is given by look-up."""
    told: list[str] = []

    def scenario(it: Bench) -> None:
        plain = query(NAME, use_edns=0)
        cookies = [dns.edns.GenericOption(10, bytes([n] * 8)) for n in range(3)]
        told.extend(it.told(plain) for _ in range(2))
        told.extend(it.told(query(NAME, use_edns=0, options=[cookie])) for cookie in cookies)
        told.extend(it.told_by_look_up(plain, ip_address("127.0.0.3").packed) for _ in range(4))
        told.append(it.told_by_look_up(plain, bytes(10) + b"\xff\xff" + ip_address("127.0.0.3").packed))

    bench = run(scenario)
    assert len(told) == 10
    assert bench.events() == {told[0]: 10}
    assert set(told) == {told[0]}
    assert bench.counted.total("sumun_decisions_total") == 10


def test_each_client_name_type_and_transport_has_an_incident_of_its_own() -> None:
    told: list[str] = []

    def scenario(it: Bench) -> None:
        wire = query(NAME, use_edns=0)
        told.extend(it.told(wire, client) for client in ("127.0.0.3", "10.20.0.7"))
        told.append(it.told(wire, protocol="tcp"))
        told.append(it.told(query(NAME, "AAAA", use_edns=0)))
        told.append(it.told(query("api.deepseek.com", use_edns=0)))

    assert run(scenario).events() == dict.fromkeys(told, 1)
    assert len(set(told)) == 5
    assert NO_ID not in told


def test_after_it_is_handed_on_the_next_is_a_fresh_one() -> None:
    told: list[str] = []

    def scenario(it: Bench) -> None:
        for _ in range(2):
            told.extend(it.told(query(NAME, use_edns=0)) for _ in range(2))
            it.tally._hand_on()
            told.append(it.told(query(NAME, use_edns=0)))
            it.handler.settle()

    bench = run(scenario)
    assert told[0] == told[1] == told[2], "nothing is handed on within the second in which it may be told again"
    assert told[3] == told[4] == told[5] != told[0]
    assert bench.events() == {told[0]: 3, told[3]: 3}


def test_a_flood_of_told_incidents_is_bounded_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_OPEN", 50)

    def scenario(it: Bench) -> None:
        answer = ask(responder(three_segments()), query(NAME, use_edns=0), "127.0.0.3")
        assert isinstance(answer, Answer)
        for n in range(500):
            it.tally.incident(n.to_bytes(4), answer, NOON)
            it.tally.batch([n.to_bytes(4)], [answer], [], NOON, 0.001)
        it.tally._hand_on()
        assert len(it.tally._told) <= 50
        assert len(it.tally._told_by_answer) <= 50

    bench = run(scenario)
    assert sum(bench.events().values()) == 500 == bench.counted.total("sumun_decisions_total")


def test_who_speaks_no_edns_is_told_nothing_and_counted_all_the_same() -> None:
    def scenario(it: Bench) -> None:
        for _ in range(3):
            it.handler.handle(query(NAME), ip_address("127.0.0.3"), "udp", lambda _: None)

    assert list(run(scenario).events().values()) == [3]


def test_a_name_that_looks_like_an_incident_is_left_alone() -> None:
    """The place is found from the end, where nothing of the client's stands."""
    name = f"{NO_ID}.deepseek.com"
    answer = ask(responder(three_segments()), query(name, use_edns=0), "127.0.0.3")
    assert isinstance(answer, Answer)
    message = dns.message.from_wire(b"\0\0" + answer.telling(b"1KA8-PGF8-T1V3-2R40"))
    assert message.question[0].name.to_text() == f"{name}."
    assert errors(message) == [(15, "blocked by rule no-generative-ai, incident 1KA8-PGF8-T1V3-2R40: Deepseek")]
    stranger = ask(responder(three_segments()), query(name, use_edns=0), "192.0.2.9")
    assert isinstance(stranger, Answer)
    assert stranger.incident_at == 0
