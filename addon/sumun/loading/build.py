"""Texts to a policy: parse everything, check everything, compile once."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256

from sumun.catalogue.built_in import BUILT_IN, NEVER_BLOCK, RESERVED, parse_names
from sumun.catalogue.categories import CATEGORIES
from sumun.catalogue.faults import ServiceFault
from sumun.catalogue.guard import NOBODY, Guard
from sumun.catalogue.lists import AUTO, FORMATS, Refused, parse_list
from sumun.catalogue.service_file import parse_service
from sumun.config.configuration import Config
from sumun.config.fault import ConfigError, Fault
from sumun.config.parse import Surroundings, parse_config_within
from sumun.config.settings import ListSource, Settings
from sumun.loading.compiler import REFUSALS_KEPT, Job, LargeList
from sumun.loading.large_lists import Compile, in_memory
from sumun.loading.sources import LoadError, Sources
from sumun.model.listed import Entry, Filed
from sumun.model.name import DomainName, InvalidName, parse_host
from sumun.model.service import Service
from sumun.policy.compile import PolicySource, compile_policy
from sumun.policy.engine import Policy
from sumun.policy.packed_index import PackedIndex


@dataclass(frozen=True, slots=True)
class ListStatistics:
    """What became of one list."""

    entries: int = 0
    exceptions: int = 0
    """Entries that take names out again; they are not counted among the others."""
    refused: int = 0
    """Lines that were not taken."""
    refusals: tuple[Refused, ...] = ()
    """The first of them, with number and reason."""
    present: bool = False
    """Whether its text was at hand."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A policy and everything behind it; exchanged whole."""

    policy: Policy
    config: Config
    services: tuple[Service, ...]
    revision: str
    lists: Mapping[str, ListStatistics]
    sources: tuple[ListSource, ...]
    """Every list that rules can use: those that come with Sumun, then those of the configuration."""
    warnings: tuple[Fault, ...]
    guards: Callable[[ListSource], Guard] = lambda _source: NOBODY
    """What a list must not take down."""


def build(sources: Sources, *, at: datetime | None = None, compile_lists: Compile = in_memory) -> Loaded:
    """Make a policy; raises ConfigError with every fault of every file. With ``at``, warns of what has ended.

    ``compile_lists`` gives the index of the large lists, wherever it keeps it.
    """
    services, faults = _services(sources.services)
    around = Surroundings(
        services=_known(sources.services, services),
        categories=CATEGORIES,
        formats=(AUTO, *FORMATS),
        list_digests={id_: sha256(text.encode()).hexdigest() for id_, text in sources.lists.items()}
        | {id_: file.sha256 for id_, file in sources.large.items()},
        lists=BUILT_IN,
        reserved_lists=RESERVED,
        logos={path: b64decode(text) for path, text in sources.logos.items()},
        at=at,
    )
    try:
        config = parse_config_within(sources.config, file=str(sources.config_file), around=around)
    except ConfigError as trouble:
        raise ConfigError([*trouble.faults, *faults]) from None
    if faults:
        raise ConfigError(faults)
    known = (*(ListSource(id_, "domains") for id_ in BUILT_IN if id_ in sources.lists), *config.settings.lists)
    guards = guard_for(config.settings, sources.lists.get(NEVER_BLOCK, ""))
    entries, lists = _lists(known, sources.lists, guards)
    large = _compiled(known, sources, config.settings, compile_lists)
    lists |= _told(large)
    policy = compile_policy(
        PolicySource(
            segments=config.segments,
            rules=config.rules,
            services=services,
            lists=entries,
            large_lists=large,
            exemptions=config.exemptions,
            unknown_clients=config.unknown_clients,
            revision=sources.revision,
        )
    )
    return Loaded(policy, config, services, sources.revision, lists, known, config.warnings, guards)


def build_services(texts: Mapping[str, str]) -> tuple[Service, ...]:
    """The catalogue alone; raises ConfigError with every fault of every file."""
    services, faults = _services(texts)
    if faults:
        raise ConfigError(faults)
    return services


def _services(texts: Mapping[str, str]) -> tuple[tuple[Service, ...], list[Fault]]:
    services: list[Service] = []
    faults: list[Fault] = []
    for file, text in sorted(texts.items()):
        try:
            services.append(_service(text, file))
        except ServiceFault as fault:
            faults.append(Fault(f"blocklists/{fault.file}", fault.line, "", fault.message))
    return tuple(services), faults


