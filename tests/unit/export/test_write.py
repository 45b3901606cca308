"""Each format: what is written reads back to the same names, and what cannot be written is told."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumun.catalogue.lists import FORMATS as READ
from sumun.catalogue.lists import parse_list
from sumun.export.formats import ALIASES, FORMATS, Format
from sumun.export.names import entries_for
from sumun.export.write import Heading, Written, write, write_list
from sumun.model.listed import Entry, Hold
from sumun.model.name import DomainName
from sumun.model.service import Match, Pattern
from sumun.policy.domain_index import DomainIndex
from tests.support import strategies
from tests.support.reference import carries, covers
from tests.unit.export.test_names import ASKED, several_globs

SUFFIX, EXACT, GLOB = Match.SUFFIX, Match.EXACT, Match.GLOB
HEADING = Heading(("what this is", "and when"), serial=7)
formats = pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)

patterns = st.frozensets(st.sampled_from(strategies.PATTERNS), max_size=8)
truths = st.integers(0, 2**40).map(lambda bits: lambda n: bool(bits >> n % 40 & 1))


@st.composite
def most_specific(draw: st.DrawFn) -> list[Entry]:
    """Entries of which the most specific counts, in their shortest form, up to five deep in each other."""
    known = draw(st.lists(st.sampled_from(strategies.PATTERNS), unique=True, max_size=8))
    drawn = [Entry(p, draw(st.sampled_from([Hold.LISTED, Hold.SPARED]))) for p in known]
    return list(entries_for(known, lambda name: carries(drawn, name)))


def is_any_label(pattern: Pattern) -> bool:
    """Its first label is an asterisk alone, which every format takes for all names below."""
    return pattern.match is GLOB and pattern.text.startswith("*.")


def read_back(written: Written, form: Format) -> list[Entry]:
    items = list(parse_list(written.text, form.name))
    entries = [item for item in items if isinstance(item, Entry)]
    assert items == entries, "no line of ours is refused"
    return entries


def test_every_format_that_is_read_is_written() -> None:
    assert FORMATS.keys() == READ.keys()
    assert set(ALIASES.values()) <= FORMATS.keys()


@formats
@settings(max_examples=200, deadline=None)
@given(entries=most_specific())
def test_never_blocks_more_than_was_asked_and_loses_nothing_silently(form: Format, entries: list[Entry]) -> None:
    written = write(entries, form, HEADING)
    back = read_back(written, form)
    for text in ASKED:
        name = DomainName(text)
        if several_globs(name):
            continue
        wanted, found = carries(entries, name), carries(back, name)
        assert wanted or not found, text
        assert found is wanted or written.losses, text


@formats
@settings(max_examples=200, deadline=None)
@given(listed=st.lists(st.sampled_from(strategies.PATTERNS), unique=True, max_size=6))
def test_a_plain_list_reads_back_to_the_same_entries(form: Format, listed: list[Pattern]) -> None:
    entries = [Entry(p) for p in listed]
    written = write_list(entries, DomainIndex((p, "l") for p in listed).lookup, form, HEADING)
    said = {e for e in entries if (e.pattern.match, True) in form.sayable and not is_any_label(e.pattern)}
    narrowed = {Entry(Pattern(e.pattern.text, EXACT)) for e in set(entries) - said if (EXACT, True) in form.sayable
                and e.pattern.match is SUFFIX}  # fmt: skip
    back = set(read_back(written, form))
    assert len(written.losses) == len(set(entries) - said)
    if form.name in ("rpz", "dstdomain"):  # a zone says each name beside its wildcard; Squid wants no name twice
        assert all(carries(list(said), DomainName(t)) == carries(list(back), DomainName(t)) for t in ASKED)
    else:
        assert back == said | narrowed


@formats
@settings(max_examples=200, deadline=None)
@given(entries=st.lists(strategies.entries, max_size=5))
def test_a_list_with_exceptions_of_every_kind_never_blocks_more(form: Format, entries: list[Entry]) -> None:
    index = DomainIndex((e.pattern, e.filed_as("l")) for e in entries)
    written = write_list(entries, index.lookup, form, HEADING)
    back = read_back(written, form)
    for text in ASKED:
        name = DomainName(text)
        if sum(covers(e.pattern, name) for e in entries if e.pattern.match is GLOB):
            continue
        assert carries(entries, name) or not carries(back, name), text
        assert carries(entries, name) is carries(back, name) or written.losses, text


@settings(max_examples=200, deadline=None)
@given(st.lists(strategies.entries.filter(lambda e: e.hold is not Hold.SPARED and e.pattern.match is not GLOB)))
def test_adblock_says_its_own_lists_as_they_are(entries: list[Entry]) -> None:
    form = FORMATS["adblock"]
    index = DomainIndex((e.pattern, e.filed_as("l")) for e in entries)
    written = write_list(entries, index.lookup, form, HEADING)
    assert read_back(written, form) == entries
    assert written.losses == ()


SAMPLE = [
    Entry(Pattern("a.test")),
    Entry(Pattern("ok.a.test"), Hold.SPARED),
    Entry(Pattern("no.ok.a.test")),
    Entry(Pattern("one.x.y.a.test", EXACT), Hold.SPARED),
    Entry(Pattern("only.test", EXACT)),
    Entry(Pattern("*-x.b.test", GLOB)),
]


@pytest.mark.parametrize(
    ("form", "lines", "lost"),
    [
        ("adblock", "||a.test^ ||no.ok.a.test^$important |only.test^ @@||ok.a.test^ @@|one.x.y.a.test^", 1),
        ("dnsmasq", "local=/a.test/ local=/no.ok.a.test/ server=/ok.a.test/# server=/one.x.y.a.test/#", 3),
        ("domains", "no.ok.a.test *-x.b.test", 2),
        ("dstdomain", ".no.ok.a.test only.test", 2),
        ("hosts", "0.0.0.0|a.test 0.0.0.0|no.ok.a.test 0.0.0.0|only.test", 3),
        ("urls", "https://a.test/ https://no.ok.a.test/ https://only.test/", 3),
        ("v2fly", "domain:no.ok.a.test full:only.test", 2),
        (
            "rpz",
            "a.test|. *.a.test|. ok.a.test|rpz-passthru. *.ok.a.test|rpz-passthru. no.ok.a.test|. *.no.ok.a.test|."
            " y.a.test|. *.y.a.test|. x.y.a.test|. *.x.y.a.test|. one.x.y.a.test|rpz-passthru. *.one.x.y.a.test|."
            " only.test|.",
            1,
        ),
    ],
)
def test_lines(form: str, lines: str, lost: int) -> None:
    written = write(SAMPLE, FORMATS[form])
    wanted = [line.replace("|", " CNAME " if form == "rpz" else " ") if form in ("rpz", "hosts") else line
              for line in lines.split()]  # fmt: skip
    assert written.text.splitlines()[3 if form == "rpz" else 0 :] == wanted
    assert len(written.losses) == lost


def test_an_exception_to_a_pattern_and_a_name_takes_both_with_it() -> None:
    entries = [
        Entry(Pattern("*-b.a.test", GLOB)),
        Entry(Pattern("x-b.a.test")),
        Entry(Pattern("x-b.a.test", EXACT), Hold.SPARED),
    ]
    written = write(entries, FORMATS["domains"])
    assert (written.entries, len(written.losses)) == ((), 2)


def test_the_heading_is_a_comment_in_every_format() -> None:
    for form in FORMATS.values():
        written = write([], form, HEADING)
        assert read_back(written, form) == []
        assert written.text.splitlines()[:2] == [f"{form.comment} what this is", f"{form.comment} and when"]


def test_a_name_that_no_file_can_hold_is_a_loss() -> None:
    entries = [Entry(Pattern("a\\032b.test")), Entry(Pattern("n" * 60 + (".m" * 95) + ".test"))]
    written = write(entries, FORMATS["rpz"])
    assert [loss.why.partition(":")[2] for loss in written.losses] == [
        " it has characters that no host name has", " too long for a name in a zone",
    ]  # fmt: skip
