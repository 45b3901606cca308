"""Vets a logo: a PNG, or an SVG in which nothing runs and nothing is loaded.

A page shows it as an image, where browsers run no script and load nothing (SVG 2, 2.7.3 "secure static mode"), under a
policy that allows ``data:`` images alone. What is refused here would be held back by both; three locks are better than
two, and whoever configures the filter learns at once that a file is not what it seems.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from struct import unpack
from xml.etree import ElementTree as ET  # only after a check that there is no DTD in it, and on a few kilobytes
from zlib import crc32

from sumun.config.fault import Unreadable
from sumun.model.logo import MAX_LOGO, Logo

_PNG = b"\x89PNG\r\n\x1a\n"
_MAX_PIXELS = 2_000_000
"""Of a PNG: a few kilobytes can unpack to much more than a page needs."""
_SVG = "http://www.w3.org/2000/svg"
_ELEMENTS = frozenset({
    "svg", "g", "defs", "symbol", "use", "title", "desc", "path", "rect", "circle", "ellipse", "line", "polyline",
    "polygon", "text", "tspan", "style", "linearGradient", "radialGradient", "stop", "clipPath", "mask", "pattern",
})  # fmt: skip
"""What draws; ``script``, ``foreignObject``, ``image``, ``a``, animations and filters are not among them."""
_HREFS = frozenset({"href", "{http://www.w3.org/1999/xlink}href"})
_OUTSIDE = re.compile(r"url\(\s*+[\"']?+(?!\s*#)|@import|@font-face|expression\(|javascript:|data:|\\", re.IGNORECASE)
"""In an attribute or a style sheet: what leads out of the picture; an escape could spell any of it."""
_REMEDY = "save it as plain SVG, or as PNG"


def read_logo(octets: bytes) -> Logo:
    """Read a picture; raises Unreadable with what is wrong."""
    if len(octets) > MAX_LOGO:
        raise Unreadable(f"the logo has more than {MAX_LOGO:,} octets: make it smaller, it is shown 48 pixels high")
    if octets.startswith(_PNG):
        _vet_png(octets)
        return Logo.of("image/png", octets)
    if re.match(rb"\s*(\xef\xbb\xbf)?\s*<", octets):
        _vet_svg(octets)
        return Logo.of("image/svg+xml", octets)
    raise Unreadable("the logo is neither a PNG nor an SVG")


def _vet_png(octets: bytes) -> None:
    """Whole chunks with right sums from IHDR to IEND, and nothing after it (PNG, 5.3)."""
    kinds, position = [], len(_PNG)
    while position < len(octets):
        head = octets[position : position + 8]
        if len(head) < 8:
            raise Unreadable("the logo is a damaged PNG")
        size, kind = unpack(">I4s", head)
        body, checksum = octets[position + 8 : position + 8 + size], octets[position + 8 + size : position + 12 + size]
        if len(checksum) < 4 or unpack(">I", checksum)[0] != crc32(kind + body):
            raise Unreadable("the logo is a damaged PNG")
        if kind == b"IHDR" and (size != 13 or not 0 < _pixels(body) <= _MAX_PIXELS):
            raise Unreadable(f"the logo must have between 1 and {_MAX_PIXELS:,} pixels")
        kinds.append(kind)
        position += 12 + size
    if not (kinds and kinds[0] == b"IHDR" and kinds[-1] == b"IEND" and b"IDAT" in kinds and kinds.count(b"IEND") == 1):
        raise Unreadable("the logo is a damaged PNG")


def _pixels(header: bytes) -> int:
    width, height = unpack(">II", header[:8])
    return int(width * height)


def _vet_svg(octets: bytes) -> None:
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("the logo is an SVG that is not UTF-8") from None
    # INVARIANT: without a DTD there are no entities, so the parser expands nothing and opens nothing.
    if "<!DOCTYPE" in text.upper() or "<!ENTITY" in text.upper() or "<?xml-stylesheet" in text.lower():
        raise Unreadable(f"the logo is an SVG with a document type or a style sheet of its own: {_REMEDY}")
    try:
        root = ET.fromstring(text)  # noqa: S314 - see the invariant above
    except (ET.ParseError, ValueError) as why:
        raise Unreadable(f"the logo is no SVG: {why}") from None
    if root.tag != f"{{{_SVG}}}svg":
        raise Unreadable("the logo is no SVG: its root is not `svg` of http://www.w3.org/2000/svg")
    for complaint in _complaints(root):
        raise Unreadable(f"the logo {complaint}: {_REMEDY}")


def _complaints(root: ET.Element) -> Iterator[str]:
    for element in root.iter():
        namespace, _, name = str(element.tag).lstrip("{").rpartition("}")
        if namespace != _SVG or name not in _ELEMENTS:
            yield f"has an element `{name[:40]}`, which no logo needs"
        for key, value in element.attrib.items():
            if key.lower().startswith("on"):
                yield f"has a script in `{key[:40]}`"
            if key in _HREFS and not value.strip().startswith("#"):
                yield "leads to another file"
            if _OUTSIDE.search(value):
                yield f"loads something in `{key.rpartition('}')[2][:40]}`"
        if name == "style" and _OUTSIDE.search("".join(element.itertext())):
            yield "loads something in its style sheet"
