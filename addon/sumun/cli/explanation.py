"""An explanation as JSON, and as words for a person."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

from sumun.cli.output import out
from sumun.config.settings import PagesListener
from sumun.model.decision import Decision, Outcome, Reason, Undetermined
from sumun.model.name import IPAddress
from sumun.model.request import AccessRequest, Facet
from sumun.model.rule import Action
from sumun.model.service import Service
from sumun.model.verdict import Verdict
from sumun.policy.explain import Explanation
from sumun.policy.trace import Standing, Step
from sumun.policy.verdicts import sinkhole_addresses

_COLOURS = {
    Action.ALLOW: "green",
    Action.MONITOR: "green",
    Action.WARN: "yellow",
    Action.JUSTIFY: "yellow",
    Action.BLOCK: "red",
}
_STANDINGS = {
    Standing.SETTLED: "[bold]settled it[/]",
    Standing.COULD_MATCH: "[yellow]could match[/]",
    Standing.SHADOW: "[cyan]shadow: matches, only counted[/]",
    Standing.OUTSIDE_SCHEDULE: "[dim]outside its hours or dates[/]",
    Standing.NO_MATCH: "[dim]no match[/]",
}


def as_mapping(
    request: AccessRequest, explanation: Explanation, pages: PagesListener, *, at: datetime
) -> dict[str, Any]:
    """The object that ``sumun explain --json`` prints; its keys are public interface."""
    outcome = explanation.outcome
    final = isinstance(outcome, Decision)
    rule = outcome.rule if isinstance(outcome, Decision) else None
    return {
        "client": str(request.client),
        "segment": outcome.segment,
        "name": str(request.name or request.address or ""),
        "service": outcome.service.id if outcome.service else None,
        "action": outcome.action.value if isinstance(outcome, Decision) else None,
        "rule": rule.id if rule else None,
        "reason": outcome.reason.value if isinstance(outcome, Decision) else None,
        "reference": rule.reference if rule else "",
        "exemption": outcome.exemption if isinstance(outcome, Decision) else None,
        "grant": outcome.grant if isinstance(outcome, Decision) else None,
        "determination": "final" if final else "undetermined",
        "needs": [] if isinstance(outcome, Decision) else sorted(outcome.needs),
        "shadows": [shadow.id for shadow in outcome.shadows],
        "policy_revision": outcome.policy_revision,
        "at": at.isoformat(),
        "valid_until": outcome.valid_until.isoformat() if outcome.valid_until else None,
        "verdicts": {"dns": explanation.dns, "gate": explanation.gate, "http": explanation.http},
        "addresses": [str(address) for address in _addresses(explanation, pages)],
        "bypass": explanation.bypass,
        "trace": [_step(step) for step in explanation.steps],
    }


def _addresses(explanation: Explanation, pages: PagesListener) -> tuple[IPAddress, ...]:
    """What the sinkhole gives in place of the name's own addresses; none where it gives none."""
    if explanation.dns not in (Verdict.SINKHOLED, Verdict.STEERED):
        return ()
    return sinkhole_addresses(explanation.by_name, pages.addresses, dict(pages.categories))


def _step(step: Step) -> dict[str, Any]:
    return {"rule": step.rule.id, "action": step.rule.action, "standing": step.standing, "needs": sorted(step.needs)}


def print_explanation(request: AccessRequest, explanation: Explanation, pages: PagesListener, *, at: datetime) -> None:
    """The same for a person: the answer first, then the way to it, then what each point does."""
    outcome = explanation.outcome
    out.print(f"{_headline(request, outcome)}\n[dim]{_because(outcome)}[/]\n")
    facts = Table.grid(padding=(0, 2))
    for label, value in _facts(outcome, at):
        facts.add_row(f"[dim]{label}[/]", escape(value))
    out.print(facts)
    if explanation.steps:
        out.print("\nrules asked, in order:")
        out.print(_steps_table(explanation.steps))
    out.print("\nwhat each enforcement point does:")
    points = Table.grid(padding=(0, 2))
    for point, verdict in (("dns", explanation.dns), ("gate", explanation.gate), ("http", explanation.http)):
        leads = [str(address) for address in _addresses(explanation, pages)] if point == "dns" else []
        to = f" [dim]({', '.join(leads)})[/]" if leads else ""
        points.add_row(f"  [dim]{point}[/]", _verdict(verdict, outcome) + to)
    out.print(points)
    if explanation.bypass:
        out.print(f"\ncounted as an attempt to get round the filter: {explanation.bypass}")


