from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

import pytest
from starlette.applications import Starlette

from sumun.console.app import application
from sumun.console.probes import ProbeFailed
from sumun.console.readiness import Readiness
from sumun.console.view import LoadedView
from tests.support.builders import NOON
from tests.unit.console.asgi import Answer, ask


async def _works() -> None:
    """A probe that finds its listener."""


async def _fails() -> None:
    raise ProbeFailed("no connection: connection refused")


def app(metrics: Callable[[], bytes] = lambda: b"sumun_x 1\n", *, ready: bool = True) -> Starlette:
    probes = {"dns": _works, "proxy": _works if ready else _fails}
    readiness = Readiness(lambda: LoadedView("5f1d0c2ab9e4", []), probes, clock=lambda: NOON)
    return application(metrics=metrics, readiness=readiness, clock=lambda: NOON, hosts=["sumun.example"])


def get(
    path: str, *, on: Starlette | None = None, method: str = "GET", host: str = "localhost", query: str = ""
) -> Answer:
    return asyncio.run(ask(on or app(), path, method=method, host=host, query=query))


def test_metrics_are_served_as_text_format() -> None:
    answer = get("/metrics")
    assert (answer.status, answer.body) == (200, b"sumun_x 1\n")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_scrapes_are_made_one_at_a_time() -> None:
    two_inside = threading.Barrier(2)

    def metrics() -> bytes:
        with contextlib.suppress(threading.BrokenBarrierError):
            two_inside.wait(timeout=0.05)
            return b"together"
        return b"alone"

    async def many() -> list[Answer]:
        served = app(metrics)
        return await asyncio.gather(*(ask(served, "/metrics") for _ in range(4)))

    assert [answer.body for answer in asyncio.run(many())] == [b"alone"] * 4


def test_health_says_that_the_process_lives() -> None:
    assert get("/healthz", on=app(ready=False)).body == b"ok\n"


def test_ready_names_each_check() -> None:
    answer = get("/readyz")
    assert answer.status == 200
    assert answer.json() == {
        "ready": True,
        "at": "2026-01-05T12:00:00+00:00",
        "checks": {name: {"ok": True, "detail": ""} for name in ("policy", "dns", "proxy")},
    }


def test_not_ready_says_which_role_and_why() -> None:
    answer = get("/readyz", on=app(ready=False))
    assert answer.status == 503
    assert answer.json()["ready"] is False
    assert answer.json()["checks"]["proxy"] == {"ok": False, "detail": "no connection: connection refused"}


def test_the_index_links_to_what_there_is() -> None:
    body = get("/").body.decode()
    links = {part.split('"')[0] for part in body.split('href="')[1:]} - {"/", "/grants"}
    assert links == {"/metrics", "/healthz", "/readyz"}
    assert [get(link).status for link in links] == [200] * len(links)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/readyz"])
def test_nothing_can_be_changed(path: str, method: str) -> None:
    assert get(path, method=method).status == 405


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [("/metrics", "rebind.test", 421), ("/metrics", "sumun.example", 200), ("/missing", "localhost", 404),
     ("/metrics/", "localhost", 404), ("/", "localhost", 200)],
)  # fmt: skip
def test_every_answer_has_the_security_headers_and_echoes_nothing(path: str, host: str, status: int) -> None:
    answer = get(path, host=host, query="q=<script>probe</script>")
    assert answer.status == status
    assert b"probe" not in answer.body
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"
    assert "probe" not in answer.headers.get("location", "")
