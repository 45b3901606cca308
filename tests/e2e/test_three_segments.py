"""Three network namespaces as three segments: real dig, curl and Chromium, end to end."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lab import Lab, serving
from tests.support.netns import CLIENTS, FILTER_ADDRESS, ORIGIN_ADDRESS

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("namespaces")]
NAMES = ["chat.deepseek.com", "chatgpt.com", "www.example.org", "example.org"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with serving(tmp_path_factory.mktemp("lab"), NAMES) as found:
        yield found


def test_dns_answers_each_segment_by_its_own_rules(lab: Lab) -> None:
    assert {segment: lab.dig(segment, "chat.deepseek.com") for segment in CLIENTS} == dict.fromkeys(
        CLIENTS, FILTER_ADDRESS
    )
    for _ in range(10):  # interleaved: no answer leaks
        assert lab.dig("military-use", "chatgpt.com") == FILTER_ADDRESS
        assert lab.dig("external-facing", "chatgpt.com") == ORIGIN_ADDRESS
        assert lab.dig("hq-network", "chatgpt.com") == ORIGIN_ADDRESS
    assert {segment: lab.dig(segment, "example.org") for segment in CLIENTS} == dict.fromkeys(CLIENTS, ORIGIN_ADDRESS)


def test_a_configured_client_meets_the_page_over_http2(lab: Lab) -> None:
    for segment in CLIENTS:
        status, version, body = lab.curl(segment, "-H", "Accept: text/html", "https://chat.deepseek.com/")
        assert (status, version) == ("403", "2")
        assert "DeepSeek" in body
    status, _, body = lab.curl("military-use", "-H", "Accept: application/json", "https://chatgpt.com/")
    assert (status, json.loads(body)["error"]["service"]) == ("403", "chatgpt")


def test_an_allowed_site_passes_with_its_own_certificate(lab: Lab) -> None:
    for segment in CLIENTS:
        assert lab.curl(segment, "https://www.example.org/", ca=lab.internet.ca)[::2] == ("200", "origin speaking")
    status, _, body = lab.curl("external-facing", "https://chatgpt.com/", ca=lab.internet.ca)
    assert (status, body) == ("200", "origin speaking")


def test_a_sinkholed_client_meets_the_page_too(lab: Lab) -> None:
    for url in ("https://chat.deepseek.com/", "http://chat.deepseek.com/"):
        status, _, body = lab.curl(
            "military-use", "-H", "Accept: text/html", "-H", "Accept-Language: ko", url, proxy=False
        )
        assert status == "403"
        assert "서비스를 이용할 수 없습니다" in body


def test_a_browser_shows_the_page_and_its_number_is_in_the_log(lab: Lab, tmp_path: Path) -> None:
    for tool in ("chromium", "certutil"):
        if not shutil.which(tool):
            pytest.skip(f"`{tool}` is not installed (Debian: chromium, libnss3-tools)")
    home = tmp_path / "home"
    (home / ".pki" / "nssdb").mkdir(parents=True)
    database = f"sql:{home}/.pki/nssdb"
    subprocess.run(["certutil", "-d", database, "-N", "--empty-password"], check=True)
    subprocess.run(["certutil", "-d", database, "-A", "-t", "C,,", "-n", "Sumun", "-i", str(lab.ca)], check=True)
    shown = subprocess.run(
        lab.net.command(
            "military-use", "env", f"HOME={home}", "chromium", "--headless", "--no-sandbox", "--disable-gpu",
            "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", f"--user-data-dir={tmp_path}/profile", "--dump-dom", "https://chat.deepseek.com/",
        ),
        capture_output=True, text=True, timeout=90, check=False, env=os.environ | {"LANG": "C.UTF-8"},
    ).stdout  # fmt: skip
    assert "DeepSeek" in shown
    incident = re.search(r"[0-9A-Z]{4}(-[0-9A-Z]{4}){3}", shown)
    assert incident
    lab.running.stop()  # every event is written by then
    numbers = {event["event"]["id"]: event for event in lab.running.events()}
    assert numbers[incident[0]]["sumun"]["verdict"] == "block_page"
    assert numbers[incident[0]]["user_agent"]["original"].startswith("Mozilla")


def test_nothing_was_dialled_for_what_was_blocked(lab: Lab) -> None:
    """Last in the file: ends the internet and looks at what reached it."""
    seen = lab.internet.end()
    assert seen["connections"] > 0
    assert not [host for host in seen["hosts"] if "deepseek" in host]
    spliced = [e for e in lab.running.events() if e["sumun"]["verdict"] == "spliced"]
    assert {event["destination"]["domain"] for event in spliced} == {"chatgpt.com"}
