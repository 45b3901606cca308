"""What can be loaded but will hardly do what was meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sumun.config.configuration import Config
from sumun.config.document import Path
from sumun.config.raw import RawConfig
from sumun.config.settings import PagesListener
from sumun.model.rule import Action, Conditions, Mode, Rule
from sumun.model.schedule import Schedule
from sumun.model.segment import Authenticate, FailMode, Segment
from sumun.model.service import Match

type Doubt = tuple[Path, str]

_MINE = "this version"


def doubts(raw: RawConfig, config: Config, at: datetime | None) -> Iterator[Doubt]:
    """Every doubt about a configuration without faults; ``at`` shows what has ended already."""
    yield from _of_rules(config.rules, ("rules",), at)
    if config.settings.users is None:
        yield from _of_users(config.rules, ("rules",), "nobody is asked who they are: `users` is missing")
    yield from _of_answers(config.settings.listen.pages)
    yield from _of_reach(raw, config)
    for segment in config.segments:
        path: Path = ("segments", segment.name)
        yield from _of_rules(segment.rules, (*path, "rules"), at, behind=_catch_all(config.rules))
        yield from _of_segment(raw, segment, config.rules, path)
        if why := _nobody_is_known(config, segment):
            yield from _of_users(segment.rules, (*path, "rules"), why)
    for n, exemption in enumerate(config.exemptions):
        if at and exemption.until <= at:
            yield ("exemptions", n, "until"), f"exemption `{exemption.id}` has ended: nobody is let through by it"


def _nobody_is_known(config: Config, segment: Segment) -> str:
    users = config.settings.users
    if users is None:
        return "nobody is asked who they are: `users` is missing"
    told = segment.proxy.authenticate is not Authenticate.NONE or users.header is not None
    return "" if told else "nobody in this segment is asked who they are: see `proxy.authenticate`"


def _of_users(rules: Sequence[Rule], path: Path, why: str) -> Iterator[Doubt]:
    for n, rule in enumerate(rules):
        if rule.when.users is not None:
            yield (*path, n, "users"), f"{why}; this rule never matches"


def _of_answers(pages: PagesListener) -> Iterator[Doubt]:
    for key, address in (("address", pages.address), ("address6", pages.address6)):
        if address and address.is_unspecified:
            message = f"sinkholed clients would be told `{address}`: name the address at which they reach this host"
            yield ("listen", "pages", key), message


def _of_reach(raw: RawConfig, config: Config) -> Iterator[Doubt]:
    """An open resolver is found within hours, and used to flood others with answers (RFC 5358)."""
    address = config.settings.listen.dns.address
    if not address.is_unspecified:
        return
    message = (
        f"answers whoever reaches this host, since `listen.dns` has the address `{address}`: "
        "list the networks served, or listen on an address that only they reach"
    )
    if config.unknown_clients:
        yield ("unknown_clients",), f"`unknown_clients: {config.unknown_clients}` {message}"
    for name, segment in raw.segments.items():
        for n, network in enumerate(segment.networks):
            if network.prefixlen == 0:
                yield ("segments", name, "networks", n), f"`{network}` {message}"


def _of_segment(raw: RawConfig, segment: Segment, common: Sequence[Rule], path: Path) -> Iterator[Doubt]:
    if not segment.networks and raw.unknown_clients != segment.name:
        yield path, "no client is ever in this segment: it has no `networks`"
    if not segment.default.lets_through:
        message = "meets every name on the internet, AI or not, for which no rule says otherwise"
        yield (*path, "default"), f"`default: {segment.default}` {message}"
    if segment.on_failure is FailMode.OPEN and any(rule.when.content is not None for rule in (*common, *segment.rules)):
        message = f"no detector is part of {_MINE}, so what a rule on `content` could match passes here"
        yield (*path, "on_failure"), message


def _of_rules(rules: Sequence[Rule], path: Path, at: datetime | None, behind: Rule | None = None) -> Iterator[Doubt]:
    for n, rule in enumerate(rules):
        here: Path = (*path, n)
        if behind:
            yield here, f"rule `{rule.id}` is never reached: `{behind.id}` before it matches everything"
        yield from _of_conditions(rule, here)
        yield from _of_action(rule, here)
        if at and rule.schedule.until and rule.schedule.until <= at:
            yield (*here, "until"), f"rule `{rule.id}` has ended: it no longer matches anything"
        behind = behind or _catch_all([rule])


def _of_action(rule: Rule, path: Path) -> Iterator[Doubt]:
    remembered = rule.action in (Action.WARN, Action.JUSTIFY)
    if rule.ttl and not remembered:
        yield (*path, "ttl"), f"`ttl` goes with `warn` or `justify`: `{rule.action}` has nothing to remember"
    if rule.approver and rule.action is not Action.JUSTIFY:
        yield (*path, "approver"), f"`approver` goes with `justify`: `{rule.action}` asks nobody"


def _catch_all(rules: Sequence[Rule]) -> Rule | None:
    """The first rule that matches every request at every time."""
    everything = Conditions(), Schedule(), Mode.ENFORCE
    return next((rule for rule in rules if (rule.when, rule.schedule, rule.mode) == everything), None)


def _of_conditions(rule: Rule, path: Path) -> Iterator[Doubt]:
    when = rule.when
    if when == Conditions() and rule.action is not Action.ALLOW:
        yield path, f"rule `{rule.id}` has no condition: `{rule.action}` would meet every name on the internet"
    if when.content is not None:
        message = f"no detector of content is part of {_MINE}: where this rule would decide, `on_failure` does"
        yield (*path, "content"), message
    for n, pattern in enumerate(when.domains or ()):
        if "." not in pattern.text and pattern.match is Match.SUFFIX:
            yield (*path, "domains", n), f"`{pattern}` covers a whole top-level domain"
