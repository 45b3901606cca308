"""Each format: entries, refusals, and nothing lost in between."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumun.catalogue.guard import Guard
from sumun.catalogue.lists import FORMATS, MAX_LINE, Refused, format_of, parse_list
from sumun.model.listed import Entry, Hold
from sumun.model.name import DomainName, parse_host
from sumun.model.service import Match, Pattern

SUFFIX, EXACT, GLOB = Match.SUFFIX, Match.EXACT, Match.GLOB


def entries(text: str, format_: str) -> list[tuple[str, Match]]:
    return [(i.pattern.text, i.pattern.match) for i in parse_list(text, format_) if isinstance(i, Entry)]


def refusals(text: str, format_: str) -> list[Refused]:
    return [item for item in parse_list(text, format_) if isinstance(item, Refused)]


@pytest.mark.parametrize(
    ("format_", "line", "expected"),
    [
        ("domains", "Example.COM.", [("example.com", SUFFIX)]),
        ("domains", "  example.com  # why", [("example.com", SUFFIX)]),
        ("domains", "*.example.com", [("example.com", SUFFIX)]),
        ("domains", ".example.com", [("example.com", SUFFIX)]),
        ("domains", "*-api.example.com", [("*-api.example.com", GLOB)]),
        ("domains", "bücher.example", [("xn--bcher-kva.example", SUFFIX)]),
        ("domains", "\ufeffexample.com\r", [("example.com", SUFFIX)]),
        ("domains", "# example.com", []),
        ("domains", "", []),
        ("hosts", "0.0.0.0 a.example b.example # both", [("a.example", EXACT), ("b.example", EXACT)]),
        ("hosts", "::\ta.example", [("a.example", EXACT)]),
        ("hosts", "fe80::1%lo0 localhost", []),
        ("adblock", "||a.example^", [("a.example", SUFFIX)]),
        ("adblock", "||a.example^$important", [("a.example", SUFFIX)]),
        ("adblock", "a.example", [("a.example", EXACT)]),
        ("adblock", "|a.example^", [("a.example", EXACT)]),
        ("adblock", "! a.example", []),
        ("adblock", "[Adblock Plus 2.0]", []),
        ("dnsmasq", "address=/a.example/b.example/0.0.0.0", [("a.example", SUFFIX), ("b.example", SUFFIX)]),
        ("dnsmasq", "address=/a.example/#", [("a.example", SUFFIX)]),
        ("dnsmasq", "local=/a.example/", [("a.example", SUFFIX)]),
        ("unbound", '  local-zone: "a.example." always_nxdomain # why', [("a.example", SUFFIX)]),
        ("unbound", "server:", []),
        ("dstdomain", ".a.example", [("a.example", SUFFIX)]),
        ("dstdomain", "a.example", [("a.example", EXACT)]),
        ("rpz", "a.example CNAME .", [("a.example", EXACT)]),
        ("rpz", "*.a.example 60 IN CNAME *. ; why", [("a.example", SUFFIX)]),
        ("rpz", "a.example IN A 192.0.2.1", [("a.example", EXACT)]),
        ("rpz", "@ 3600 IN SOA localhost. root.localhost. (", []),
        ("rpz", "    2026112201 ; serial", []),
        ("rpz", "$ORIGIN rpz.example.", []),
        ("urls", "https://user:pw@A.example:8443/", [("a.example", EXACT)]),
        ("urls", "http://a.example", [("a.example", EXACT)]),
        ("v2fly", "a.example @cn &other", [("a.example", SUFFIX)]),
        ("v2fly", "domain:a.example", [("a.example", SUFFIX)]),
        ("v2fly", "full:a.example", [("a.example", EXACT)]),
    ],
)
def test_reads(format_: str, line: str, expected: list[tuple[str, Match]]) -> None:
    assert entries(line, format_) == expected


@pytest.mark.parametrize(
    ("format_", "line", "why"),
    [
        ("domains", "com", "has no dot"),
        ("domains", "*.com", "has no dot"),
        ("domains", ".", "empty"),
        ("domains", "co.kr", "covers domains of many owners"),
        ("domains", "github.io", "covers domains of many owners"),
        ("domains", "192.0.2.1", "is an address"),
        ("domains", "0x7f.1", "is an address"),
        ("domains", "2001:db8::1", "characters that no host name has"),
        ("domains", "a.*.com", "could match names of many owners"),
        ("domains", "<html>.example", "characters that no host name has"),
        ("domains", "0.0.0.0 a.example", "another format?"),
        ("domains", "a" * 64 + ".example", "longer than 63 octets"),
        ("domains", "x" * (MAX_LINE + 1), "longer than 4096 characters"),
        ("hosts", "0.0.0.0", "without a name"),
        ("hosts", "127.0.0.1 localhost", "has no dot"),
        ("hosts", "203.0.113.7 a.example", "is a real address"),
        ("hosts", "a.example", "is no address"),
        ("hosts", "0.0.0.0 *.a.example", "a pattern where one host name is expected"),
        ("adblock", "@@||*-a.b.example^", "would spare less than it says"),
        ("adblock", "@@||com^", "has no dot"),
        ("adblock", "@@||a.example^$dnstype=A", "`dnstype=A` asks for some record types only"),
        ("adblock", "||a.example^$dnstype=~AAAA", "`dnstype=~AAAA` asks for some record types only"),
        ("adblock", "||a.example^$client=127.0.0.1", "write a rule with `clients`"),
        ("adblock", "||a.example^$dnsrewrite=NOERROR;;", "another answer"),
        ("adblock", "||a.example^$badfilter", "takes back another line"),
        ("adblock", "||a.example^$denyallow", "needs names"),
        ("adblock", "||a.example^$denyallow=b..a.example", "empty label"),
        ("adblock", "||a.example^$denyallow=*.a.example", "needs names"),
        ("adblock", "||a.example^$denyallow=" + "|".join(f"n{n}.a.example" for n in range(17)), "more than 16 names"),
        ("adblock", "||a.example^$third-party", "`third-party` narrows"),
        ("adblock", "||a.examp", "only `||name^`"),
        ("adblock", "||a.example/path^", "characters that no host name has"),
        ("adblock", "a.example##.banner", "characters that no host name has"),
        ("dnsmasq", "address=/a.example/203.0.113.7", "is a real address"),
        ("dnsmasq", "address=/*.a.example/#", "leaves out the name itself"),
        ("dnsmasq", "server=203.0.113.7", "no option that sends a name nowhere"),
        ("dnsmasq", "address=/#/0.0.0.0", "characters that no host name has"),
        ("unbound", 'local-zone: "a.example" redirect', "neither blocks the whole zone nor lets it pass"),
        ("unbound", 'local-data: "a.example A 0.0.0.0"', "no `local-zone`"),
        ("urls", "https://a.example/page", "address of one page"),
        ("urls", "https://a.example?q", "address of one page"),
        ("urls", "ftp://a.example/", "no address that begins"),
        ("urls", "https://203.0.113.7/", "is an address"),
        ("v2fly", "keyword:deepseek", "`keyword:` names no domain"),
        ("v2fly", "include:openai", "`include:` names no domain"),
        ("v2fly", "regexp:.*", "`regexp:` names no domain"),
        ("v2fly", "a.example b.example", "more than one name"),
    ],
)
def test_refuses_with_number_and_reason(format_: str, line: str, why: str) -> None:
    (refused,) = refusals(f"# first\n{line}\n" if format_ != "adblock" else f"! first\n{line}\n", format_)
    assert refused.line == 2
    assert why in refused.why
    assert entries(line, format_) == []


@pytest.mark.parametrize(
    ("format_", "line", "expected"),
    [
        ("adblock", "@@||a.example^", Entry(Pattern("a.example"), Hold.EXCEPTED)),
        ("adblock", "@@|a.example^", Entry(Pattern("a.example", EXACT), Hold.EXCEPTED)),
        ("adblock", "@@a.example", Entry(Pattern("a.example", EXACT), Hold.EXCEPTED)),
        ("adblock", "||a.example^$important", Entry(Pattern("a.example"), Hold.IMPORTANT)),
        ("adblock", "@@||a.example^$important", Entry(Pattern("a.example"), Hold.ALWAYS_EXCEPTED)),
        ("adblock", "||a.example^$all, denyallow=B.a.example|c.a.example",
         Entry(Pattern("a.example"), Hold.LISTED, ("b.a.example", "c.a.example"))),
        ("rpz", "a.example CNAME rpz-passthru.", Entry(Pattern("a.example", EXACT), Hold.SPARED)),
        ("rpz", "*.a.example 60 IN CNAME RPZ-PASSTHRU.", Entry(Pattern("a.example"), Hold.SPARED)),
        ("rpz", "A.example CNAME a.example.", Entry(Pattern("a.example", EXACT), Hold.SPARED)),
        ("unbound", 'local-zone: "a.example" always_transparent', Entry(Pattern("a.example"), Hold.SPARED)),
        ("dnsmasq", "server=/a.example/#", Entry(Pattern("a.example"), Hold.SPARED)),
        ("dnsmasq", "local=/a.example/#", Entry(Pattern("a.example"), Hold.SPARED)),
    ],
)  # fmt: skip
def test_exceptions_are_read_as_what_they_are(format_: str, line: str, expected: Entry) -> None:
    assert list(parse_list(line, format_)) == [expected]


def test_attributes_of_v2fly_say_nothing_about_blocking() -> None:
    """`@cn`, `@!cn` and `@ads` mark domains for whoever takes a part of the file; a subscription takes it whole."""
    assert entries("a.example @cn\nb.example @!cn @ads\n", "v2fly") == [("a.example", SUFFIX), ("b.example", SUFFIX)]
    assert refusals("include:google @-cn\n", "v2fly")[0].line == 1


def test_an_exception_may_spare_what_others_need() -> None:
    guard = Guard([DomainName("login.a.example")])
    text = "||a.example^\n@@||login.a.example^\n||login.a.example^$important\n"
    found = list(parse_list(text, "adblock", guard))
    assert [type(item) for item in found] == [Refused, Entry, Refused]


def test_one_bad_name_in_a_line_does_not_take_the_others_with_it() -> None:
    """A line of /etc/hosts often begins with localhost."""
    items = list(parse_list("0.0.0.0 a.example localhost b.example", "hosts"))
    assert [i.pattern.text for i in items if isinstance(i, Entry)] == ["a.example", "b.example"]
    assert len([i for i in items if isinstance(i, Refused)]) == 1


def test_a_refused_line_is_shown_short_and_without_control_characters() -> None:
    (refused,) = refusals("a\x1b[31m" + "b" * 500, "domains")
    assert refused.text.startswith("a\\x1b[31m")
    assert len(refused.text) < 150


def test_names_of_unicode_line_ends_do_not_shift_the_count() -> None:
    assert [r.line for r in refusals("a.example\x85\u2028com\ncom\n", "domains")][-1] == 2


lines = st.one_of(
    st.text(max_size=60),
    st.text(alphabet='0.:/|^$*@#!"= abcom-_\\[]xn', max_size=40),
    st.sampled_from(["||a.example^", "0.0.0.0 a.example", "local-zone: a.example deny", "full:a.example"]),
)


@pytest.mark.parametrize("format_", FORMATS)
@settings(max_examples=200, deadline=None)
@given(text=st.lists(lines, max_size=5).map("\n".join))
def test_any_text_ends_as_entries_refusals_and_comments(format_: str, text: str) -> None:
    for item in parse_list(text, format_):
        if isinstance(item, Refused):
            assert 1 <= item.line <= text.count("\n") + 1
            assert item.why
            assert item.text.isprintable()
        else:
            assert item.pattern == Pattern.parse(item.pattern.text, item.pattern.match)
            assert "." in item.pattern.text
            assert "\\" not in item.pattern.text


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="ab0-_.", min_size=1, max_size=12), st.sampled_from(["", ".example", ".e0", ".0", ".0x1"]))
def test_the_short_way_for_ordinary_names_agrees_with_the_parser(name: str, end: str) -> None:
    text = name + end
    for item in parse_list(text, "dstdomain"):
        if isinstance(item, Entry):
            match = Match.SUFFIX if text.startswith(".") else Match.EXACT
            assert item.pattern == Pattern.parse(text.removeprefix("."), match)
            assert isinstance(parse_host(text.removeprefix(".")), DomainName)


SAMPLES = {
    "adblock": "! title\n||a.example^\nb.example\n@@||c.example^\n",
    "dnsmasq": "# x\naddress=/a.example/#\nlocal=/b.example/\n",
    "domains": "# x\na.example\n*.b.example\n",
    "hosts": "127.0.0.1 localhost\n0.0.0.0 a.example\n0.0.0.0 b.example\n",
    "rpz": "$TTL 60\n@ SOA x. y. 1 2 3 4 5\n  NS x.\na.example CNAME .\n*.a.example CNAME .\n",
    "unbound": 'server:\nlocal-zone: "a.example." always_nxdomain\n',
    "urls": "https://a.example/\nhttp://b.example\n",
    "v2fly": "domain:a.example\nfull:b.example\nc.example @cn\n",
}


@pytest.mark.parametrize("format_", SAMPLES)
def test_the_format_is_told_from_the_text(format_: str) -> None:
    assert format_of(SAMPLES[format_]) == format_
    assert entries(SAMPLES[format_], "auto") == entries(SAMPLES[format_], format_) != []


def test_what_is_in_no_format_is_refused_and_not_lost() -> None:
    assert len(refusals("what is\nthis here\n", "auto")) == 2


def test_only_what_blocks_is_taken_from_a_zone() -> None:
    text = "a.example CNAME rpz-drop. x\n32.1.2.0.192.rpz-ip CNAME .\na.example TXT x\n\tCNAME .\n"
    assert [refusal.line for refusal in refusals(text, "rpz")] == [1, 2, 3, 4]
