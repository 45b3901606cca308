"""``sumun explain``: what would happen, and why?"""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from rich.markup import escape

from sumun import bootstrap
from sumun.cli.explanation import as_mapping, print_explanation
from sumun.cli.options import config_option, json_option
from sumun.cli.output import DOES_NOT_HOLD, err, fail, print_faults, print_json
from sumun.config.fault import ConfigError
from sumun.config.settings import PagesListener
from sumun.model.fault import OperatorFault
from sumun.model.name import DomainName, InvalidName, IPAddress, parse_host, plain
from sumun.model.request import UNKNOWN, AccessRequest, Unknown
from sumun.model.user import BadUserName, user_name
from sumun.policy.engine import Policy
from sumun.policy.explain import explain as explain_request
from sumun.store.faults import StoreFault


class _Address(click.ParamType[IPAddress]):
    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> IPAddress:
        try:
            return plain(ip_address(value))
        except ValueError:
            self.fail(f"`{value}` is not an IP address", param, ctx)


class _Instant(click.ParamType[datetime]):
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"`{value}` is not a time: write it as 2026-01-05T12:00:00+09:00", param, ctx)
        return at if at.tzinfo else at.replace(tzinfo=UTC)


@click.command()
@click.argument("client", type=_Address())
@click.argument("name")
@click.option("--path", "path_", help="Path of the request, without the query string.")
@click.option("--method", help="HTTP method.")
@click.option("--model", help="Model that the request names; `none` for a request without one.")
@click.option("--content", multiple=True, help="Detector that matches; may be given again; `none` for no match.")
@click.option("--user", help="Authenticated user; `none` for nobody.")
@click.option("--group", multiple=True, help="Group that the user is in; may be given again.")
@click.option("--uploads/--no-uploads", default=None, help="Whether the request uploads a file.")
@click.option("--at", type=_Instant(), help="When, in ISO 8601; without an offset in UTC.  [default: now]")
@config_option
@json_option
def explain(client: IPAddress, name: str, config: Path, *, as_json: bool, at: datetime | None, **said: Any) -> None:
    """Say what would happen when CLIENT asks for NAME, by which rule, and why.

    NAME is a host name, an address or a whole URL. What is not said is not known: where a rule depends on it, the
    decision is undetermined and the answer names what it needs. The configuration is read from its file, and what was
    granted from the store; nothing needs to be running.

    \b
      sumun explain 127.0.0.3 chat.deepseek.com
      sumun explain 10.30.1.7 https://api.openai.com/v1/chat/completions --model deepseek-r1 --json
    """
    try:
        policy, pages = _policy(config)
        request = _request(client, name, said)
    except ConfigError as error:
        print_faults(error.faults)
        fail(f"`{config}` is not valid", status=DOES_NOT_HOLD)
    except (OperatorFault, InvalidName, BadUserName) as error:
        fail(str(error))
    at = at or bootstrap.now()
    explanation = explain_request(policy, request, at=at)
    if as_json:
        print_json(as_mapping(request, explanation, pages, at=at))
    else:
        print_explanation(request, explanation, pages, at=at)


def _policy(config: Path) -> tuple[Policy, PagesListener]:
    """With what was granted, as far as the store can be read: it may be another host's; and where names lead to."""
    loaded = bootstrap.load(config)
    pages = loaded.config.settings.listen.pages
    try:
        return bootstrap.granted(loaded), pages
    except StoreFault as fault:
        err.print(f"[yellow]{escape(str(fault))}: what was granted is left out[/]")
        return loaded.policy, pages


def _request(client: IPAddress, name: str, said: dict[str, Any]) -> AccessRequest:
    url = urlsplit(name if "://" in name else f"//{name}")
    try:
        port = url.port
    except ValueError:
        raise InvalidName(f"`{name}` has no valid port") from None
    host = parse_host(f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname or "")
    path = said["path_"] or (url.path or "/" if "://" in name else None)
    content = frozenset(c for c in said["content"] if c != "none") if said["content"] else UNKNOWN
    return AccessRequest(
        client=client,
        name=host if isinstance(host, DomainName) else None,
        address=None if isinstance(host, DomainName) else host,
        port=port,
        method=said["method"],
        path=UNKNOWN if path is None else path,
        user=_user(said["user"]),
        groups=frozenset(user_name(group) for group in said["group"]),
        model=_or_none(said["model"]),
        content=content,
        uploads=UNKNOWN if said["uploads"] is None else said["uploads"],
    )


def _user(value: str | None) -> str | Unknown | None:
    """As the proxy would call this user."""
    return UNKNOWN if value is None else None if value == "none" else user_name(value)


def _or_none(value: str | None) -> Any:
    """Nothing said is unknown; the word ``none`` is known to be absent."""
    return UNKNOWN if value is None else None if value == "none" else value
