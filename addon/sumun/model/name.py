"""Host names and address literals, normalised once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

import idna

type IPAddress = IPv4Address | IPv6Address

_DOT = 0x2E
_PLAIN_LABEL = re.compile(rb"[a-z0-9_-]*\Z")
_PLAIN_NAME = re.compile(rb"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\Z")
_PLAIN_TEXT = re.compile(_PLAIN_NAME.pattern.decode())
_ESCAPE = re.compile(r"\\(\d{3}|[^0-9])", re.ASCII)
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.ASCII)
_MAX_TEXT = 1024
"""Characters looked at before anything is parsed: four times what the longest name can need."""


class InvalidName(ValueError):
    """A text that is no host name; its message says why, for an administrator to read."""


@dataclass(frozen=True, slots=True, order=True)
class DomainName:
    r"""A domain name in its one canonical spelling.

    INVARIANT: lower-case A-labels (RFC 5890) without the final dot; an octet outside ``[a-z0-9_-]`` is
    written ``\DDD`` (RFC 1035, 5.1), so a dot in the text always separates labels.
    """

    text: str

    @classmethod
    def parse(cls, text: str) -> DomainName:
        """Normalise what a person, a header or a list wrote; raises InvalidName with the reason."""
        if text.isascii() and _PLAIN_TEXT.match(plainly := text.strip().lower().removesuffix(".")):
            return cls(plainly)  # as nearly all names are written, a million on a list
        if len(text) > _MAX_TEXT:
            raise InvalidName("name is longer than 253 octets")
        labels = [_a_label(label) for label in _split(_ascii_dots(text.strip()))]
        if labels and labels[-1] == b"":
            labels.pop()
        if not labels:
            raise InvalidName("name is empty")
        return cls.from_labels(labels)

    @classmethod
    def from_labels(cls, labels: Iterable[bytes]) -> DomainName:
        """Build from the octets of each label, as they stand in a DNS message; raises InvalidName."""
        lowered = [label.lower() for label in labels]
        joined = b".".join(lowered)
        if _PLAIN_NAME.match(joined) and joined.count(b".") == len(lowered) - 1:
            return cls(joined.decode())
        if any(not label for label in lowered):
            raise InvalidName("name has an empty label")
        if any(len(label) > 63 for label in lowered):
            raise InvalidName("label is longer than 63 octets")
        if sum(map(len, lowered)) + len(lowered) > 254:
            raise InvalidName("name is longer than 253 octets")
        return cls(".".join(map(_present, lowered)))

    @classmethod
    def from_wire(cls, wire: bytes, places: Sequence[int]) -> DomainName:
        """Build from a name as a message has it, whole and with its final zero; ``places`` are those of the lengths.

        The same as ``from_labels`` of its labels, at a third of the cost for names of letters, digits and hyphens.
        """
        plain_ = bytearray(wire[1:-1].lower())  # no length looks like a letter
        for place in places[1:]:
            plain_[place - 1] = _DOT
        if _PLAIN_NAME.fullmatch(plain_) and plain_.count(_DOT) == len(places) - 1 and len(wire) <= 255:
            return cls(plain_.decode())
        return cls.from_labels(wire[place + 1 : place + 1 + wire[place]] for place in places)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels from left to right; none for the root."""
        return tuple(self.text.split(".")) if self.text else ()

    def suffixes(self) -> Iterator[str]:
        """This name, then each parent up to the top-level domain."""
        text, start = self.text, 0
        while text[start:]:
            yield text[start:]
            start = text.find(".", start) + 1 or len(text)

    def __str__(self) -> str:
        return self.text


def parse_host(text: str) -> DomainName | IPAddress:
    """Read the host of a URL: a name, or an address in any spelling a browser takes; raises InvalidName.

    Follows the host parser of the WHATWG URL standard, so that ``0x7f000001``, ``127.1`` and
    ``[::ffff:127.0.0.1]`` are the addresses that a client would connect to.
    """
    if text.startswith("["):
        return _address6(text)
    name = DomainName.parse(_percent_decoded(text))
    last = name.labels[-1]
    if _NUMBER.fullmatch(last):
        return _numeric_address(name)
    return name


def plain(address: IPAddress) -> IPAddress:
    """Return the IPv4 address inside an IPv4-mapped IPv6 one, and anything else as it is."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _address6(text: str) -> IPAddress:
    try:
        return plain(ip_address(text.removeprefix("[").removesuffix("]").partition("%")[0]))
    except ValueError:
        raise InvalidName(f"`{text}` is not an IPv6 address") from None


def _percent_decoded(text: str) -> str:
    if "%" not in text:
        return text
    try:
        raw = re.sub(rb"%([0-9a-fA-F]{2})", lambda m: bytes.fromhex(m[1].decode()), text.encode())
        return raw.decode()
    except UnicodeDecodeError:
        raise InvalidName("percent-encoding is not UTF-8") from None


def _numeric_address(name: DomainName) -> IPv4Address:
    parts = name.labels
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        raise InvalidName(f"`{name}` ends in a number but is no IPv4 address")
    *high, low = map(_number, parts)
    if any(part > 255 for part in high) or low >= 256 ** (4 - len(high)):
        raise InvalidName(f"`{name}` is no IPv4 address: a part is too large")
    return IPv4Address(sum(part << 8 * (3 - i) for i, part in enumerate(high)) + low)


def _number(text: str) -> int:
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    try:
        return int(text, 8 if text.startswith("0") else 10)
    except ValueError:
        raise InvalidName(f"`{text}` is not an octal number") from None


def _ascii_dots(text: str) -> str:
    """Apply UTS 46 mapping, which also folds full-width letters and the ideographic full stop."""
    if text.isascii():
        return text
    try:
        return idna.uts46_remap(text, std3_rules=False, transitional=False)
    except idna.IDNAError as error:
        raise InvalidName(str(error)) from None


def _split(text: str) -> list[str]:
    """Split at dots that are not escaped (RFC 1035, 5.1)."""
    labels, pending = [], ""
    for part in text.split("."):
        pending += part
        if (len(pending) - len(pending.rstrip("\\"))) % 2:
            pending += "."
            continue
        labels.append(pending)
        pending = ""
    if pending:
        raise InvalidName("name ends in an incomplete escape")
    return labels


def _a_label(label: str) -> bytes:
    if not label.isascii():
        return _encoded(label)
    if "\\" in label:
        return _unescaped(label)
    if any(c <= " " or c == "\x7f" for c in label):
        raise InvalidName("name has a space or a control character")
    return label.lower().encode()


def _encoded(label: str) -> bytes:
    try:
        return idna.alabel(label)
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidName(f"label `{label}` is not an internationalised label: {error}") from None


def _unescaped(label: str) -> bytes:
    def octet(match: re.Match[str]) -> str:
        digits = match[1]
        if not digits.isdigit():
            return digits
        if int(digits) > 255:
            raise InvalidName(f"escape `\\{digits}` is above 255")
        return chr(int(digits))

    if "\\" in _ESCAPE.sub("", label):
        raise InvalidName("name has an incomplete escape")
    return _ESCAPE.sub(octet, label).encode("latin-1")


def _present(label: bytes) -> str:
    if _PLAIN_LABEL.match(label):
        return label.decode()
    return "".join(chr(o) if _PLAIN_LABEL.match(bytes([o])) else f"\\{o:03d}" for o in label)
