"""Programs rather than people: what each gets where it is let through, looked into and blocked, whichever way it comes.

One namespace is of clients that know of the proxy, one of those that DNS leads, one of those that nftables redirects.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.lab import Lab, serving
from tests.support.netns import CLIENTS, FILTER_ADDRESS, ORIGIN_ADDRESS
from tests.support.web import Web, web

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("namespaces")]
WAYS = dict(zip(("configured", "steered", "transparent"), CLIENTS, strict=True))
"""Which namespace is which kind of client."""
HOSTS = {"let through": "open.example", "looked into": "inspected.example", "blocked": "never.example"}
RULES = [
    {"id": "never", "action": "block", "domains": ["never.example"]},
    {"id": "no-r1", "action": "block", "domains": ["inspected.example"], "models": ["r1*"]},
]
GATEWAY = "10.30.0.1"
RULESET = """table ip sumun {
  chain before {
    type nat hook prerouting priority dstnat;
    iifname "s2a" tcp dport { 80, 443 } redirect to :8082
  }
}
"""
WHEEL = "sumun_demo-1.0-py3-none-any.whl"
ROOT = Path(__file__).parents[2]


@dataclass
class Site:
    """A filter between three kinds of clients and a web site."""

    lab: Lab
    web: Web
    folder: Path

    def run(self, way: str, *words: str) -> subprocess.CompletedProcess[str]:
        given = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1",
                 "PYTHONPATH": f"{ROOT}/addon", "GIT_TERMINAL_PROMPT": "0"}  # fmt: skip
        command = self.lab.net.command(WAYS[way], *words)
        return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, env=given, cwd=ROOT)

    def authority(self, what: str) -> str:
        """The only one that the client trusts: what is let through has the origin's own certificate."""
        return str(self.lab.internet.ca if what == "let through" else self.lab.ca)

    @staticmethod
    def proxy(way: str) -> str:
        return f"http://{FILTER_ADDRESS}:8080" if way == "configured" else ""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    for tool in ("nft", "git"):
        if not shutil.which(tool):
            pytest.skip(f"`{tool}` is not installed")
    folder = tmp_path_factory.mktemp("programs")
    segment = {"networks": [f"{client}/32" for client in CLIENTS.values()], "rules": RULES}
    listen = {"transparent": {"address": GATEWAY, "port": 8082, "leading": "redirect"}}
    names = [*HOSTS.values()]
    served = folder / "served"
    publish(served)
    with serving(folder, names, ports="81:444", listen=listen, segments={"office": segment}) as lab:
        for role, *words in (
            ("filter", "sysctl", "-qw", "net.ipv4.ip_forward=1"),
            ("internet", "ip", "route", "add", "10.0.0.0/8", "via", "198.51.100.1"),
            ("filter", "nft", RULESET),
        ):
            subprocess.run(lab.net.command(role, *words), check=True)
        hosts = Path("/etc/netns") / lab.net.name(WAYS["transparent"]) / "hosts"  # it asks no resolver of ours
        hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{ORIGIN_ADDRESS} {name}\n" for name in names))
        certificate = folder / f"{names[0]}.pem"
        with web(served, ORIGIN_ADDRESS, 443, certificate, lab.net.command("internet")) as outside:
            yield Site(lab, outside, folder)


