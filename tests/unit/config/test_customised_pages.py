"""What the configuration says of the pages: colours that can be read, notices, contacts, the store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.config.parse import ConfigError, parse_config
from sumun.model.colour import READABLE, Accent, contrast, on

SEGMENTS = "segments: {office: {networks: [10.0.0.0/8], notice: {ko: 안내}, contact: desk@lab.example}}\n"


def parse(text: str) -> object:
    return parse_config(f"version: 1\n{SEGMENTS}{text}", file="c.yaml", services=[], categories=[])


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as trouble:
        parse(text)
    return [str(fault) for fault in trouble.value.faults]


def test_what_is_said_is_what_the_pages_get() -> None:
    config = parse_config(
        f"version: 1\n{SEGMENTS}zone: Asia/Seoul\nstore: postgresql://sumun@db.example/sumun\n"
        "organisation: {accent: {light: '#7A1F5C', dark: '#ff9ad5'}}\n",
        file="c.yaml", services=[], categories=[],
    )  # fmt: skip
    assert config.organisation.accent == Accent("#7a1f5c", "#ff9ad5")
    assert (config.segments[0].notice.within("ko"), config.segments[0].contact) == ("안내", "desk@lab.example")
    assert (config.settings.store, config.settings.zone.key) == ("postgresql://sumun@db.example/sumun", "Asia/Seoul")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "organisation: {accent: {light: '#ffd700', dark: '#ffd700'}}",
            "c.yaml:3: /organisation/accent/light: `#ffd700` is hard to read on `#e3f1f2`: 1.2 to 1, 4.5 is needed; "
            "choose a darker one",
        ),
        (
            "organisation: {accent: {light: '#0b6470', dark: '#0b6470'}}",
            "c.yaml:3: /organisation/accent/dark: `#0b6470` is hard to read on `#15333a`: 2.0 to 1, 4.5 is needed; "
            "choose a lighter one",
        ),
        (
            "organisation: {accent: {light: red, dark: '#ffd700'}}",
            "c.yaml:3: /organisation/accent/light: `red` is not a colour: write it in quotes, such as `'#0b6470'`",
        ),
        (
            "store: mysql://x/y",
            "c.yaml:3: /store: `mysql://x/y` is not a store: write `postgresql://user@host/name`, or leave the key out",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(text: str, fault: str) -> None:
    assert faults(text) == [fault]


@given(st.integers(0, 0xFFFFFF))
def test_black_or_white_can_be_read_on_any_colour(number: int) -> None:
    colour = f"#{number:06x}"
    assert contrast(on(colour), colour) >= READABLE
