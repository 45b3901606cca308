"""Hooks that fail, one by one: mitmproxy would let the request go on."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy.exceptions import AddonHalt
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.test import tflow
from prometheus_client import CollectorRegistry

from sumun.model.organisation import Organisation
from sumun.model.segment import FailMode
from sumun.pages.render import render, render_failure
from sumun.proxy.addon import SumunAddon
from sumun.proxy.destination import Vetting
from sumun.proxy.http_point import HttpPoint
from sumun.proxy.origin import Origins
from sumun.proxy.telling import Teller
from sumun.proxy.vetted import VettedAddress
from sumun.telemetry.metrics import Metrics
from tests.support.builders import NOON, policy, segment
from tests.support.proxies import AwaitedEvents, FakeResolver
from tests.unit.proxy.test_opening import made, names


class BrokenPolicy:
    revision = "broken"

    def __init__(self, mode: FailMode) -> None:
        self._sound = policy(segment("s", "10.0.0.0/8", on_failure=mode))

    def segment_of(self, client: Any) -> Any:
        return self._sound.segment_of(client)

    def decide(self, *_: object, **__: object) -> Any:
        raise RuntimeError("broken")


def addon(mode: FailMode = FailMode.CLOSED, names: dict[str, str | tuple[str, ...]] | None = None) -> SumunAddon:
    broken: Any = BrokenPolicy(mode)
    metrics = Metrics(CollectorRegistry())
    teller = Teller(policy=lambda: broken, events=AwaitedEvents(), metrics=metrics, clock=lambda: NOON)
    point = HttpPoint(teller, Organisation, render, render_failure)
    return SumunAddon(point=point, origins=Origins(FakeResolver(names or {}), Vetting()))


def flow() -> Any:
    flow_ = tflow.tflow()
    flow_.client_conn.peername, flow_.client_conn.sockname = ("10.0.0.1", 5000), ("10.0.0.2", 8080)
    return flow_


def opening(server_name: bytes = b"a.test") -> Any:
    client = flow().client_conn
    context = SimpleNamespace(client=client, server=SimpleNamespace(address=("a.test", 443)), layers=[])
    return SimpleNamespace(
        context=context,
        client_hello=SimpleNamespace(raw_bytes=lambda: made(names((0, server_name)))),
        ignore_connection=False,
        conn=client,
    )


@pytest.mark.parametrize("mode", list(FailMode))
@pytest.mark.parametrize("hook", ["requestheaders", "request"])
def test_a_request_ends_as_the_segment_says(hook: str, mode: FailMode) -> None:
    made = flow()
    made.metadata["sumun.body"] = (None, False)
    getattr(addon(mode), hook)(made)
    assert (made.response is not None and made.response.status_code) == (403 if mode is FailMode.CLOSED else False)


def test_what_cannot_even_be_attributed_is_closed() -> None:
    made = flow()
    made.client_conn.peername = ("nobody", 0)
    addon(FailMode.OPEN).requestheaders(made)
    assert made.response.status_code == 403


@pytest.mark.parametrize("mode", list(FailMode))
def test_a_connect_and_its_tls_end_as_the_segment_says(mode: FailMode) -> None:
    made, data, point = flow(), opening(), addon(mode).connections
    made.request.port = 443
    asyncio.run(point.http_connect(made))
    assert made.response.status_code == (403 if mode is FailMode.CLOSED else 200)
    point.tls_clienthello(data)
    assert data.ignore_connection is (mode is FailMode.OPEN)
    if mode is FailMode.CLOSED:
        with pytest.raises(AddonHalt):
            point.tls_start_client(data)
        point.client_disconnected(data.context.client)
    point.tls_start_client(data)


def test_a_hello_that_cannot_be_read_is_refused_in_every_segment() -> None:
    data, point = opening(b"a b"), addon(FailMode.OPEN).connections
    point.tls_clienthello(data)
    with pytest.raises(AddonHalt):
        point.tls_start_client(data)
    point.tls_failed_client(data)


@pytest.mark.parametrize(
    ("host", "addresses", "dialled"),
    [
        ("a.test", ("2606:4700::1", "1.1.1.1"), "1.1.1.1"),
        ("a.test", ("10.0.0.1",), None),
        ("a.test", ("10.0.0.1", "1.1.1.1"), "1.1.1.1"),
        ("a.test", (), None),
        ("1.1.1.1", (), "1.1.1.1"),
        ("0x7f000001", (), None),
        ("::1", (), None),
        ("a b", (), None),
    ],
)
def test_only_vetted_addresses_are_dialled(host: str, addresses: tuple[str, ...], dialled: str | None) -> None:
    server = tflow.tserver_conn()
    server.state = type(server.state)(0)
    server.address, server.sni = (host, 443), None
    client = flow().client_conn
    client.sni = None
    data = ServerConnectionHookData(server=server, client=client)
    asyncio.run(addon(names={host: addresses}).server_connect(data))
    if dialled is None:
        assert server.error
        assert ("checked" in server.error) is (host == "a b")
        assert not isinstance(server.address, VettedAddress)
    else:
        assert server.error is None
        assert [*server.address] == [dialled, 443]
        assert server.address == (host, 443)
        if not host[0].isdigit():
            assert ip_address(dialled) != server.sni == host


def test_a_settled_flow_is_left_alone() -> None:
    made = flow()
    made.live = False
    addon().requestheaders(made)
    assert made.response is None
