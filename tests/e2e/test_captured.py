"""What leaves for a blocked request, captured on the wire: nothing, however the client comes."""

from __future__ import annotations

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


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    listen = {"transparent": {"address": "0.0.0.0", "port": TRANSPARENT, "leading": "redirect"}}
    with serving(tmp_path_factory.mktemp("captured"), NAMES, listen=listen) as found:
        yield found


def lead_to_the_proxy(lab: Lab) -> None:
    """From here on, what clients send to the origin's address itself is redirected."""
    rules = (
        "add table ip sumun; add chain ip sumun in { type nat hook prerouting priority -100; };"
        f" add rule ip sumun in ip daddr {ORIGIN_ADDRESS} tcp dport {{ 80, 443 }} redirect to :{TRANSPARENT}"
    )
    subprocess.run(lab.net.command("filter", "nft", rules), check=True, capture_output=True)
    subprocess.run(lab.net.command("filter", "sysctl", "-qw", "net.ipv4.ip_forward=1"), check=True)


WAYS = {
    "configured, HTTP/1": ("-x", f"http://{FILTER_ADDRESS}:8080", "--http1.1"),
    "configured, HTTP/2": ("-x", f"http://{FILTER_ADDRESS}:8080", "--http2"),
    "SOCKS5 by name": ("--socks5-hostname", f"{FILTER_ADDRESS}:8080"),
    "SOCKS5 by address": ("--socks5", f"{FILTER_ADDRESS}:8080", "--resolve", f"chat.deepseek.com:443:{ORIGIN_ADDRESS}"),
    "sinkholed": (),
    "redirected": ("--resolve", f"chat.deepseek.com:443:{ORIGIN_ADDRESS}"),
}


def curl(lab: Lab, *words: str) -> str:
    return lab.run(
        CLIENT, "curl", "-s", "-m", "20", "--cacert", str(lab.ca), "-o", "/dev/null", "-w", "%{http_code}", *words
    )


def test_no_packet_leaves_for_what_is_blocked(lab: Lab) -> None:
    lead_to_the_proxy(lab)
    with capturing(lab.net.command("internet"), "upb", "deepseek") as capture:
        for name, way in WAYS.items():
            for scheme in ("https", "http"):
                if scheme == "http" and name in ("redirected", "SOCKS5 by address"):
                    continue
                assert curl(lab, *way, f"{scheme}://chat.deepseek.com/") == "403", (name, scheme)
        assert capture.end() == {"tcp": 0, "words": 0}


def test_what_is_allowed_is_captured_and_shows_its_own_certificate(lab: Lab) -> None:
    """Control: the capture sees what leaves; and nothing was decrypted on its way."""
    with capturing(lab.net.command("internet"), "upb", "www.example.org") as capture:
        way = ("-x", f"http://{FILTER_ADDRESS}:8080")
        theirs = ("--cacert", str(lab.internet.ca))
        for more in (way, ("--socks5-hostname", f"{FILTER_ADDRESS}:8080"), ()):
            assert curl(lab, *theirs, *more, "https://www.example.org/") == "200", more
        seen = capture.end()
    assert seen["tcp"] > 20
    assert seen["words"] >= 3, "each ClientHello"