def _headline(request: AccessRequest, outcome: Outcome) -> str:
    what = escape(f"{request.client} → {request.name or request.address}")
    if isinstance(outcome, Decision):
        return f"{what}: [bold {_COLOURS[outcome.action]}]{outcome.action}[/]"
    return f"{what}: [bold yellow]undetermined[/], needs {' and '.join(sorted(outcome.needs))}"


def _because(outcome: Outcome) -> str:
    if not isinstance(outcome, Decision):
        return "a rule could match once more is known; the request goes to a point that can know it"
    match outcome.reason:
        case Reason.RULE:
            text = outcome.rule.reason.within("en") if outcome.rule else ""
            return escape(f"rule `{outcome.rule.id if outcome.rule else ''}`" + (f": {text}" if text else ""))
        case Reason.EXEMPTION:
            return escape(f"`{outcome.exemption}` lets this client through")
        case Reason.ACKNOWLEDGED | Reason.JUSTIFIED:
            what = f"rule `{outcome.rule.id}`" if outcome.rule else "the segment's default"
            return escape(f"{what} is passed: {outcome.reason.value} as `{outcome.grant}`")
        case Reason.SEGMENT_DEFAULT:
            return "no rule matches: the segment's default"
        case Reason.UNKNOWN_CLIENT:
            return "the client is in no segment, and unknown_clients says refuse"


def _facts(outcome: Outcome, at: datetime) -> list[tuple[str, str]]:
    service = (
        f"{outcome.service.title.within('en')} ({outcome.service.id})" if outcome.service else _no_service(outcome)
    )
    rows = [
        ("segment", outcome.segment),
        ("service", service),
        *(_attributes(outcome.service) if outcome.service else ()),
        ("policy revision", outcome.policy_revision),
        ("at", at.isoformat()),
    ]
    if outcome.valid_until:
        rows.append(("may change at", outcome.valid_until.isoformat()))
    return rows


def _attributes(service: Service) -> list[tuple[str, str]]:
    """What rules may ask of a service besides its id; nothing is guessed."""
    parent = f", of {service.parent} ({service.parent_country})" if service.parent else ""
    on_premises = {None: "not established", True: "offered", False: "not offered"}[service.on_premises]
    return [
        ("category", service.category),
        ("vendor", f"{service.vendor} ({service.vendor_country}){parent}"),
        ("data kept in", ", ".join(sorted(service.data_countries)) or "not established"),
        ("on premises", on_premises),
    ]


def _no_service(outcome: Outcome) -> str:
    """A shared domain is a service's only under some of its paths."""
    by_path = isinstance(outcome, Undetermined) and Facet.PATH in outcome.needs
    return "depends on the path: the domain is shared" if by_path else "none in the catalogue"


def _steps_table(steps: tuple[Step, ...]) -> Table:
    table = Table.grid(padding=(0, 2))
    for number, step in enumerate(steps, 1):
        needs = f" [dim](needs {', '.join(sorted(step.needs))})[/]" if step.needs else ""
        table.add_row(
            f"  [dim]{number}[/]", escape(step.rule.id), step.rule.action.value, _STANDINGS[step.standing] + needs
        )
    return table


def _verdict(verdict: Verdict | None, outcome: Outcome) -> str:
    if verdict is not None:
        return verdict.value
    needs = "" if isinstance(outcome, Decision) else f"depends on {', '.join(sorted(outcome.needs))}"
    return needs or "not asked: an address literal needs no name"
