from ipaddress import ip_address

import pytest

from sumun.model.decision import Decision, Undetermined
from sumun.model.name import DomainName
from sumun.model.rule import Action
from sumun.model.verdict import Verdict
from sumun.policy.verdicts import gate_verdict
from sumun.proxy.destination import Destination
from sumun.proxy.ruling import NO_SERVER_NAME, SNI_MISMATCH, Ruling, decide_all, gate_ruling, strictest
from tests.support.builders import CHATGPT, DEEPSEEK, NOON, policy, request, rule, segment, three_segments

CLIENT = ip_address("10.20.0.7")
POLICY = three_segments()


def to(host: str, port: int = 443) -> Destination:
    return Destination(DomainName.parse(host), port)


def test_one_name_is_ruled_as_policy_says() -> None:
    for host, verdict in (("chat.deepseek.com", Verdict.INTERCEPTED), ("example.test", Verdict.SPLICED)):
        ruled = gate_ruling(POLICY, CLIENT, to(host), at=NOON)
        assert ruled.verdict is verdict is gate_verdict(ruled.ruling.outcome)
        assert ruled == gate_ruling(POLICY, CLIENT, to(host), DomainName.parse(host), at=NOON)


def test_another_server_name_is_refused_and_the_stricter_name_is_told() -> None:
    for connect, sni in (("example.test", "chat.deepseek.com"), ("chat.deepseek.com", "example.test")):
        ruled = gate_ruling(POLICY, CLIENT, to(connect), DomainName.parse(sni), at=NOON)
        assert (ruled.verdict, ruled.bypass) == (Verdict.REFUSED, SNI_MISMATCH)
        assert str(ruled.ruling.request.name) == "chat.deepseek.com"
        assert ruled.ruling.is_logged


def test_a_server_name_tells_more_of_an_address() -> None:
    literal = Destination(ip_address("198.51.100.1"), 443)
    ruled = gate_ruling(POLICY, CLIENT, literal, DomainName("chat.deepseek.com"), at=NOON)
    assert ruled.verdict is Verdict.INTERCEPTED
    assert ruled.ruling.request.address == literal.host


def test_nothing_at_all_is_closed() -> None:
    ruled = gate_ruling(POLICY, CLIENT, None, at=NOON)
    assert (ruled.verdict, ruled.bypass, ruled.ruling.is_logged) == (Verdict.CLOSED, NO_SERVER_NAME, False)


def test_a_stranger_is_refused_before_anything_else() -> None:
    stranger = ip_address("192.0.2.1")
    for ruled in (
        gate_ruling(POLICY, stranger, None, at=NOON),
        gate_ruling(POLICY, stranger, to("a.test"), DomainName("b.test"), at=NOON),
    ):
        assert (ruled.verdict, ruled.bypass) == (Verdict.REFUSED, None)


@pytest.mark.parametrize("order", [1, -1])
def test_the_strictest_reading_holds_whatever_the_order(order: int) -> None:
    mixed = policy(
        segment(
            "all", "10.0.0.0/8",
            rules=[
                rule("block", "block", domains=["block.test"]),
                rule("warn", "warn", domains=["warn.test"]),
                rule("own", "allow", services=["chatgpt"], tenant=(("X", "y"),)),
                rule("models", "block", services=["deepseek"], models=("r1",)),
                rule("watch", "monitor", domains=["watch.test"]),
            ],
        ),
        services=[DEEPSEEK, CHATGPT],
    )  # fmt: skip
    ranked = ["plain.test", "watch.test", "chatgpt.com", "deepseek.com", "warn.test", "block.test"]
    for at, name in enumerate(ranked):
        asked = [request("10.0.0.1", each) for each in ranked[: at + 1]][::order]
        ruled = decide_all(mixed, asked, at=NOON)
        assert str(ruled.request.name) == name
    assert isinstance(decide_all(mixed, [request("10.0.0.1", "deepseek.com")], at=NOON).outcome, Undetermined)


def test_of_equals_the_first_is_told() -> None:
    asked = [Ruling(request("10.0.0.1", name), POLICY.decide(request("10.0.0.1", name), at=NOON)) for name in "ab"]
    assert strictest(asked) is asked[0]
    assert isinstance(asked[0].outcome, Decision)
    assert asked[0].outcome.action is not Action.ALLOW or not asked[0].is_logged
