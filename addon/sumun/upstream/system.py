"""The resolvers that the host itself uses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from sumun.config.settings import Transport, Upstream
from sumun.model.name import IPAddress
from sumun.upstream.errors import UpstreamError

RESOLV_CONF = Path("/etc/resolv.conf")
_MAX_SERVERS = 3
"""As many as the C library reads (resolv.conf(5), MAXNS)."""
type Endpoint = tuple[IPAddress, int]


@dataclass(slots=True)
class SystemResolvers:
    """The name servers of resolv.conf, read again when the file changes, without ourselves among them."""

    path: Path
    ours: frozenset[Endpoint]
    _seen: tuple[int, int] | None = None
    _servers: tuple[Upstream, ...] = ()

    def current(self) -> tuple[Upstream, ...]:
        """The resolvers to ask now; raises UpstreamError if there are none."""
        try:
            status = self.path.stat()
            if (mark := (status.st_mtime_ns, status.st_ino)) != self._seen:
                self._servers, self._seen = _servers(self.path.read_text(errors="replace"), self.ours), mark
        except OSError as fault:
            raise UpstreamError(f"reading `{self.path}`: {fault.strerror}") from fault
        if not self._servers:
            raise UpstreamError(f"`{self.path}` names no resolver other than this one; name one under `upstreams`")
        return self._servers


def _servers(text: str, ours: Iterable[Endpoint]) -> tuple[Upstream, ...]:
    words = [line.split() for line in text.splitlines()]
    hosts = [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]
    found = [host for host in hosts if (address := _address(host)) and not _is_ours(address, ours)]
    return tuple(Upstream("system", Transport.UDP, host) for host in found[:_MAX_SERVERS])


def _is_ours(server: IPAddress, ours: Iterable[Endpoint]) -> bool:
    """Whether a question to this server would come back; who listens on the wildcard has all of loopback."""
    return any(
        port == 53 and (server == address or (address.is_unspecified and server.is_loopback)) for address, port in ours
    )


def _address(text: str) -> IPAddress | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
