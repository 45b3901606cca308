"""Subscriptions of a running filter: no server can keep it from starting, and a new copy reaches every worker."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dns.edns
import dns.message
import dns.query
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sumun.loading.record import ListStore, Record
from tests.support import configs
from tests.support.list_server import ListServer, list_server, names, serving
from tests.support.running import SUMUN, free_ports, started

pytestmark = pytest.mark.e2e
WEEK = timedelta(days=7)


@contextmanager
def served() -> Iterator[ListServer]:
    """A list server in a thread of its own."""
    loop = asyncio.new_event_loop()
    found: list[ListServer] = []
    ready, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with list_server() as server:
            found.append(server)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(60)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def blocked(port: int, name: str) -> bool:
    query = dns.message.make_query(name, "A", use_edns=0)
    reply = dns.query.udp(query, "127.0.0.1", port=port, source="127.0.0.3", timeout=60)
    return [option.code for option in reply.options if isinstance(option, dns.edns.EDEOption)] == [15]


def of_lists(metrics: str) -> set[tuple[str, str, float]]:
    """Name, list and value of every series about a list."""
    families = text_string_to_metric_families(metrics)
    samples = [sample for family in families for sample in family.samples if "list" in sample.labels]
    return {(sample.name, sample.labels["list"], sample.value) for sample in samples}


def settings(folder: Path, url: str) -> tuple[dict[str, Any], int, int]:
    dns_port, proxy, http, https, console, nobody = free_ports(6)
    config = configs.variant(
        state=str(folder / "state"),
        upstreams=[f"udp://127.0.0.1:{nobody}"],
        listen={
            "dns": {"address": "127.0.0.1", "port": dns_port, "workers": 2},
            "proxy": {"address": "127.0.0.1", "port": proxy},
            "pages": {"address": "127.0.0.1", "http": http, "https": https},
            "console": {"address": "127.0.0.1", "port": console},
        },
        rules=[{"id": "listed", "action": "block", "lists": ["far", "dark", "dns-bypass"]}],
        lists=[{"id": "far", "url": url}, {"id": "dark", "url": "https://lists.example/l.txt"}],
    )
    return config, dns_port, console


def keep_a_copy(state: Path, url: str, age: timedelta) -> datetime:
    at = datetime.now(UTC).replace(microsecond=0) - age  # noqa: TID251  # the program under test has its own clock
    record = Record(
        url=url, sha256="0" * 64, entries=200, confirmed_at=at, taken_at=at, attempted_at=at, outcome="updated"
    )
    ListStore(state).keep("far", record, names(200))
    return at


def test_it_starts_with_the_copies_of_last_week_and_takes_a_new_one_as_it_serves(tmp_path: Path) -> None:
    with served() as server:
        config, port, console = settings(tmp_path, server.url)
        at = keep_a_copy(tmp_path / "state", server.url, WEEK)
        path = configs.write(tmp_path / "sumun.yaml", config)
        base = f"http://127.0.0.1:{console}"
        with started(path, state=tmp_path / "state", console=base) as running:
            assert blocked(port, "n7.example")
            assert blocked(port, "mask.icloud.com")
            running.await_said("list `far` is not updated: the server answered 404")
            assert of_lists(running.metrics()) >= {
                ("sumun_list_last_success_timestamp_seconds", "far", at.timestamp()),
                ("sumun_list_entries", "far", 200),
                ("sumun_list_last_update_successful", "far", 0),
                ("sumun_list_updates_total", "far", 1),
            }
            ready = httpx.get(f"{base}/readyz").json()
            assert ready["checks"]["lists"]["detail"].startswith("`far` is as published 7 days ago, then: the server")

            said = running.await_said("list `dark` is not updated: resolving `lists.example`")
            server.replies["/list.txt"] = serving(names(210))
            updated = subprocess.run(
                [*SUMUN, "lists", "update", "far", "--json", "-c", path], capture_output=True, text=True, check=True
            )
            assert json.loads(updated.stdout)["lists"][0]["outcome"] == "updated"
            for _ in range(4):  # two sinkholes, the proxy and the console
                said = running.await_said("is in force", after=said)
            assert blocked(port, "n209.example")