@lru_cache(maxsize=2048)
def _service(text: str, file: str) -> Service:
    """A reload changes one file in hundreds, and reading the others again would keep queries waiting."""
    return parse_service(text, file=file)


def _known(texts: Iterable[str], services: Iterable[Service]) -> frozenset[str]:
    """Ids of all services, those of faulty files too: a rule that names one is not to blame."""
    return frozenset(file.rpartition("/")[2].removesuffix(".yaml") for file in texts) | {s.id for s in services}


def _lists(
    sources: Iterable[ListSource], texts: Mapping[str, str], guards: Callable[[ListSource], Guard]
) -> tuple[dict[str, tuple[Entry, ...]], dict[str, ListStatistics]]:
    entries: dict[str, tuple[Entry, ...]] = {}
    statistics: dict[str, ListStatistics] = {}
    for source in sources:
        if (text := texts.get(source.id)) is None:
            statistics[source.id] = ListStatistics()
            continue
        read = _read_built_in if source.id in BUILT_IN else read_list
        entries[source.id], statistics[source.id] = read(text, source.format, guards(source))
    return entries, statistics


@lru_cache(maxsize=2 * len(BUILT_IN))
def _read_built_in(text: str, form: str, guard: Guard) -> tuple[tuple[Entry, ...], ListStatistics]:
    """As above, for lists that change with Sumun's version only."""
    return read_list(text, form, guard)


def _compiled(
    known: Iterable[ListSource], sources: Sources, settings: Settings, compile_lists: Compile
) -> PackedIndex | None:
    if not sources.large:
        return None
    files = [(source, sources.large[source.id]) for source in known if source.id in sources.large]
    entries = (LargeList(s.id, s.format, str(file.path), file.sha256, s.guard) for s, file in files)
    guarded = [*parse_names(sources.lists.get(NEVER_BLOCK, "")), *_upstream_names(settings)]
    try:
        return compile_lists(Job(tuple(entries), tuple(name.text for name in guarded)))
    except LoadError as why:
        raise ConfigError([Fault(str(sources.config_file), 0, "/lists", str(why))]) from why


def _told(index: PackedIndex | None) -> dict[str, ListStatistics]:
    if index is None:
        return {}
    filed = [(Filed.read(text), count) for text, count in index.counts.items()]
    return {
        id_: ListStatistics(
            sum(count for entry, count in filed if entry.list == id_ and entry.hold.carries),
            sum(count for entry, count in filed if entry.list == id_ and not entry.hold.carries),
            told["refused"],
            tuple(Refused(**r) for r in told["refusals"]),
            present=True,
        )
        for id_, told in index.about["lists"].items()
    }


def guard_for(settings: Settings, never_block: str) -> Callable[[ListSource], Guard]:
    """What a list must not take down; ``never_block`` is the text of the names that others need.

    The names of our own upstreams are among it: the author of a list cannot know them. The lists that come with Sumun
    are not held back from those, since clients may well be kept from the resolvers that Sumun itself asks.
    """
    ours, theirs = _guard(never_block, ()), _guard(never_block, tuple(_upstream_names(settings)))
    return lambda source: ours if source.id in BUILT_IN else theirs if source.guard else NOBODY


@lru_cache(maxsize=4)
def _guard(never_block: str, more: tuple[DomainName, ...]) -> Guard:
    return Guard([*parse_names(never_block), *more])


def _upstream_names(settings: Settings) -> Iterator[DomainName]:
    for upstream in settings.upstreams:
        with suppress(InvalidName):
            host = parse_host(upstream.tls_name or upstream.host)
            if isinstance(host, DomainName):
                yield host


def read_list(text: str, form: str, guard: Guard = NOBODY) -> tuple[tuple[Entry, ...], ListStatistics]:
    """Each entry of a list once, and what became of its lines."""
    taken: dict[Entry, None] = {}
    refusals: list[Refused] = []
    refused = 0
    for item in parse_list(text, form, guard):
        match item:
            case Entry():
                taken[item] = None
            case Refused():
                refused += 1
                if len(refusals) < REFUSALS_KEPT:
                    refusals.append(item)
    carried = sum(entry.hold.carries for entry in taken)
    return tuple(taken), ListStatistics(carried, len(taken) - carried, refused, tuple(refusals), present=True)
