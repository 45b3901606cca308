"""The part of the Adblock syntax that DNS filters use.

    ||example.com^                       the name and everything below it
    |example.com^                        the name alone; so does a bare name
    @@||www.example.com^                 an exception: wins over every block
    ||ads.example.com^$important         wins over exceptions; `@@...$important` wins over that
    ||example.net^$denyallow=a.example.net|b.example.net      without these and what is below them

As AdGuard documents it (https://adguard-dns.io/kb/general/dns-filtering-syntax/). What narrows a rule in another way is
refused: without it the line would block, or let through, more than its author asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from sumun.catalogue.line import NotAnEntry, Wanted, covering, only
from sumun.model.listed import Hold

_HARMLESS: Final = frozenset({"", "all", "document", "important"})
"""Modifiers that leave a DNS rule as wide as it is."""
_MAX_UNLESS: Final = 16
"""Names that one rule may leave out."""
_REASONS: Final = {
    "dnstype": "asks for some record types only: a name is on a list for all of them",
    "client": "asks for some clients only: write a rule with `clients`",
    "ctag": "asks for some clients only: write a rule with `clients`",
    "dnsrewrite": "asks for another answer, which a list cannot give",
    "badfilter": "takes back another line: remove that line instead",
}
_HOLDS: Final = {
    (False, False): Hold.LISTED,
    (False, True): Hold.IMPORTANT,
    (True, False): Hold.EXCEPTED,
    (True, True): Hold.ALWAYS_EXCEPTED,
}
"""By whether a rule is an exception, and important."""


def read(line: str) -> Iterator[Wanted]:
    """What one line asks for; raises NotAnEntry."""
    text = line.strip()
    if not text or text.startswith(("!", "# ", "[")) or text == "#":
        return
    rule, _, tail = text.removeprefix("@@").partition("$")
    modifiers = [modifier.strip() for modifier in tail.split(",")]
    unless = [name for modifier in modifiers for name in _left_out(modifier)]
    for modifier in modifiers:
        _check(modifier)
    if len(unless) > _MAX_UNLESS:
        raise NotAnEntry(f"leaves out more than {_MAX_UNLESS} names: write them as exceptions")
    exception = text.startswith("@@")
    yield _wanted(rule, _HOLDS[exception, "important" in modifiers], unless, exception=exception)


def _left_out(modifier: str) -> list[str]:
    name, _, value = modifier.partition("=")
    if name != "denyallow":
        return []
    names = value.split("|")
    if not all(names) or any(name.startswith("~") or "*" in name for name in names):
        raise NotAnEntry(f"modifier `{modifier}` needs names: `denyallow=a.example|b.example`")
    return names


def _check(modifier: str) -> None:
    name = modifier.partition("=")[0]
    if modifier not in _HARMLESS and name != "denyallow":
        reason = _REASONS.get(name, "narrows the rule: without it the line would do more than it says")
        raise NotAnEntry(f"modifier `{modifier}` {reason}")


def _wanted(rule: str, hold: Hold, unless: Iterable[str], *, exception: bool) -> Wanted:
    if exception and "*" in rule:
        raise NotAnEntry("an exception with an asterisk: it would spare less than it says, since ours ends at a dot")
    kinds: tuple[tuple[str, Callable[..., Wanted]], ...] = (("||", covering), ("|", only))
    for start, kind in kinds:
        if rule.startswith(start):
            if not rule.endswith("^"):
                break
            return kind(rule.removeprefix(start)[:-1], hold, unless)
    else:
        return only(rule, hold, unless)
    raise NotAnEntry("no rule for a whole domain: only `||name^`, `|name^` and bare names are")
