"""Users of a directory: simple bind over TLS (RFC 4513), with ldap3, which mitmproxy brings along anyway.

Every step has its time-out, and connections are kept for the next question. A password stays with the one bind it is
for; referrals are not followed, since they would carry it to somebody else.
"""

from __future__ import annotations

import secrets
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import ldap3
from ldap3.core.exceptions import LDAPException
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn, parse_dn

from sumun.config.user_settings import Ldap, LdapServer
from sumun.model.user import BadUserName, Identity, user_name
from sumun.users.errors import Unavailable, UsersFault

_GROUPS = 500
"""Groups of one user that are taken."""
_REFUSALS = frozenset({
    19,  # constraintViolation: locked out, by some servers
    32,  # noSuchObject
    34,  # invalidDNSyntax
    48,  # inappropriateAuthentication
    49,  # invalidCredentials
    50,  # insufficientAccessRights
    53,  # unwillingToPerform: disabled, by some servers
})  # fmt: skip
"""Results of a bind (RFC 4511, appendix A) that mean: not with this password."""


class _Refused(Exception):
    """The bind was answered: no."""


@dataclass(slots=True)
class _Session:
    """Two connections to one server: one asks, one is bound as whoever proves who they are."""

    asking: Any
    proving: Any
    sockets: tuple[Any, ...] = ()

    def close(self) -> None:
        sockets = [*self.sockets, self.asking.socket, self.proving.socket]
        for connection in (self.asking, self.proving):
            with suppress(LDAPException, OSError):
                connection.unbind()
        for sock in filter(None, sockets):  # ldap3 leaves some open where a handshake, or the server, fails
            sock.close()


class LdapDirectory:
    """Checks passwords against a directory; every method may wait, and be called from any thread."""

    def __init__(self, settings: Ldap, password: str = "") -> None:
        """Take the settings and the password of ``bind_dn``; nothing is connected yet."""
        self._settings = settings
        self._password = password
        self._idle: list[_Session] = []
        self._lock = threading.Lock()
        self._within = settings.timeout.total_seconds()
        self._context = ssl.create_default_context(cafile=str(settings.ca) if settings.ca else None)

    @classmethod
    def of(cls, settings: Ldap) -> LdapDirectory:
        """With the password out of its file; raises UsersFault."""
        return cls(settings, private_line(settings.bind_password) if settings.bind_password else "")

    def check(self, name: str, password: bytes) -> Identity | None:
        """The user, if the password is theirs; raises Unavailable."""
        try:
            secret = password.decode()
        except UnicodeDecodeError:
            return None  # a simple bind takes UTF-8 (RFC 4513, 6.3)
        if not secret:
            return None  # a bind without a password proves nothing (RFC 4513, 5.1.2)
        with self._lock:
            session = self._idle.pop() if self._idle else None
        if session:
            with suppress(LDAPException, OSError):  # the server has closed what lay idle
                return self._with(session, name, secret)
        try:
            return self._with(self._open(), name, secret)
        except Exception as error:  # noqa: BLE001 - ldap3 raises all sorts of things, whose messages may quote what was sent
            raise Unavailable(f"the directory fails: {type(error).__name__}") from None

    def close(self) -> None:
        """Close what lies idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session in idle:
            session.close()

    def _with(self, session: _Session, name: str, password: str) -> Identity | None:
        try:
            found = self._prove(session, name, password)
        except BaseException:
            session.close()
            raise
        with self._lock:
            self._idle.append(session)
        return found

    def _prove(self, session: _Session, name: str, password: str) -> Identity | None:
        dn = self._dn(session, name)
        # who is not found is asked about all the same, so that it takes as long
        missing = f"cn={secrets.token_hex(8)},{self._settings.base}"
        try:
            _bind(session.proving, dn or missing, password)
        except _Refused:
            return None
        return self._identity(session, dn, name) if dn else None

    def _dn(self, session: _Session, name: str) -> str | None:
        """The user's entry: as configured, or the one that is found."""
        settings = self._settings
        if settings.user_dn:
            return settings.user_dn.replace("{user}", escape_rdn(name))
        question = settings.filter.replace("{user}", escape_filter_chars(name))
        found = _search(session.asking, settings.base, question, [settings.name], limit=2)
        return str(found[0]["dn"]) if len(found) == 1 else None

    def _identity(self, session: _Session, dn: str, typed: str) -> Identity | None:
        """Name and groups as the directory has them: what is typed may be another spelling."""
        settings = self._settings
        asking = session.proving if settings.user_dn else session.asking
        wanted = [settings.name, *filter(None, [settings.member_of])]
        found = _search(asking, dn, "(objectClass=*)", wanted, limit=1, scope=ldap3.BASE)
        names = [known for value in _values(found, settings.name) if (known := _name(value))]
        if not names:
            return None
        groups = {_name(_first_rdn(value)) for value in _values(found, settings.member_of)[:_GROUPS]}
        if settings.group_base:
            groups |= self._searched_groups(asking, dn, typed)
        return Identity(typed if typed in names else names[0], frozenset(filter(None, groups)))

    def _searched_groups(self, asking: Any, dn: str, typed: str) -> set[str]:
        settings = self._settings
        question = settings.group_filter.replace("{dn}", escape_filter_chars(dn))
        question = question.replace("{user}", escape_filter_chars(typed))
        found = _search(asking, settings.group_base, question, [settings.group_name], limit=_GROUPS)
        return {_name(value) for entry in found for value in _values([entry], settings.group_name)[:1]}

    def _open(self) -> _Session:
        """Connect to the first server that answers."""
        trouble: Exception = OSError("no server")
        for server in self._settings.servers:
            try:
                return self._opened(server)
            except (LDAPException, OSError) as error:
                trouble = error
        raise trouble

    def _opened(self, spoken: LdapServer) -> _Session:
        session = _Session(self._connection(spoken), self._connection(spoken))
        try:
            for connection in (session.asking, session.proving):
                _begin(connection, spoken)
            session.sockets = session.asking.socket, session.proving.socket
            if self._settings.bind_dn:
                _bind(session.asking, self._settings.bind_dn, self._password)
        except _Refused:
            session.close()
            raise OSError("`bind_dn` is refused") from None
        except BaseException:
            session.close()
            raise
        return session

    def _connection(self, spoken: LdapServer) -> Any:
        server = _server(self._context, spoken, self._within)
        return ldap3.Connection(
            server, client_strategy=ldap3.SYNC, receive_timeout=ceil(self._within),
            auto_referrals=False, check_names=False, raise_exceptions=False,
        )  # fmt: skip


