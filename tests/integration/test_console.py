"""The console on real sockets."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest

from sumun.config.settings import Listen, Listener, PagesListener, Settings
from sumun.console.console import Console, ConsoleFault
from sumun.console.probes import HEALTH_NAME, Probe, ProbeFailed, dns_answers, tcp_connects
from sumun.console.view import LoadedView
from tests.support.builders import NOON

pytestmark = pytest.mark.integration
LOOPBACK = ip_address("127.0.0.1")


def console(tmp_path: Path, *, port: int = 0, address: str = "127.0.0.1", **probes: Probe) -> Console:
    listener = Listener(ip_address(address), port)
    other = Listener(LOOPBACK, 1)
    settings = Settings(Listen(other, other, PagesListener(LOOPBACK, None, 1, 1), listener), (), tmp_path)
    return Console(
        settings=settings, loaded=lambda: LoadedView("5f1d0c2ab9e4", []), metrics_folder=tmp_path / "metrics",
        probes=probes, clock=lambda: NOON,
    )  # fmt: skip


@asynccontextmanager
async def serving(one: Console) -> AsyncIterator[Console]:
    await one.start()
    try:
        yield one
    finally:
        await one.stop()


async def get(port: int, path: str, *, host: str = "127.0.0.1") -> str:
    reader, writer = await asyncio.open_connection(host, port)
    name = f"[{host}]" if ":" in host else host
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {name}:{port}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.decode()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_it_serves_stops_and_starts_again(tmp_path: Path, address: str) -> None:
    async def scenario() -> None:
        async with serving(console(tmp_path, address=address)) as one:
            port = one.port
            metrics = await get(port, "/metrics", host=address)
            assert metrics.startswith("HTTP/1.1 200 OK\r\n")
            assert 'sumun_policy_info{revision="5f1d0c2ab9e4"} 1.0' in metrics
            assert "# TYPE sumun_decisions_total counter" in metrics
            assert "\r\nserver:" not in metrics.lower()
            assert (await get(port, "/healthz", host=address)).endswith("\r\n\r\nok\n")
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await get(port, "/healthz", host=address)
        async with serving(console(tmp_path, port=port, address=address)):
            assert (await get(port, "/healthz", host=address)).startswith("HTTP/1.1 200")

    asyncio.run(scenario())


def test_a_taken_port_is_named_with_a_remedy(tmp_path: Path) -> None:
    async def scenario(port: int) -> None:
        with pytest.raises(ConsoleFault, match=rf"`127.0.0.1` port `{port}` .*another program listens there: stop it"):
            await console(tmp_path, port=port).start()

    with socket.create_server(("127.0.0.1", 0)) as taken:
        asyncio.run(scenario(taken.getsockname()[1]))


def test_an_address_of_another_host_is_named_too(tmp_path: Path) -> None:
    with pytest.raises(ConsoleFault, match="this host does not have the address"):
        asyncio.run(console(tmp_path, address="192.0.2.1").start())


def test_signals_stay_with_the_application(tmp_path: Path) -> None:
    """Guards the supervisor: the embedded server must not take SIGTERM for itself."""

    async def scenario() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print)
        ours = signal.getsignal(signal.SIGTERM)
        async with serving(console(tmp_path)):
            assert signal.getsignal(signal.SIGTERM) == ours

    asyncio.run(scenario())


def test_stopping_lets_a_running_request_finish(tmp_path: Path) -> None:
    async def scenario() -> str:
        asked, go = asyncio.Event(), asyncio.Event()

        async def slow() -> None:
            asked.set()
            await go.wait()

        one = console(tmp_path, dns=slow)
        await one.start()
        request = asyncio.create_task(get(one.port, "/readyz"))
        await asked.wait()
        stopping = asyncio.create_task(one.stop())
        await asyncio.sleep(0)
        go.set()
        await stopping
        return await request

    assert '"ready":true' in asyncio.run(scenario())


def test_ready_turns_to_503_when_a_role_goes(tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        role = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
        probe = tcp_connects(LOOPBACK, role.sockets[0].getsockname()[1])
        async with serving(console(tmp_path, proxy=probe)) as one:
            there = await get(one.port, "/readyz")
            role.close()
            await role.wait_closed()
            return [there.split("\r\n")[0], (await get(one.port, "/readyz")).split("\r\n")[0]]

    assert asyncio.run(scenario()) == ["HTTP/1.1 200 OK", "HTTP/1.1 503 Service Unavailable"]


type Reply = Callable[[dns.message.Message], bytes]


def _reply(rcode: dns.rcode.Rcode) -> Reply:
    def reply(query: dns.message.Message) -> bytes:
        assert str(query.question[0].name) == HEALTH_NAME + "."
        response = dns.message.make_response(query)
        response.set_rcode(rcode)
        return response.to_wire()

    return reply


def _other_id(query: dns.message.Message) -> bytes:
    query.id ^= 1
    query.flags |= dns.flags.QR
    return query.to_wire()


async def _ask(reply: Reply) -> None:
    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.DatagramTransport)
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            self.transport.sendto(reply(dns.message.from_wire(data)), addr)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    try:
        await dns_answers(LOOPBACK, transport.get_extra_info("sockname")[1])()
    finally:
        transport.close()


@pytest.mark.parametrize("rcode", [dns.rcode.NOERROR, dns.rcode.REFUSED])
def test_a_resolver_that_answers_is_ready(rcode: dns.rcode.Rcode) -> None:
    asyncio.run(_ask(_reply(rcode)))


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        pytest.param(_reply(dns.rcode.SERVFAIL), "the answer is SERVFAIL", id="servfail"),
        pytest.param(lambda _: b"noise", "the answer is no dns message", id="noise"),
        pytest.param(_other_id, "the answer is to another question", id="wrong id"),
        pytest.param(lambda query: query.to_wire(), "the answer is to another question", id="an echo"),
    ],
)
def test_a_resolver_that_does_not_is_not(reply: Reply, why: str) -> None:
    with pytest.raises(ProbeFailed, match=why):
        asyncio.run(_ask(reply))


@pytest.mark.parametrize("probe", [dns_answers, tcp_connects])
def test_nobody_there_is_told_at_once(probe: Callable[..., Callable[[], Awaitable[None]]]) -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as closing:
            port = closing.getsockname()[1]
        async with asyncio.timeout(60):
            await probe(LOOPBACK, port)()

    with pytest.raises(ProbeFailed, match=r"refused|call failed"):
        asyncio.run(scenario())
