"""The catalogue as a page for people: docs/reference/catalogue.md is what this returns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from sumun.catalogue.categories import CATEGORIES, ROLES
from sumun.model.service import UNKNOWN_COUNTRY, Service

_OPENING: Final = """\
# The catalogue

Generative-AI services as Sumun knows them, one file each in `blocklists/services/`. Generated from those files; the
test suite says when this page is out of date.
"""

_HOW_COMPLETE: Final = """\
## How complete it is

Nobody has the whole. A service that several independent sources name is one that people meet; in a category where most
were seen by one source only, each further source would bring more, so that is where to look first. By that measure
images, video, voice and coding assistants are well covered. Front ends to several models and small model APIs, which
come and go by the week, are not: expect newcomers that no rule knows yet. What is known to be missing stands below.

"""

_WEAK: Final = {
    "chat-assistant": "the assistants that press and public lists name, with Korea's, China's and Japan's; missing are "
    "those of telephone makers and banks, and the national ones that no public list names",
    "llm-api": "the vendors of models and the larger hosts; second-row hosts are nearly all seen by one source "
    "only, and an unlisted one is still told by the shape of its requests (`unknown-llm-api`) where the proxy may look",
    "aggregator": "resellers come and go by the week, most of them Chinese: expect to meet others",
    "search": "the well-known engines; answers inside ordinary search results are told apart on two hosts only",
    "code-assistant": "editors, extensions and agents that many public lists name; extensions that speak to a model of "
    "one's own choice have no host of their own",
    "agent": "the youngest category, and the one that grows fastest: newcomers are missing",
    "writing": "English-language tools; helpers inside office suites are not told apart",
    "meeting": "the widely used bots; those built into Zoom, Teams and Meet are not told apart, and Korean and "
    "Japanese ones are few",
    "image": "well covered; generators inside photo editors (Canva, Fotor) are known and not told apart",
    "video": "well covered, Chinese ones included; editors that merely have a generator are left out",
    "audio": "voice and music generators; speech services of the cloud providers share their hosts with other uses",
    "companion": "the large English, Korean and Chinese ones; small ones change names often and are missing",
    "model-hub": "complete as far as is known; mirrors are not followed",
    "local-runtime-download": "the runtimes by their download sites; packages of operating systems and of programming "
    "languages bring the same programs and are not told apart",
}
"""For each category what is covered and what is known to be missing."""

_HOW_TO_ADD: Final = """\
## How to add a service in five minutes

1. Copy a neighbour of the same category to `blocklists/services/<id>.yaml`; the id is the file's name.
2. Fill in what is established, and leave out what is not: no country, no `data`, no `serves_models` is the honest
   answer where none is known. A fact of general knowledge is marked `inferred`.
3. For each domain ask who else lives there. If it is the service's alone, the name is enough: it covers everything
   below. A host on somebody's cloud takes `match: exact`. A domain that also serves other things takes `shared: true`,
   and `paths` if a path tells the AI part apart: without paths it is known, and never decides.
4. Hosts that vary by region or tenant under a shared domain are a glob: `*` stands for characters within one label,
   and `matches` and `spares` name hosts that it must and must not take.
5. Run `sumun services lint`, then `pytest tests/unit/catalogue`. They say in words what is wrong.

| key | meaning |
|---|---|
| `id` | lower-case letters, digits, single hyphens; also the metric label |
| `title` | a text, or a mapping of languages to texts |
| `aliases` | other names that people search for |
| `vendor` | `name`, `country` (ISO 3166, left out if not known), `source`, `parent` with `name` and `country` |
| `category` | one of those above |
| `data` | `countries`, `basis`, `source`: where user data are kept; only where established |
| `serves_models`, `models_evidence` | open-weight families of other makers that run here, and how that is known |
| `on_premises` | `offered` (`true` or `false`) and `source`: whether the vendor offers it for one's own machines |
| `apps` | for each `platform`, `id` and `source`: what whoever manages devices looks for |
| `ended` | the day a service closed; its domains stay, since names are sold on |
| `reviewed` | the day the entry was last read against its sources; nothing is probed |
| `note` | what a reader should know |
| `domains` | `name`, `role`, `sources`; `match: exact`; `shared`, `paths`; `within`; `matches`, `spares`; `note` |

`within` names the service whose wider domain a name is carved out of (`chat.openai.com` within `openai-api`): the
longer name wins, so a rule for the wider service does not reach it.
"""

_SOURCES: Final = """\
## Lists beside it

`blocklists/lists/` holds `deepseek-lookalikes` (imitations: not DeepSeek, so a list of their own), `dns-bypass`
(resolvers that take look-ups past the sinkhole), `tunnels` (commercial VPN services) and `never-block` (domains that
no service and no list may take down). The first three are in the format `domains`.

