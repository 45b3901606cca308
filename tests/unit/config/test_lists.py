"""What a list may be, and what is said of one that is not at hand."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest

from sumun.config.fault import ConfigError
from sumun.config.parse import Surroundings, parse_config_within
from sumun.config.settings import ListSource, Tolerance

HEAD = "version: 1\nsegments: {a: {networks: [10.0.0.0/8]}}\n"
AROUND = Surroundings((), (), formats=["domains", "hosts"], list_digests={}, lists=["own"], reserved_lists=["own"])
URL = "https://lists.example/ai.txt"
KEY = base64.b64encode(b"Ed" + bytes(40)).decode()


def said(lists: str, around: Surroundings = AROUND) -> list[str]:
    """Faults, or warnings where there are none."""
    try:
        config = parse_config_within(f"{HEAD}lists: [{lists}]\n", file="c.yaml", around=around)
    except ConfigError as trouble:
        return [f"{fault.path}: {fault.message}" for fault in trouble.faults]
    return [f"{warning.path}: {warning.message}" for warning in config.warnings]


def test_a_subscription_with_every_key() -> None:
    text = (
        f"{HEAD}lists: [{{id: l, url: '{URL}', format: hosts, refresh: 6h, public_key: '{KEY}', guard: false, "
        f"signature: '{URL}.sig', tolerance: {{refused: 5, shrink: 10, growth: 300}}}}]\n"
        "downloads: {proxy: 'http://kim:secret@proxy.example:3128'}\n"
    )
    settings = parse_config_within(text, file="c.yaml", around=AROUND).settings
    assert settings.lists == (
        ListSource(
            "l", "hosts", url=URL, refresh=timedelta(hours=6), public_key=KEY, signature=f"{URL}.sig",
            tolerance=Tolerance(5, 10, 300), guard=False,
        ),
    )  # fmt: skip
    assert settings.download_proxy == "http://kim:secret@proxy.example:3128"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("url: 'http://lists.example/'", "/url: `http://lists.example/` is not an `https://` address: anybody on the"),
        ("url: 'file:///etc/passwd'", "/url: `file:///etc/passwd` is not an `https://` address"),
        ("url: 'ftp://l.example/'", "/url: `ftp://l.example/` is not an `https://` address"),
        ("url: 'https://kim:x@l.example/'", "/url: `https://kim:x@l.example/` is not an `https://` address: no spaces"),
        ("url: 'https://l.example:0x1/'", "/url: `https://l.example:0x1/` is not an address of a list"),
        (f"url: '{URL}', public_key: RWQ", "/public_key: `RWQ` is not a public key"),
        (f"url: '{URL}', signature: '{URL}.sig'", "/signature: `signature` goes with `public_key`"),
        (f"path: x.txt, public_key: '{KEY}'", "/public_key: `public_key` goes with `url`"),
        (f"url: '{URL}', refresh: 1m", "/refresh: a list is asked for every `5m` at most"),
        (f"url: '{URL}', format: host", "/format: unknown format `host`; did you mean `hosts`?"),
        (f"url: '{URL}', tolerance: {{shrink: 101}}", "/tolerance/shrink: `101`"),
        (f"url: '{URL}', path: x.txt", ": a list has a `path` or a `url`: give one of them"),
    ],
)  # fmt: skip
def test_what_no_list_can_be_is_said(entry: str, message: str) -> None:
    assert any(line.startswith(f"/lists/0{message}") for line in said(f"{{id: l, {entry}}}")), said(
        f"{{id: l, {entry}}}"
    )


def test_a_list_server_on_this_host_needs_no_certificate() -> None:
    assert not any("https" in line for line in said("{id: l, url: 'http://127.0.0.1:8000/l.txt'}"))


def test_the_id_of_a_list_that_comes_with_sumun_is_taken() -> None:
    assert said(f"{{id: own, url: '{URL}'}}") == ["/lists/0/id: list `own` comes with Sumun: choose another id"]


def test_a_subscription_that_was_never_fetched_is_doubtful() -> None:
    assert said(f"{{id: l, url: '{URL}'}}") == [
        "/lists/0/url: no copy of this list at `var/lists/l.txt` yet: until it is fetched (`sumun lists update`) "
        "its rules match nothing"
    ]


def test_a_copy_that_is_not_the_version_meant_is_used_and_doubted() -> None:
    around = Surroundings((), (), list_digests={"l": "0" * 64})
    (warning,) = said(f"{{id: l, url: '{URL}', sha256: {'1' * 64}}}", around)
    assert warning.startswith(f"/lists/0/sha256: the copy at hand has the digest `{'0' * 64}`: it is used until")


@pytest.mark.parametrize(
    "proxy",
    ["proxy.example:3128", "https://proxy.example:1", "http://proxy.example", "socks5://p.example:1", "http://a b:1"],
)
def test_a_proxy_that_cannot_be_used_is_refused(proxy: str) -> None:
    with pytest.raises(ConfigError, match="is not a proxy: write `http://proxy"):
        parse_config_within(f"{HEAD}downloads: {{proxy: '{proxy}'}}\n", file="c.yaml", around=AROUND)
