"""A real directory on loopback: OpenLDAP's slapd, as Debian has it, with TLS of an authority of its own."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sumun.config.user_settings import Ldap, LdapServer
from tests.support.origins import OriginCA
from tests.support.running import free_ports

BASE = "dc=directory,dc=test"
READER, READERS_PASSWORD = f"cn=reader,{BASE}", "reads only"
ALICE, BOB = "correct:horse", "b\N{LATIN SMALL LETTER O WITH DIAERESIS}b's password"

_CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {folder}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
TLSCACertificateFile {folder}/origin-ca.pem
TLSCertificateFile {certificate}
TLSCertificateKeyFile {certificate}
security {security}
database mdb
suffix {base}
rootdn cn=admin,{base}
rootpw admin
directory {folder}/data
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="{base}" by dn="{reader}" read by users read by * none
"""
_ENTRIES = f"""
dn: {BASE}
objectClass: dcObject
objectClass: organization
dc: directory
o: Directory

dn: {READER}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: {READERS_PASSWORD}

dn: uid=alice,{BASE}
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: Kim
userPassword: {ALICE}
memberOf: cn=Research,{BASE}

dn: uid=bob,{BASE}
objectClass: inetOrgPerson
uid: Bob
cn: Bob
sn: Lee
userPassword: {BOB}

dn: cn=Research,{BASE}
objectClass: groupOfNames
cn: Research
member: uid=alice,{BASE}
"""


@dataclass
class Directory:
    """Where it listens; it may be stopped and started again."""

    folder: Path
    tls_port: int
    plain_port: int
    process: asyncio.subprocess.Process | None = None
    settings: dict[str, object] = field(default_factory=dict)

    def ldap(self, *, start_tls: bool = False, host: str = "localhost", **more: object) -> Ldap:
        """Settings for asking it."""
        server = LdapServer(host, self.plain_port if start_tls else self.tls_port, start_tls)
        return Ldap(**{"servers": (server,), "base": BASE, "ca": self.folder / "origin-ca.pem", **more})  # type: ignore[arg-type] # by name

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            "/usr/sbin/slapd", "-d", "0", "-f", str(self.folder / "slapd.conf"),
            "-h", f"ldaps://127.0.0.1:{self.tls_port} ldap://127.0.0.1:{self.plain_port}",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await _until_open(self.tls_port, self.process)

    async def stop(self) -> None:
        if self.process and self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()


@asynccontextmanager
async def directory(folder: Path, *, certified: str = "localhost") -> AsyncIterator[Directory]:
    """Run one in this folder, with a certificate for this name."""
    if shutil.which("slapd", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("slapd is not installed")
    OriginCA(folder).context(certified)
    (folder / "data").mkdir()
    certificate = folder / f"{certified}.pem"
    configuration = _CONFIG.format(
        folder=folder, certificate=certificate, base=BASE, reader=READER, security="simple_bind=128"
    )
    (folder / "slapd.conf").write_text(configuration)
    (folder / "entries.ldif").write_text(_ENTRIES)
    await _run("/usr/sbin/slapadd", "-f", str(folder / "slapd.conf"), "-l", str(folder / "entries.ldif"))
    found = Directory(folder, *free_ports(2))
    await found.start()
    try:
        yield found
    finally:
        await found.stop()


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()


async def _until_open(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(30):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
    pytest.fail("slapd did not start")
