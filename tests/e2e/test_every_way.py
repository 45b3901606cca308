"""Every action for every kind of client: one that knows of the proxy, one that DNS steers, one that nftables redirects.

Each client is a network namespace of its own, and curl and Chromium are real. Every combination has a host name of its
own, so that what is confirmed for one lets nothing else through.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from html import unescape
from itertools import product
from pathlib import Path

import pytest

from tests.support.browser import CHROMIUM, Browser
from tests.support.lab import Lab, serving
from tests.support.netns import CLIENTS, FILTER_ADDRESS, ORIGIN_ADDRESS
from tests.support.running import SUMUN

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("namespaces")]
WAYS = dict(zip(("configured", "steered", "transparent"), CLIENTS, strict=True))
"""Which namespace is which kind of client."""
HTTP = {"http1": ("http", "--http1.1"), "https1": ("https", "--http1.1"), "https2": ("https", "--http2")}
ACTIONS = {"think": "Think first", "why": "Say why", "never": "is not available"}
TRIES = [*HTTP, "post", "chromium-http", "chromium-https"]
NAMES = [f"{way}-{how}.{action}.example" for way, how, action in product(WAYS, TRIES, ACTIONS)]
PATH = "/c/42?q=a%20b&x=%ED%95%9C"
REASON = "Comparing published summaries for the yearly report"
GATEWAY, SEEK = "10.30.0.1", "chat.deepseek.com"
RULESET = """table ip sumun {
  chain before {
    type nat hook prerouting priority dstnat;
    iifname "s2a" tcp dport { 80, 443 } redirect to :8082
  }
}
"""
RULES = [
    {"id": "think", "action": "warn", "domains": ["think.example"], "ttl": "1h"},
    {"id": "why", "action": "justify", "domains": ["why.example"], "ttl": "1h"},
    {"id": "never", "action": "block", "domains": ["never.example"]},
    {"id": "no-deepseek", "action": "block", "services": ["deepseek"]},
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if not shutil.which("nft"):
        pytest.skip("`nft` is not installed (Debian: nftables)")
    segment = {"networks": [f"{client}/32" for client in CLIENTS.values()], "rules": RULES}
    listen = {"transparent": {"address": GATEWAY, "port": 8082, "leading": "redirect"}}
    with serving(tmp_path_factory.mktemp("ways"), [*NAMES, SEEK], listen=listen, segments={"office": segment}) as found:
        # what is let through is resolved to its own address, and goes there: the filter's host is the way out
        for role, *words in (
            ("filter", "sysctl", "-qw", "net.ipv4.ip_forward=1"),
            ("internet", "ip", "route", "add", "10.0.0.0/8", "via", "198.51.100.1"),
            ("filter", "nft", RULESET),
        ):
            subprocess.run(found.net.command(role, *words), check=True)
        yield found


def curl(lab: Lab, way: str, host: str, path: str, *words: str) -> tuple[str, str]:
    """Head and body of what this kind of client gets."""
    lead = {
        "configured": ["-x", f"http://{FILTER_ADDRESS}:8080"],
        "steered": [],
        "transparent": [
            word for port in (80, 443) for word in ("--resolve", f"{host}:{port}:{ORIGIN_ADDRESS}")
        ],  # it asks no resolver of ours
    }[way]
    said = lab.run(
        WAYS[way], "curl", "-s", "-i", "-m", "30", "--suppress-connect-headers",
        "--cacert", str(lab.folder / "both.pem"), "-H", "Accept: text/html", *lead, *words, path,
    )  # fmt: skip
    head, _, body = said.partition("\n\n")
    return head, body


@pytest.fixture(scope="module", autouse=True)
def _trust(lab: Lab) -> None:
    """What is let through is not decrypted: then it is the origin's own certificate that a client sees."""
    (lab.folder / "both.pem").write_bytes(lab.ca.read_bytes() + lab.internet.ca.read_bytes())


def fill(page: str) -> tuple[str, list[str]]:
    """Where the form of a page goes, and what a person would send."""
    action = re.search(r'<form method="post" action="([^"]+)">', page)
    ticket = re.search(r'name="ticket" value="([^"]+)"', page)
    assert action, page
    assert ticket, page
    fields = {"ticket": unescape(ticket[1]), "purpose": "research", "reason": REASON}
    return action[1], [word for field in fields.items() for word in ("--data-urlencode", "=".join(field))]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("how", HTTP)
