"""Where users are known, as the file says it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from sumun.config import values
from sumun.config.forms import Duration, Line, Raw, Some, read
from sumun.config.user_settings import LdapServer

type FieldName = Annotated[str, read(values.identity_field)]


class RawLdap(Raw):
    """A directory, asked over TLS by simple bind."""

    servers: Some[Annotated[LdapServer, read(values.ldap_server)]] = Field(
        description="`ldaps://ldap.example`, or `ldap://…` with StartTLS; the first that answers is asked."
    )
    ca: Line = Field(default="system", description="Roots that it is verified against: system, or a PEM file.")
    base: Line = Field(description="Entry under which those of users are.")
    user_dn: Line = Field(default="", description="Entry of a user, with {user}; without it, it is searched for.")
    bind_dn: Line = Field(default="", description="Entry that may search; without it anybody may.")
    bind_password: Line = Field(default="", description="File with that entry's password, readable by this user only.")
    filter: Line = Field(default="(uid={user})", description="Finds the one entry of a user.")
    name: Line = Field(default="uid", description="Attribute with the user's name, as rules and events have it.")
    member_of: Line = Field(default="memberOf", description="Attribute of a user with their groups; `none`: no such.")
    group_base: Line = Field(default="", description="Entry under which groups are searched for.")
    group_filter: Line = Field(default="(member={dn})", description="Finds groups; with {dn} or {user}.")
    group_name: Line = Field(default="cn", description="Attribute with the name of a group.")
    timeout: Annotated[int, Field(ge=1, le=60)] = Field(
        default=5, description="Seconds for connecting, and for each answer."
    )
    connections: Annotated[int, Field(ge=1, le=32)] = Field(default=4, description="Of each worker of the proxy.")


class RawIdentityHeader(Raw):
    """What listed parents (`listen.proxy.trusted`) say of the user; removed from all others."""

    user: FieldName = Field(default="X-Authenticated-User", description="Field with the name.")
    groups: FieldName | None = Field(default=None, description="Field with groups, divided by commas.")


class RawUsers(Raw):
    """How the proxy learns who its users are; a change needs a restart."""

    realm: Annotated[str, read(values.realm)] = Field(
        default="Internet access", description="Shown where a browser asks for the password."
    )
    htpasswd: Line = Field(default="", description="File of hashed passwords: bcrypt, SHA-256 or SHA-512 crypt.")
    groups: Line = Field(default="", description="File of lines `group: user user`.")
    ldap: RawLdap | None = Field(default=None, description="A directory in place of the file.")
    header: RawIdentityHeader | None = Field(default=None, description="What listed parents say of the user.")
    remember: Duration = Field(
        default=timedelta(minutes=5), description="For how long a right password is not asked about again."
    )
