"""The forms of single values in the configuration: text parsed once, with what an editor shows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from sumun.config import moments, values
from sumun.config.fault import Unreadable, not_a, quoted
from sumun.model.name import DomainName, IPAddress
from sumun.model.rule import IPNetwork
from sumun.model.text import Text


def read[T](parse: Callable[[str], T]) -> PlainValidator:
    """Apply a parser to a text; a bare number counts as the text it was written as."""

    def check(value: object) -> T:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise Unreadable(not_a("text", value))
        return parse(value)

    return PlainValidator(check, json_schema_input_type=str)


def _text(value: object) -> Text:
    entries = value if isinstance(value, dict) else {"en": value}
    for tag, message in entries.items():
        if not isinstance(message, str | int) or isinstance(message, bool):
            raise Unreadable(not_a("text", message))
        if not (tag.isascii() and tag.replace("-", "").isalnum() and len(tag) <= 20):
            raise Unreadable(f"{quoted(tag)} is not a language: write `en` or `ko`")
    return Text.of({tag: values.words(str(message)) for tag, message in entries.items()})


_LANGUAGES = {"type": "object", "additionalProperties": {"type": "string"}}

type Id = Annotated[str, read(values.identifier)]
type Line = Annotated[str, read(values.line_of_words)]
type Words = Annotated[Text, PlainValidator(_text), WithJsonSchema({"anyOf": [{"type": "string"}, _LANGUAGES]})]
type Name = Annotated[DomainName, read(values.domain_name)]
type Network = Annotated[IPNetwork, read(values.network)]
type Address = Annotated[IPAddress, read(values.address)]
type Address4 = Annotated[IPv4Address, read(values.address4)]
type Address6 = Annotated[IPv6Address, read(values.address6)]
type Country = Annotated[str, read(values.country)]
type Duration = Annotated[timedelta, read(values.duration)]
type Patience = Annotated[timedelta, read(values.patience)]
type Zone = Annotated[ZoneInfo, read(moments.zone)]
type Moment = Annotated[moments.Moment, read(moments.moment)]
type Day = Annotated[date, read(moments.day)]
type Port = Annotated[int, Field(ge=1, le=65535)]
type Workers = Annotated[int, Field(ge=1, le=64)]
type Some[T] = Annotated[list[T], Field(min_length=1)]
"""A list in a condition: empty it could never hold."""


class Raw(BaseModel):
    """Strict, so that a text is no number and ``yes`` no truth value; a key with nothing after it is left out."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_empty(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None or key == "answer"}


def as_list(value: object) -> object:
    """One entry may stand without its brackets where the plural is no surprise."""
    return [value] if isinstance(value, str) else value


type OneOrMore[T] = Annotated[
    list[T], BeforeValidator(as_list, json_schema_input_type=str | list[str]), Field(min_length=1)
]
