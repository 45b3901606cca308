"""What leaves for a blocked request, captured on the wire: nothing, however the client comes."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.capture import capturing
from tests.support.lab import Lab, serving
from tests.support.netns import FILTER_ADDRESS, ORIGIN_ADDRESS

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("namespaces")]
NAMES = ["chat.deepseek.com", "chatgpt.com", "www.example.org"]
CLIENT = "military-use"
TRANSPARENT = 8082


CHAIN = "add table ip sumun; add chain ip sumun in {{ type {} hook prerouting priority {}; }};"
LED = f" add rule ip sumun in ip daddr {ORIGIN_ADDRESS} tcp dport {{ 80, 443 }} counter"
"""What clients send to the origin's address itself."""
LEADING: dict[str, list[tuple[str, ...]]] = {
    "redirect": [("nft", f"{CHAIN.format('nat', -100)}{LED} redirect to :{TRANSPARENT}")],
    "tproxy": [
        ("ip", "rule", "add", "fwmark", "1", "lookup", "100"),
        ("ip", "route", "add", "local", "default", "dev", "lo", "table", "100"),
        ("nft", f"{CHAIN.format('filter', -150)}{LED} tproxy to :{TRANSPARENT} meta mark set 1"),
    ],
}


@pytest.fixture(scope="module", params=LEADING)
def lab(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Lab]:
    listen = {"transparent": {"address": "0.0.0.0", "port": TRANSPARENT, "leading": request.param}}
    with serving(tmp_path_factory.mktemp("captured"), NAMES, listen=listen) as found:
        for words in (("sysctl", "-qw", "net.ipv4.ip_forward=1"), *LEADING[request.param]):
            subprocess.run(found.net.command("filter", *words), check=True, capture_output=True)
        yield found


def packets_led(lab: Lab) -> int:
    """How many the firewall has led to the filter."""
    command = lab.net.command("filter", "nft", "list", "chain", "ip", "sumun", "in")
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    counted = re.search(r"counter packets (\d+)", said)
    assert counted, said
    return int(counted[1])


THERE = tuple(w for port in (80, 443) for w in ("--resolve", f"chat.deepseek.com:{port}:{ORIGIN_ADDRESS}"))
WAYS = {
    "configured, HTTP/1": ("-x", f"http://{FILTER_ADDRESS}:8080", "--http1.1"),
    "configured, HTTP/2": ("-x", f"http://{FILTER_ADDRESS}:8080", "--http2"),
    "SOCKS5 by name": ("--socks5-hostname", f"{FILTER_ADDRESS}:8080"),
    "SOCKS5 by address": ("--socks5", f"{FILTER_ADDRESS}:8080", *THERE),
    "sinkholed": (),
    "led by the firewall": THERE,
}


def curl(lab: Lab, *words: str) -> str:
    return lab.run(
        CLIENT, "curl", "-s", "-m", "20", "--cacert", str(lab.ca), "-o", "/dev/null", "-w", "%{http_code}", *words
    )


def test_no_packet_leaves_for_what_is_blocked(lab: Lab) -> None:
    with capturing(lab.net.command("internet"), "upb", "deepseek") as capture:
        for name, way in WAYS.items():
            for scheme in ("https", "http"):
                assert curl(lab, *way, f"{scheme}://chat.deepseek.com/") == "403", (name, scheme)
        assert capture.end() == {"tcp": 0, "words": 0}
    assert packets_led(lab) >= 2, "the control: two connections went to the origin itself"


def test_what_is_allowed_is_captured_and_shows_its_own_certificate(lab: Lab) -> None:
    """Control: the capture sees what leaves; and nothing was decrypted on its way."""
    with capturing(lab.net.command("internet"), "upb", "example") as capture:
        way = ("-x", f"http://{FILTER_ADDRESS}:8080")
        theirs = ("--cacert", str(lab.internet.ca))
        for more in (way, ("--socks5-hostname", f"{FILTER_ADDRESS}:8080"), ()):
            assert curl(lab, *theirs, *more, "https://www.example.org/") == "200", more
        seen = capture.end()
    assert seen["tcp"] > 20
    assert seen["words"] >= 4, "each ClientHello, and what was asked of the resolver"