def _begin(connection: Any, spoken: LdapServer) -> None:
    connection.open(read_server_info=False)
    if spoken.start_tls and not connection.start_tls(read_server_info=False):
        raise OSError("the directory refuses StartTLS")


class _Tls(ldap3.Tls):  # type: ignore[misc] # ldap3 has no types
    """TLS as the standard library verifies it, host name included; ldap3 does that by a copy of older code."""

    def __init__(self, context: ssl.SSLContext, host: str, within: float) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context, self._host, self._within = context, host, within

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        """Take the place of ldap3's own; the handshake is bounded in time, and so is every read after it."""
        del do_handshake
        connection.socket.settimeout(self._within)
        connection.socket = self._context.wrap_socket(connection.socket, server_hostname=self._host)


def _server(context: ssl.SSLContext, spoken: LdapServer, within: float) -> Any:
    """A new one each time: ldap3 would remember that an address did not answer."""
    tls = _Tls(context, spoken.host, within)
    return ldap3.Server(
        spoken.host, spoken.port, use_ssl=not spoken.start_tls, tls=tls, get_info=ldap3.NONE, connect_timeout=within
    )


def _bind(connection: Any, dn: str, password: str) -> None:
    """Bind by name and password; raises _Refused, or LDAPException where the server fails."""
    try:
        connection.rebind(user=dn, password=password, authentication=ldap3.SIMPLE, read_server_info=False)
        result = connection.result["result"]
    finally:
        connection.password = None  # it would be kept for binding again
    if result in _REFUSALS:
        raise _Refused
    if result != 0:
        raise LDAPException(f"result {result}")


def _search(
    connection: Any, base: str, question: str, attributes: list[str], *, limit: int, scope: str = ldap3.SUBTREE
) -> list[dict[str, Any]]:
    connection.search(base, question, scope, attributes=attributes, size_limit=limit)
    if connection.result["result"] not in (0, 4, 32):  # success, sizeLimitExceeded, noSuchObject
        raise LDAPException(f"result {connection.result['result']}")
    return [entry for entry in connection.response or () if entry.get("type") == "searchResEntry"]


def _values(entries: list[dict[str, Any]], attribute: str) -> list[str]:
    """What the first entry has of an attribute, whose name has no case."""
    if not entries or not attribute:
        return []
    raw: list[bytes] = next((v for k, v in entries[0]["raw_attributes"].items() if k.lower() == attribute.lower()), [])
    return [value.decode("utf-8", "replace") for value in raw]


def _first_rdn(dn: str) -> str:
    """`staff`, of `cn=staff,ou=groups,dc=example`."""
    with suppress(LDAPException):
        return str(parse_dn(dn, escape=False)[0][1])
    return ""


def _name(text: str) -> str:
    """Canonical; empty where it is no name that rules could have."""
    with suppress(BadUserName):
        return user_name(text)
    return ""


def private_line(path: Path) -> str:
    """The first line of a file that nobody else may read; raises UsersFault."""
    try:
        if mode := path.stat().st_mode & 0o077:
            raise UsersFault(f"`{path}` can be used by others (mode …{mode:o}): run `chmod go= {path}`")
        return path.read_text().splitlines()[0]
    except (OSError, UnicodeDecodeError, IndexError) as error:
        raise UsersFault(f"`{path}` has no line that can be read: {type(error).__name__}") from None
