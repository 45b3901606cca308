"""The longest prefix decides, for both families."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from sumun.policy.segment_table import SegmentTable
from tests.support.builders import segment

TABLE = SegmentTable(
    [
        segment("campus", "10.0.0.0/8", "2001:db8::/32"),
        segment("ward", "10.20.0.0/16", "2001:db8:20::/48"),
        segment("bed", "10.20.30.40/32", "2001:db8:20::40/128"),
        segment("elsewhere", "0.0.0.0/0"),
    ]
)


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ("10.1.1.1", "campus"), ("10.20.1.1", "ward"), ("10.20.30.40", "bed"), ("192.0.2.1", "elsewhere"),
        ("2001:db8::1", "campus"), ("2001:db8:20::1", "ward"), ("2001:db8:20::40", "bed"), ("::ffff:10.20.1.1", "ward"),
    ],
)  # fmt: skip
def test_longest_prefix(client: str, expected: str) -> None:
    found = TABLE.find(ip_address(client))
    assert found is not None
    assert found.name == expected


def test_no_segment() -> None:
    assert TABLE.find(ip_address("2001:db9::1")) is None
