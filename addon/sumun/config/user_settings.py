"""How the proxy learns who its users are. Frozen, checked values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LdapServer:
    """One server of a directory; TLS from the first octet, or (``ldap://``) by StartTLS before anything else."""

    host: str
    port: int
    start_tls: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'ldap' if self.start_tls else 'ldaps'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Ldap:
    """A directory, asked by simple bind (RFC 4513, 5.1.3)."""

    servers: tuple[LdapServer, ...]
    base: str
    """Under which entries of users are."""
    ca: Path | None = None
    """Roots that it is verified against; None: the system's."""
    user_dn: str = ""
    """The name of a user's entry, with ``{user}``; empty: it is searched for."""
    bind_dn: str = ""
    """Who searches; empty: anybody."""
    bind_password: Path | None = None
    """File of that entry's password."""
    filter: str = "(uid={user})"
    name: str = "uid"
    """Attribute that holds the user's name: what rules and events call them."""
    member_of: str = "memberOf"
    """Attribute of a user that names their groups; empty: none does."""
    group_base: str = ""
    """Under which groups are searched for; empty: they are not."""
    group_filter: str = "(member={dn})"
    group_name: str = "cn"
    timeout: timedelta = timedelta(seconds=5)
    """For each step: connecting, and each answer."""
    connections: int = 4


@dataclass(frozen=True, slots=True)
class IdentityHeader:
    """Fields in which listed parents say who asks; removed from what anybody sends, before it goes on."""

    user: str
    groups: str = ""
    """Names divided by commas; empty: no such field."""

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that never leave."""
        return tuple(name for name in (self.user, self.groups) if name)


@dataclass(frozen=True, slots=True)
class UserSettings:
    """Where users are known; one of ``htpasswd`` and ``ldap`` at most."""

    realm: str = "Internet access"
    """What a browser shows when it asks for the password."""
    htpasswd: Path | None = None
    groups: Path | None = None
    """Lines ``group: user user``, beside ``htpasswd``."""
    ldap: Ldap | None = None
    header: IdentityHeader | None = None
    remember: timedelta = timedelta(minutes=5)
    """For how long a password that was right is not asked about again."""