## Sources

`blocklists/SOURCES.md` says what each word beside a domain stands for. A plain word is a public list that names the
very domain; `~word` covers it by a parent only. `code:`, `doc:`, `page:`, `issue:`, `repo:` and `search:` are single
observations; `vendor_docs` is the vendor's own documentation; `inferred` is general knowledge. Facts were taken, not
text or arrangement.

## Known to be missing

- Apple Intelligence: its relays carry other private traffic of Apple devices and no name tells them apart.
- AI answers inside search results and inside products (Slack, Zoom, Teams, Adobe, Atlassian editors): switched off in
  the product's administration, not by name.
- Copilot and other pages below github.com: looking at paths there would decrypt all of GitHub.
- Copilot inside Bing is told apart on bing.com alone, AI Mode on www.google.com alone, not on national domains.
- Where a company keeps the data of its users: established for a handful only.
"""


def reference_page(services: Sequence[Service]) -> str:
    """The page in Markdown, the same for the same services in any order."""
    ordered = sorted(services, key=lambda service: service.id)
    parts = (
        _OPENING,
        "\n".join(_counts(ordered)),
        "\n".join(_completeness(ordered)),
        "\n".join(_countries(ordered)),
        "\n".join(_undecided(ordered)),
        _HOW_TO_ADD,
        "\n".join(_roles()),
        _SOURCES,
        "\n".join(_listing(ordered)),
    )
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _counts(services: Sequence[Service]) -> Iterator[str]:
    domains = [domain for service in services for domain in service.domains]
    shared = sum(domain.shared for domain in domains)
    yield f"{len(services)} services, {len(domains)} domains, {shared} of them shared with other uses."
    yield ""
    yield "| category | | services | domains |"
    yield "|---|---|---:|---:|"
    for category, title in CATEGORIES.items():
        members = [service for service in services if service.category == category]
        count = sum(len(service.domains) for service in members)
        yield f"| `{category}` | {title.within('en')} · {title.within('ko')} | {len(members)} | {count} |"


def _completeness(services: Sequence[Service]) -> Iterator[str]:
    yield from _HOW_COMPLETE.splitlines()
    yield "| category | seen by one source | by two | by three or more |"
    yield "|---|---:|---:|---:|"
    for category in CATEGORIES:
        seen = [_observers(service) for service in services if service.category == category]
        once, twice = sum(count <= 1 for count in seen), seen.count(2)
        yield f"| `{category}` | {once} | {twice} | {len(seen) - once - twice} |"
    yield ""
    yield from (f"- `{category}`: {_WEAK[category]}." for category in CATEGORIES)
    yield ""
    tally = Counter(country for service in services for country in service.vendor_countries)
    yield f"Services whose vendor or parent company is Korean: {tally['KR']}, looked for one by one. Japanese:"
    yield f"{tally['JP']}, Chinese: {tally['CN']}, from public lists; what only the local press names is missing."


def _observers(service: Service) -> int:
    """Public lists and single observations that name the service, each kind once."""
    return len({source.partition(":")[0] for domain in service.domains for source in domain.sources} - {"inferred"})


def _countries(services: Sequence[Service]) -> Iterator[str]:
    """A country counts a service of its own and one of a subsidiary, as a rule's `vendor_countries` does."""
    yield "## Vendors by country"
    yield ""
    yield "A service counts for its vendor's country and for the parent company's, as in a rule's `vendor_countries`."
    yield f"`{UNKNOWN_COUNTRY}` stands for not established."
    yield ""
    tally = Counter(country for service in services for country in service.vendor_countries)
    ranked = sorted(tally.items(), key=lambda item: (-item[1], item[0]))
    yield ", ".join(f"{country} {count}" for country, count in ranked)


def _undecided(services: Sequence[Service]) -> Iterator[str]:
    """Services that no rule can reach, said openly."""
    yield "## Known, but not told apart"
    yield ""
    yield "All domains of these are shared and no path is known, so a rule that names them never matches:"
    yield _ids(service for service in services if all(d.shared and not d.paths for d in service.domains))


def _roles() -> Iterator[str]:
    yield "| role of a domain | meaning |"
    yield "|---|---|"
    for role, meaning in ROLES.items():
        yield f"| `{role}` | {meaning} |"


def _listing(services: Sequence[Service]) -> Iterator[str]:
    yield "## Services"
    for category, title in CATEGORIES.items():
        yield ""
        yield f"**{title.within('en')}** (`{category}`): {_ids(s for s in services if s.category == category)}"


def _ids(services: Iterable[Service]) -> str:
    return ", ".join(f"`{service.id}`" for service in services) + "."
