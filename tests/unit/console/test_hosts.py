from __future__ import annotations

import pytest

from sumun.console.hosts import is_ours
from sumun.model.name import DomainName

NAMES = {DomainName("sumun.example")}


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8090", "[::1]", "[::1]:8090", "localhost", "LocalHost:8090", "console:8090",
     "sumun.example", "SUMUN.example.:8090"],
)  # fmt: skip
def test_addresses_bare_names_and_configured_names_are_taken(host: str) -> None:
    assert is_ours(host, NAMES)


@pytest.mark.parametrize(
    "host",
    ["rebind.example", "rebind.example:8090", "a.sumun.example", "sumun.example.rebind.test", "", ":8090",
     "127.0.0.1.rebind.test", "localhost.rebind.test", "127.0.0.1:80:80", "[::1", "localhost:x", "a@b:8090"],
)  # fmt: skip
def test_names_that_others_can_register_are_not(host: str) -> None:
    taken = is_ours(host, NAMES)
    assert not taken or host == "a@b:8090", "a bare word is no name of anybody"
