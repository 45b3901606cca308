from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.config.fault import Unreadable
from sumun.config.logo import read_logo
from sumun.config.parse import ConfigError, parse_config_within
from sumun.config.surroundings import Surroundings
from sumun.model.logo import MAX_LOGO
from tests.support.logos import SVG, chunk, png

_HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'


def svg(inside: str) -> bytes:
    return f"{_HEAD}{inside}</svg>".encode()


@pytest.mark.parametrize(
    ("octets", "start"),
    [
        (SVG, "data:image/svg+xml;base64,"),
        (b"\xef\xbb\xbf" + SVG, "data:image/svg+xml;base64,"),
        (b'<?xml version="1.0" encoding="UTF-8"?>\n<!-- drawn by hand -->' + SVG, "data:image/svg+xml;base64,"),
        (svg("<style>.a{fill:url(#g)}</style><use href='#a'/><use xlink:href='#a'/>"), "data:image/svg+xml;base64,"),
        (
            svg("<path fill=\"url('#g')\" style='fill: url( &quot;#g&quot; )' d='M0 0h1'/>"),
            "data:image/svg+xml;base64,",
        ),
        (svg("<title>javascript is a word</title>"), "data:image/svg+xml;base64,"),
        (png(), "data:image/png;base64,iVBOR"),
    ],
    ids=["svg", "with a byte order mark", "with a declaration", "references inside", "quoted", "a title", "png"],
)
def test_a_logo_is_taken_as_it_is(octets: bytes, start: str) -> None:
    assert read_logo(octets).uri.startswith(start)


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (svg("<script>alert(1)</script>"), "has an element `script`"),
        (svg("<g onload='alert(1)'/>"), "has a script in `onload`"),
        (svg("<g ONCLICK='alert(1)'/>"), "has a script in `ONCLICK`"),
        (svg("<foreignObject><b xmlns='http://www.w3.org/1999/xhtml'>x</b></foreignObject>"), "`foreignObject`"),
        (svg("<image href='https://evil.example/x.png'/>"), "has an element `image`"),
        (svg("<a href='https://evil.example/'><path/></a>"), "has an element `a`"),
        (svg("<use href='https://evil.example/x.svg#a'/>"), "leads to another file"),
        (svg("<use xlink:href='data:image/svg+xml,x'/>"), "leads to another file"),
        (svg("<path fill='url(https://evil.example/x#a)'/>"), "loads something in `fill`"),
        (svg("<path style='fill:url(  \"//evil.example/x\")'/>"), "loads something in `style`"),
        (svg("<path style='fill:u\\rl(//evil.example/x)'/>"), "loads something in `style`"),
        (svg("<style>@import 'https://evil.example/x.css'</style>"), "loads something in its style sheet"),
        (svg("<style>a{fill:URL(https://evil.example/x)}</style>"), "loads something in its style sheet"),
        (svg("<style>@font-face{src:url(x)}</style>"), "loads something in its style sheet"),
        (svg("<set attributeName='href' to='javascript:alert(1)'/>"), "has an element `set`"),
        (svg("<animate attributeName='x'/>"), "has an element `animate`"),
        (svg("<filter><feImage href='x'/></filter>"), "has an element `filter`"),
        (svg("<x xmlns='urn:x'/>"), "has an element `x`"),
        (b'<!DOCTYPE svg [<!ENTITY a "aaaa">]>' + svg("<text>&a;</text>"), "document type"),
        (b'<!doctype svg SYSTEM "file:///etc/passwd">' + svg(""), "document type"),
        (b'<?xml-stylesheet href="https://evil.example/x.css"?>' + svg(""), "a style sheet of its own"),
        (svg("<g>"), "the logo is no SVG"),
        (b"<html><body>logo</body></html>", "its root is not `svg`"),
        (b"<svg><path/></svg>", "its root is not `svg`"),
        (b"<svg>\xff\xfe</svg>", "is not UTF-8"),
        ("<?xml version='1.0'?><svg/>".encode("utf-16"), "neither a PNG nor an SVG"),
        (b"GIF89a...", "neither a PNG nor an SVG"),
        (b"\xff\xd8\xff\xe0JFIF", "neither a PNG nor an SVG"),
        (b"", "neither a PNG nor an SVG"),
        (b"x" * (MAX_LOGO + 1), "more than 8,192 octets"),
        (png()[:-1], "damaged PNG"),
        (png() + b"PK\x03\x04", "damaged PNG"),
        (png() + chunk(b"IEND", b""), "damaged PNG"),
        (png().replace(b"IDAT", b"IDAX"), "damaged PNG"),
        (b"\x89PNG\r\n\x1a\n", "damaged PNG"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", b"") + chunk(b"IEND", b""), "damaged PNG"),
        (png(60_000, 60_000), "pixels"),
        (png(0, 10), "pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_no_harmless_picture_is_refused(octets: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=r".*") as refused:
        read_logo(octets)
    assert why in str(refused.value)


@given(st.binary(max_size=200), st.sampled_from([b"", b"<svg", b"\x89PNG\r\n\x1a\n", SVG[:200], png()[:40]]))
def test_noise_is_refused_or_taken_and_breaks_nothing(noise: bytes, start: bytes) -> None:
    try:
        found = read_logo(start + noise)
    except Unreadable:
        return
    assert found.uri.startswith("data:image/")


CONFIG = """version: 1
organisation: {name: Example Ministry, logo: branding/ministry.svg}
segments:
  office: {networks: [10.0.0.0/8]}
  lab:
    {networks: [10.1.0.0/16], logo: ./lab.png, accent: {light: '#7a1f5c', dark: '#ff9ad5'}, contact: desk@lab.example}
"""


def parse(files: dict[str, bytes] | None) -> object:
    around = Surroundings([], [], logos=files)
    return parse_config_within(CONFIG, file="c.yaml", around=around)


def test_each_segment_has_its_own_or_the_organisations() -> None:
    around = Surroundings([], [], logos={"branding/ministry.svg": SVG, "lab.png": png()})
    config = parse_config_within(CONFIG, file="c.yaml", around=around)
    office, lab = (config.organisation.within(segment) for segment in config.segments)
    assert office is config.organisation
    assert office.logo == read_logo(SVG)
    assert (lab.logo, lab.contact, lab.name) == (read_logo(png()), "desk@lab.example", config.organisation.name)
    assert lab.accent
    assert lab.accent.light == "#7a1f5c"
    assert config.organisation.within(None) is config.organisation


def test_a_logo_that_cannot_be_used_is_a_fault_at_its_line() -> None:
    with pytest.raises(ConfigError) as trouble:
        parse({"lab.png": b"GIF89a"})
    assert [str(fault) for fault in trouble.value.faults] == [
        "c.yaml:2: /organisation/logo: `branding/ministry.svg`: there is no such file, or it cannot be read",
        "c.yaml:6: /segments/lab/logo: `lab.png`: the logo is neither a PNG nor an SVG",
    ]


def test_a_segments_colour_must_be_readable_too() -> None:
    text = CONFIG.replace("#7a1f5c", "#ffd700")
    with pytest.raises(ConfigError, match="/segments/lab/accent/light: `#ffd700` is hard to read"):
        parse_config_within(text, file="c.yaml", around=Surroundings([], []))
