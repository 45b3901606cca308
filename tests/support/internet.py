"""The rest of the internet as a process: a resolver for every name, and an origin behind all of them.

    python -m tests.support.internet FOLDER RESOLVER_ADDRESS:PORT ORIGIN_ADDRESS:HTTP:HTTPS NAME...

Writes ``origin-ca.pem`` into FOLDER, says ``ready``, and at SIGTERM prints as JSON what it has seen.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.dns_servers import FakeResolver, zone
from tests.support.origins import Origin, OriginCA


async def main(folder: Path, resolver: str, origin: str, names: Sequence[str]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    address, http, https = origin.split(":")
    records = [f"{name}. 60 IN A {address}" for name in names]
    dns = FakeResolver(zone(records))
    host, _, port = resolver.rpartition(":")
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: dns, local_addr=(host, int(port)))
    stream = await asyncio.start_server(dns._stream, host, int(port))
    plain, secure = Origin(address), Origin(address, OriginCA(folder).context(*names))
    async with plain.serving(int(http)), secure.serving(int(https)):
        print("ready", flush=True)
        await stop.wait()
    transport.close()
    stream.close()
    hosts = [
        host for seen in (*plain.requests, *secure.requests) for host in seen.header("host") + seen.header(":authority")
    ]
    requests = [[r.method, r.path] for r in (*plain.requests, *secure.requests)]
    connections = plain.connections + secure.connections
    print(json.dumps({"connections": connections, "hosts": hosts, "asked": len(dns.asked), "requests": requests}))


@dataclass
class Internet:
    """A started one."""

    process: subprocess.Popen[str]
    ca: Path
    seen: dict[str, Any] = field(default_factory=dict)
    """After the end: ``connections`` to the origin, ``hosts`` requested there, ``asked`` questions of the
    resolver, ``requests`` as method and path."""

    def end(self) -> dict[str, Any]:
        """Stop it and read what it has seen."""
        if not self.seen:
            self.process.terminate()
            said, _ = self.process.communicate(timeout=20)
            self.seen = json.loads(said.splitlines()[-1])
        return self.seen


@contextmanager
def internet(
    folder: Path, resolver: str, origin: str, names: Sequence[str], prefix: Sequence[str] = ()
) -> Iterator[Internet]:
    """Start one, in the namespace that ``prefix`` leads to."""
    command = [*prefix, sys.executable, "-m", "tests.support.internet", str(folder), resolver, origin, *names]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    try:
        assert process.stdout
        assert process.stdout.readline().strip() == "ready"
        yield Internet(process, folder / "origin-ca.pem")
    finally:
        process.terminate()
        process.communicate(timeout=20)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]))