def publish(served: Path) -> None:
    """A greeting, an index with one package, and a repository."""
    project = served / "simple" / "sumun-demo"
    project.mkdir(parents=True)
    (served / "hello").write_text("hello")
    with zipfile.ZipFile(project / WHEEL, "w") as archive:
        info = "sumun_demo-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: sumun-demo\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    (project / "index.html").write_text(f'<!DOCTYPE html><a href="{WHEEL}">{WHEEL}</a>')
    work = served.parent / "work"
    who = ("-c", "user.name=A", "-c", "user.email=a@b.test", "-C", str(work))
    (served.parent / "work").mkdir()
    (work / "file").write_text("hello\n" * 50_000)
    for words in (
        ("init", "-q", "-b", "main"), ("add", "file"), ("commit", "-q", "-m", "one"),
        ("clone", "-q", "--bare", str(work), str(served / "repo.git")),
    ):  # fmt: skip
        subprocess.run(["git", *who, *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def libraries(site: Site) -> Callable[[str], dict[str, Any]]:
    """What the libraries got from each host, by the name of a way."""

    @functools.cache
    def got(way: str) -> dict[str, Any]:
        places = [f"{host}={site.authority(what)}" for what, host in HOSTS.items()]
        done = site.run(way, sys.executable, "-m", "tests.support.programs", way, site.proxy(way), *places)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    return got


HEARD = ["welcome", "one", "two", True]
HELLO = [[200, "hello"]] * 2
STREAMED = ["first", "second"]
DENIED = {"error": "blocked_by_policy", "requests": 1}
EXPECTED = {
    "let through": {
        "requests": HELLO, "httpx": HELLO, "openai": STREAMED, "openai, another model": STREAMED, "websockets": HEARD,
    },
    "looked into": {
        "requests": HELLO, "httpx": HELLO, "openai": STREAMED, "openai, another model": DENIED, "websockets": HEARD,
    },
    "blocked": {
        "requests": [403, 403], "httpx": [403, 403], "openai": DENIED, "openai, another model": DENIED,
        "websockets": 403,
    },
}  # fmt: skip


@pytest.mark.parametrize("library", EXPECTED["blocked"])
@pytest.mark.parametrize("what", HOSTS)
@pytest.mark.parametrize("way", WAYS)
def test_a_library(libraries: Callable[[str], dict[str, Any]], way: str, what: str, library: str) -> None:
    """What is blocked, is so before an upgrade, before the first word of a stream, and not tried again."""
    assert libraries(way)[HOSTS[what]][library] == EXPECTED[what][library]


@pytest.mark.parametrize("what", HOSTS)
@pytest.mark.parametrize("way", WAYS)
def test_git(site: Site, tmp_path: Path, way: str, what: str) -> None:
    settings = ("-c", f"http.proxy={site.proxy(way)}", "-c", f"http.sslCAInfo={site.authority(what)}")
    url = f"https://{HOSTS[what]}/repo.git"
    listed = site.run(way, "git", *settings, "ls-remote", url)
    cloned = site.run(way, "git", *settings, "clone", "-q", url, str(tmp_path / "clone"))
    if what == "blocked":
        for done in (listed, cloned):
            assert (done.returncode, done.stdout) == (128, "")
            assert "The requested URL returned error: 403" in done.stderr
    else:
        assert "refs/heads/main" in listed.stdout, listed.stderr
        assert cloned.returncode == 0, cloned.stderr
        assert (tmp_path / "clone" / "file").read_text() == "hello\n" * 50_000


@pytest.mark.parametrize("what", HOSTS)
@pytest.mark.parametrize("way", WAYS)
def test_pip(site: Site, tmp_path: Path, way: str, what: str) -> None:
    lead = ("--proxy", site.proxy(way)) if site.proxy(way) else ()
    index = f"https://{HOSTS[what]}/simple"
    # of an index that is refused, pip says only that there is no such package; of a file, what was answered
    wanted = (f"{index}/sumun-demo/{WHEEL}",) if what == "blocked" else ("--index-url", index, "sumun-demo")
    done = site.run(
        way, sys.executable, "-m", "pip", "--isolated", "download", "-q", "--no-deps", "--no-cache-dir",
        "--disable-pip-version-check", *lead, "--cert", site.authority(what),
        "-d", str(tmp_path / "got"), *wanted,
    )  # fmt: skip
    if what == "blocked":
        assert done.returncode == 1, done.stdout
        assert "HTTP error 403" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "got" / WHEEL).exists()


def test_nothing_blocked_reached_the_site(site: Site) -> None:
    """Last in the file: ends the site and looks at whom it was asked for."""
    asked = set(site.web.end())
    assert asked == {HOSTS["let through"], HOSTS["looked into"]}