@pytest.mark.parametrize("way", WAYS)
def test_the_page_the_click_and_the_very_url(lab: Lab, way: str, how: str, action: str) -> None:
    host, (scheme, version) = f"{way}-{how}.{action}.example", HTTP[how]
    if way == "steered":
        assert lab.dig(WAYS[way], host) == FILTER_ADDRESS, "the control: DNS leads it here"
    root = f"{scheme}://{host}"
    head, page = curl(lab, way, host, root + PATH, version)
    assert head.split()[:2] == ["HTTP/2" if how == "https2" else "HTTP/1.1", "403"]
    assert ACTIONS[action] in page
    form, fields = fill(page)
    head, sent = curl(lab, way, host, root + form, version, *fields)
    if action == "never":
        assert "Your request for a review was received" in sent
        assert curl(lab, way, host, root + PATH, version)[0].split()[1] == "403"
        return
    assert head.split()[1] == "303"
    assert f"\nlocation: {root}{PATH}\n" in f"{head}\n"
    head, body = curl(lab, way, host, root + PATH, version)
    assert (head.split()[1], body) == ("200", "origin speaking")


@pytest.mark.parametrize("action", ["think", "why"])
@pytest.mark.parametrize("way", WAYS)
def test_a_stopped_post_goes_nowhere_and_is_not_sent_again(lab: Lab, way: str, action: str) -> None:
    host = f"{way}-post.{action}.example"
    root = f"https://{host}"
    _, page = curl(lab, way, host, f"{root}/posted", "--data", "secret")
    assert "will not be sent again by itself" in page
    form, fields = fill(page)
    head, _ = curl(lab, way, host, root + form, *fields)
    assert f"\nlocation: {root}/\n" in f"{head}\n", "not where the data went"


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; install the package `chromium`")
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("way", WAYS)
def test_in_a_browser_the_address_bar_stays(lab: Lab, tmp_path: Path, way: str, scheme: str, action: str) -> None:
    host = f"{way}-chromium-{scheme}.{action}.example"
    url = f"{scheme}://{host}{PATH}"
    lead = {
        "configured": f"--proxy-server=http://{FILTER_ADDRESS}:8080",
        "steered": "--no-proxy-server",
        "transparent": f"--host-resolver-rules=MAP *.example {ORIGIN_ADDRESS}",
    }[way]
    flags = ["--ignore-certificate-errors", "--disable-features=HttpsUpgrades", "--accept-lang=en", "--lang=en", lead]
    with Browser(tmp_path / "profile", *flags, prefix=lab.net.command(WAYS[way])) as browser:
        browser.show(url)
        assert browser.evaluate("location.href") == url
        assert ACTIONS[action] in browser.evaluate("document.body.innerText")
        if action == "never":
            return
        browser.evaluate("document.querySelector('#purpose') && (document.querySelector('#purpose').value = 'writing')")
        browser.evaluate(f"document.querySelector('#reason') && (document.querySelector('#reason').value = {REASON!r})")
        browser.follow("document.querySelector('form button').click()")
        assert browser.evaluate("location.href") == url
        assert browser.evaluate("document.body.innerText") == "origin speaking"


def exempt(lab: Lab, *words: str) -> dict[str, str]:
    command = [*SUMUN, "exempt", *words, "--json", "-c", str(lab.folder / "sumun.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_an_exemption_serves_who_still_has_the_sinkholes_answer(lab: Lab) -> None:
    """A client keeps what DNS said for its time to live; the filter it leads to lets it through meanwhile."""
    client = WAYS["steered"]
    cached = ("--resolve", f"{SEEK}:443:{FILTER_ADDRESS}")

    def found() -> tuple[str, str]:
        """The address by DNS, and what a client that still has the old one gets: a part of the filter answers each."""
        return lab.dig(client, SEEK), curl(lab, "steered", SEEK, f"https://{SEEK}/exempt", *cached)[0].split()[1]

    def becomes(*expected: str) -> bool:
        return any(found() == expected or time.sleep(0.1) for _ in range(100))

    assert found() == (FILTER_ADDRESS, "403")
    words = ["--service", "deepseek", "--until", "8h", "--reason", "audit", "--approver", "Kim"]
    given = exempt(lab, "add", "--client", CLIENTS[client], *words)
    try:
        assert becomes(ORIGIN_ADDRESS, "200")
        answer = lab.run(client, "dig", "+noall", "+answer", f"@{FILTER_ADDRESS}", SEEK).split()
        assert int(answer[1]) <= 30, "a cache would outlive a revocation"
    finally:
        exempt(lab, "revoke", given["id"])
    assert becomes(FILTER_ADDRESS, "403")


def test_nothing_reached_an_origin_but_what_was_confirmed(lab: Lab) -> None:
    """Last in the file: ends the internet and looks at what reached it."""
    seen = lab.internet.end()
    assert not [host for host in seen["hosts"] if "never" in host or "post" in host]
    assert {method for method, _ in seen["requests"]} == {"GET"}
    assert {path for _, path in seen["requests"]} <= {PATH, "/exempt", "/favicon.ico"}
    assert PATH in {path for _, path in seen["requests"]}
