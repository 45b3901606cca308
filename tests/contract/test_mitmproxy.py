"""What we rely on in mitmproxy, and the traps that we avoid: a new version that changes either must fail here."""

from __future__ import annotations

import asyncio
import importlib.metadata
import inspect
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.addons import next_layer, proxyserver
from mitmproxy.certs import CertStore
from mitmproxy.connection import Server
from mitmproxy.exceptions import AddonHalt
from mitmproxy.net.http.http1 import read_request_head
from mitmproxy.options import Options
from mitmproxy.proxy import commands, layers
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import (
    GetHttpConnection,
    HTTPMode,
    HttpStream,
    RequestData,
    RequestHeaders,
)
from mitmproxy.proxy.layers.http._http1 import Http1Client, Http1Server
from mitmproxy.proxy.layers.http._upstream_proxy import HttpUpstreamProxy
from mitmproxy.proxy.layers.tls import parse_client_hello
from mitmproxy.proxy.mode_servers import ServerInstance
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.proxy.utils import ReceiveBuffer
from mitmproxy.test import taddons, tflow
from mitmproxy.tls import TlsData

from sumun.proxy.guard import GuardInstance, GuardMode
from sumun.proxy.vetted import VettedAddress
from tests.unit.proxy.test_opening import made, names


def context(port: int = 443) -> Context:
    options = Options()
    proxyserver.Proxyserver().load(options_loader(options))
    found = Context(tflow.tclient_conn(), options)
    found.server.address = ("a.test", port)
    found.client.alpn = None
    return found


def options_loader(options: Options) -> Any:
    class Loader:
        add_option = staticmethod(options.add_option)

    return Loader()


def test_tls_in_a_tunnel_knows_the_connection_to_the_next_proxy() -> None:
    """Otherwise nobody could tell that the tunnel is open."""
    inside = context()
    inside.server.via = "http", ("parent.test", 3128)
    HttpUpstreamProxy.make(inside, send_connect=True)
    (tunnel,) = (layer for layer in inside.layers if isinstance(layer, HttpUpstreamProxy))
    assert tunnel.tunnel_connection.address == ("parent.test", 3128)


def test_the_version_is_the_one_we_know() -> None:
    assert importlib.metadata.version("mitmproxy").startswith("12.2.")


def test_a_mode_of_ours_is_registered_by_being_defined() -> None:
    mode = ProxyMode.parse("guard@127.0.0.1:8080")
    assert isinstance(mode, GuardMode)
    assert isinstance(ServerInstance.make(mode, proxyserver.Proxyserver()), GuardInstance)
    with pytest.raises(ValueError, match="no arguments"):
        ProxyMode.parse("guard:data@1")


def test_trap_a_hook_that_raises_lets_the_flow_go_on() -> None:
    class Raising:
        def request(self, _: object) -> None:
            raise RuntimeError("broken")

    async def main() -> None:
        flow = tflow.tflow()
        with taddons.context(Raising()) as master:
            await master.master.addons.handle_lifecycle(_hook(flow))
        assert flow.response is None
        assert flow.error is None

    asyncio.run(main())


def _hook(flow: http.HTTPFlow) -> Any:
    from mitmproxy.proxy.layers.http import HttpRequestHook

    return HttpRequestHook(flow)


def test_a_halt_keeps_later_addons_from_giving_a_certificate() -> None:
    class Halting:
        def tls_start_client(self, _: object) -> None:
            raise AddonHalt

    class Giving:
        def tls_start_client(self, data: TlsData) -> None:
            data.is_dtls = True

    async def main() -> bool:
        from mitmproxy.proxy.layers.tls import TlsStartClientHook

        found = context()
        data = TlsData(found.client, found)
        with taddons.context(Halting(), Giving()) as master:
            await master.master.addons.handle_lifecycle(TlsStartClientHook(data))
        return data.is_dtls

    assert asyncio.run(main()) is False


def test_a_connection_is_found_again_by_comparing_its_address() -> None:
    wanted = GetHttpConnection(("a.test", 443), False, None)
    vetted = VettedAddress.of(ip_address("192.0.2.1"), ("a.test", 443))
    assert wanted.connection_spec_matches(Server(address=vetted))
    assert not wanted.connection_spec_matches(Server(address=("192.0.2.1", 443))), "hence VettedAddress"


def test_the_internals_behind_our_bounds() -> None:
    found = context()
    layer = layers.HttpLayer(found, HTTPMode.transparent)
    assert layer in found.layers
    assert (layer.streams, layer.connections) == ({}, {})
    stream = layers.http.HttpStream(found.fork(), 1)
    assert isinstance(stream.request_body_buf, ReceiveBuffer)
    server = Http1Server(found)
    server.buf += b"GET / HTTP/1.1"
    assert (len(server.buf), server.request) == (14, None)


def test_trap_an_http2_body_without_length_is_not_framed_for_http1() -> None:
    request = http.Request.make("POST", "https://a.test/")
    request.headers.clear()
    request.data.http_version = b"HTTP/2.0"
    client = Http1Client(context())
    sent = [*client.send(RequestHeaders(1, request, False)), *client.send(RequestData(1, b"GET /smuggled"))]
    wire = b"".join(command.data for command in sent if isinstance(command, commands.SendData))
    assert wire.endswith(b"\r\n\r\nGET /smuggled")
    assert b"transfer-encoding" not in wire.lower()
    assert b"content-length" not in wire.lower()


@pytest.mark.parametrize("value", [b"a\x00b", b"a\rb"])
def test_trap_control_octets_in_values_are_taken(value: bytes) -> None:
    request = read_request_head([b"GET / HTTP/1.1", b"Host: a.test", b"X: " + value])
    assert request.headers.fields[-1][1] == value


@pytest.mark.parametrize(
    "odd", [names((0, b"a.test"), (0, b"b.test")), names((0, b"a\x00b")), names((0, b"a%b")), names((0, b""))]
)
def test_trap_an_odd_server_name_looks_like_none(odd: bytes) -> None:
    control = parse_client_hello(made(names((0, b"a.test"))))
    assert control is not None
    assert control.sni == "a.test"
    hello = parse_client_hello(made(odd))
    assert hello is not None
    assert hello.sni is None


@pytest.mark.parametrize(("port", "layer"), [(53, layers.DNSLayer), (80, layers.HttpLayer)])
def test_trap_a_tunnel_to_port_53_becomes_dns(port: int, layer: type) -> None:
    addon = next_layer.NextLayer()
    with taddons.context(addon) as master:
        master.configure(addon, rawtcp=False)
        found = context(port)
        layers.modes.TransparentProxy(found)  # puts itself on the stack
        chosen = addon._next_layer(found, b"GET / HTTP/1.1\r\n", b"")
    assert isinstance(chosen, layer)


def test_trap_a_missing_authority_is_silently_made(tmp_path: Path) -> None:
    CertStore.from_store(tmp_path, "mitmproxy", 2048)
    assert (tmp_path / "mitmproxy-ca.pem").exists()


def test_a_stream_takes_another_way_to_deal_with_failures() -> None:
    """Our page for an origin that fails is made there."""
    assert "handle_protocol_error" in vars(HttpStream)
    assert "yield from self.handle_protocol_error(" in inspect.getsource(HttpStream.make_server_connection)
    assert "if not self.response and status is not None" in inspect.getsource(Http1Server.send)
