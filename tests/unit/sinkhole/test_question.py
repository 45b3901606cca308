from __future__ import annotations

import dns.message
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sumun.model.name import InvalidName
from sumun.sinkhole.question import Question, parsed, plain_question
from tests.unit.sinkhole.asking import query

ODD = query("a\\.b\\000.test", "TYPE65280")
PLAIN = query("Chat.DeepSeek.com", "HTTPS", use_edns=0, payload=4096, want_dnssec=True)


@pytest.mark.parametrize(
    "wire",
    [
        PLAIN,
        query("www.example.test"),
        query(".", "NS"),
        query("x." * 126 + "x"),
        query("a\\.b\\000.test", "TYPE65280"),
    ],
    ids=["edns", "plain", "root", "longest", "odd octets"],
)
def test_the_usual_shapes_are_read_without_the_general_parser(wire: bytes) -> None:
    assert isinstance(plain_question(wire), Question)
    assert plain_question(wire) == parsed(wire)


@pytest.mark.parametrize(
    "wire",
    [
        query("a.test", use_edns=0, options=[dns.edns.GenericOption(10, b"12345678")]),
        query("a.test", use_edns=1),
        query("version.bind", "TXT", rdclass="CH"),
        PLAIN + b"\0",
        PLAIN[:-1],
    ],
    ids=["option", "version", "class", "longer", "shorter"],
)
def test_everything_else_is_left_to_it(wire: bytes) -> None:
    assert plain_question(wire) is None


@given(st.data())
@example(None)
def test_the_two_readers_agree(data: st.DataObject | None) -> None:
    """Guards the short cut: whatever it takes, the general parser reads alike."""
    wire = bytearray(PLAIN)
    if data is not None:
        for at, octet in data.draw(
            st.lists(st.tuples(st.integers(0, len(PLAIN) - 1), st.integers(0, 255)), max_size=4)
        ):
            wire[at] = octet
        del wire[data.draw(st.sampled_from([len(PLAIN), *range(12, len(PLAIN))])) :]
    try:
        read = plain_question(bytes(wire))
    except InvalidName:
        raise AssertionError("a name too long must be left to the general parser") from None
    assert read is None or read == parsed(bytes(wire))
