"""The same policy in Sumun and, exported as a response policy zone, in a real Unbound: no disagreement."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode
import pytest

from sumun.export.formats import FORMATS
from sumun.export.names import entries_for
from sumun.export.write import write
from sumun.model.segment import DnsAnswer, DnsPolicy
from sumun.policy.blocked import BlockedNames
from sumun.policy.engine import Policy
from tests.integration.test_sinkhole import running
from tests.support.builders import NOON, policy, rule, segment
from tests.support.dns_servers import FakeResolver, serving, zone
from tests.support.running import free_ports

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("unbound") is None, reason="needs Unbound (unbound)"),
]
QUERIES = 3_000
LISTED = [f"host-{number}.zone-{number % 7}.example" for number in range(60)] + ["deepseek.example", "a-b.example"]
SPARED = [f"ok.b.{name}" for name in LISTED[::3]]
"""Exceptions within what is blocked, with a name between that nothing is said of."""
BLOCKED_AGAIN = [f"no.{name}" for name in SPARED[::2]]
TARGETS = [f"{prefix}{name}" for name in LISTED for prefix in ("", "www.", "a.b.", "x", "b.", "ok.b.", "y.ok.b.")]
TARGETS += [f"{prefix}{name}" for name in BLOCKED_AGAIN for prefix in ("", "z.")]
OTHER = "plain.example"
"""Not below ``test``, which Unbound answers by itself."""
NEIGHBOURS = ["example", "zone-1.example", "zone-2.example", "deepseek.example.org", "notdeepseek.example", OTHER]
ZONE = zone([f"{name}. 300 IN A 192.0.2.80" for name in [*TARGETS, *NEIGHBOURS]])


def blocking() -> Policy:
    rules = [
        rule("again", "block", domains=BLOCKED_AGAIN),
        rule("spared", "allow", domains=SPARED),
        rule("listed", "block", domains=LISTED),
    ]
    return policy(segment("all", "127.0.0.0/8", rules=rules, dns=DnsPolicy(answer=DnsAnswer.NXDOMAIN)))


def exported() -> str:
    policy_ = blocking()
    names = BlockedNames.of(policy_, policy_.segments.segments[0], NOON)
    assert names
    written = write(entries_for(names.patterns(), names.covers), FORMATS["rpz"])
    assert written.losses == ()
    return written.text


@asynccontextmanager
async def unbound(folder: Path, upstream: FakeResolver) -> AsyncIterator[int]:
    (port,) = free_ports(1)
    (folder / "rpz").write_text(exported())
    (folder / "conf").write_text(f"""
server:
  interface: 127.0.0.1@{port}
  do-daemonize: no
  use-syslog: no
  chroot: ""
  username: ""
  pidfile: ""
  directory: "{folder}"
  module-config: "respip iterator"
  do-not-query-localhost: no
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@{upstream.port}
rpz:
  name: "rpz.test."
  zonefile: "{folder}/rpz"
remote-control:
  control-enable: no
""")
    process = await asyncio.create_subprocess_exec("unbound", "-d", "-c", str(folder / "conf"))
    try:
        for _ in range(300):
            try:
                await ask(port, OTHER, "A", 0.2)
                break
            except (dns.exception.DNSException, OSError):
                await asyncio.sleep(0.05)  # nobody listens yet
        yield port
    finally:
        process.terminate()
        await process.wait()


async def ask(port: int, name: str, type_: str, patience: float = 60.0) -> dns.message.Message:
    return await dns.asyncquery.udp(dns.message.make_query(name, type_), "127.0.0.1", patience, port=port)


def spelled(chance: random.Random, name: str) -> str:
    return "".join(c.upper() if chance.random() < 0.3 else c for c in name)


def test_both_block_the_same(tmp_path: Path) -> None:
    chance = random.Random(8914)
    types = ["A", "AAAA", "TXT", "MX", "NS", "SOA", "HTTPS"]
    asked = [(spelled(chance, chance.choice(TARGETS + NEIGHBOURS * 20)), chance.choice(types)) for _ in range(QUERIES)]

    async def main() -> tuple[int, list[str]]:
        disagree, blocked = [], 0
        async with (
            running(behaviour=ZONE, policy=blocking) as ours,
            serving(ZONE) as upstream,
            unbound(tmp_path, upstream) as theirs,
        ):
            for start in range(0, len(asked), 25):
                part = asked[start : start + 25]
                mine = await asyncio.gather(*(ask(ours.sinkhole.port, *each) for each in part))
                other = await asyncio.gather(*(ask(theirs, *each) for each in part))
                for each, one, two in zip(part, mine, other, strict=True):
                    blocked += one.rcode() == dns.rcode.NXDOMAIN
                    if (one.rcode(), addresses(one)) != (two.rcode(), addresses(two)):
                        disagree.append(f"{each}: {one.rcode()} {addresses(one)}, {two.rcode()} {addresses(two)}")
        return blocked, disagree

    blocked, disagree = asyncio.run(main())
    assert disagree == []
    assert QUERIES // 4 < blocked < QUERIES * 3 // 4 + 500, "the mix has both"


def addresses(message: dns.message.Message) -> list[str]:
    return sorted(record.to_text() for rrset in message.answer for record in rrset)
