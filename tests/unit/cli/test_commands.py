"""The commands as a user types them: what they print, and how they end."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sumun.cli import cli
from sumun.cli.app import _COMMANDS
from tests.support import configs
from tests.support.certificates import self_signed

FIVE_FAULTS = """\
version: 1
segments:
  office:
    networks: [10.0.0.0/33, 10.1.0.0/16]
    on_falure: closed
    rules:
      - {id: a, action: blok, services: [deepseek]}
      - {id: b, action: block, services: [deepseak]}
  lab:
    networks: [10.1.0.0/16]
"""


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(configs.ROOT)


def sumun(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)


def explained(*words: str | Path) -> dict[str, Any]:
    result = sumun("explain", *words, "--json")
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_every_command_has_help_that_says_what_it_does() -> None:
    for name in _COMMANDS:
        result = sumun(name, "--help")
        assert result.exit_code == 0
        assert len(result.stdout.splitlines()) > 6, name


def test_check_looks_at_certificates(tmp_path: Path) -> None:
    keys, path = self_signed(tmp_path), tmp_path / "sumun.yaml"
    tls = f"{{port: 8853, certificate: {keys.certificate}, key: {keys.key}}}"
    path.write_text(f"version: 1\nsegments: {{a: {{networks: [127.0.0.1]}}}}\nlisten: {{dns: {{tls: {tls}}}}}\n")
    assert sumun("check", path).exit_code == 0
    keys.key.chmod(0o644)
    result = sumun("check", path)
    assert result.exit_code == 1
    assert "/listen/dns/tls: " in result.stderr
    assert "is open to others than its owner (mode 0644): `chmod 600` it" in " ".join(result.stderr.split())


def test_check_reports_all_faults_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "sumun.yaml"
    path.write_text(FIVE_FAULTS)
    result = sumun("check", path)
    assert result.exit_code == 1
    for line in (4, 5, 7, 8, 10):
        assert f"{path}:{line}: " in result.stderr
    assert "5 faults" in result.stderr
    for hint in (
        "did you mean `on_failure`?",
        "did you mean `block`?",
        "did you mean `deepseek`?",
        "prefix length above 32",
    ):
        assert hint in result.stderr
    told = json.loads(sumun("check", path, "--json").stdout)
    assert [fault["line"] for fault in told["faults"]] == [4, 5, 7, 8, 10]


def test_check_of_the_default_and_of_nothing(tmp_path: Path) -> None:
    assert sumun("check").exit_code == 0
    told = json.loads(sumun("check", "--json").stdout)
    assert (told["ok"], told["segments"]) == (True, 3)
    missing = sumun("check", tmp_path / "none.yaml")
    assert (missing.exit_code, "no such file" in missing.stderr) == (2, True)


def test_explain_says_who_what_which_rule_and_each_point() -> None:
    told = explained("127.0.0.3", "chat.deepseek.com")
    expected = {
        "client": "127.0.0.3", "segment": "military-use", "name": "chat.deepseek.com", "service": "deepseek",
        "action": "block", "rule": "no-generative-ai", "determination": "final", "needs": [],
        "verdicts": {"dns": "sinkholed", "gate": "intercepted", "http": "block_page"},
    }  # fmt: skip
    assert {key: told[key] for key in expected} == expected
    assert len(told["policy_revision"]) == 12


def test_explain_names_what_it_would_have_to_know(tmp_path: Path) -> None:
    rules = [{"id": "no-r1", "action": "block", "models": ["deepseek*"]}]
    path = configs.write(tmp_path / "sumun.yaml", configs.variant(rules=rules))
    told = explained("127.0.0.1", "claude.ai", "-c", path)
    assert (told["determination"], told["needs"], told["action"]) == ("undetermined", ["model"], None)
    assert told["verdicts"] == {"dns": "steered", "gate": "intercepted", "http": None}
    assert explained("127.0.0.1", "claude.ai", "-c", path, "--model", "deepseek-r1")["rule"] == "no-r1"
    assert explained("127.0.0.1", "claude.ai", "-c", path, "--model", "none")["action"] == "allow"


def test_explain_takes_a_url_an_address_and_a_time(tmp_path: Path) -> None:
    rules = [{"id": "r", "action": "block", "services": ["claude"], "until": "2026-02-01T00:00:00+09:00"}]
    path = configs.write(tmp_path / "sumun.yaml", configs.variant(rules=rules))
    by_time = {
        at: explained("127.0.0.1", "https://claude.ai/chat", "-c", path, "--at", at)["action"]
        for at in ("2026-01-31T23:59:59+09:00", "2026-01-31T15:00:00")
    }
    assert by_time == {"2026-01-31T23:59:59+09:00": "block", "2026-01-31T15:00:00": "allow"}
    assert explained("127.0.0.1", "https://[2001:db8::1]:8443/")["verdicts"]["dns"] is None


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        pytest.param(["127.0.0.3", "a..b"], 2, "empty label", id="no name"),
        pytest.param(["not-an-address", "a.example"], 2, "is not an IP address", id="no address"),
        pytest.param(["127.0.0.1", "http://a.example:99999/"], 2, "no valid port", id="no port"),
        pytest.param(["127.0.0.1", "a.example", "--at", "soon"], 2, "is not a time", id="no time"),
    ],
)
def test_explain_refuses_in_words(words: list[str], status: int, said: str) -> None:
    result = sumun("explain", *words)
    assert (result.exit_code, said in result.stderr) == (status, True), result.stderr


@pytest.mark.parametrize(
    ("name", "dns", "bypass"),
    [
        ("use-application-dns.net", "nxdomain", "doh_canary"),
        ("mask.icloud.com", "nxdomain", "private_relay"),
        ("_dns.resolver.arpa", "nodata", "resolver_discovery"),
        ("dns.google", "sinkholed", "encrypted_dns"),
        ("nordvpn.com", "sinkholed", "vpn"),
        ("chat.deepseek.com", "sinkholed", None),
        ("www.example.org", "forwarded", None),
    ],
)
def test_explain_shows_ways_round(name: str, dns: str, bypass: str | None) -> None:
    told = explained("127.0.0.3", name)
    assert (told["verdicts"]["dns"], told["bypass"]) == (dns, bypass)
    shown = sumun("explain", "127.0.0.3", name).stdout
    assert (f"counted as an attempt to get round the filter: {bypass}" in shown) is (bypass is not None)


def test_explain_judges_a_copy_as_what_it_shows() -> None:
    told = explained("127.0.0.3", "chat-deepseek-com.translate.goog")
    assert (told["service"], told["rule"]) == ("deepseek", "no-generative-ai")
    assert told["verdicts"] == {"dns": "sinkholed", "gate": "intercepted", "http": "block_page"}
    assert told["trace"][0]["standing"] == "settled"
    assert explained("127.0.0.3", "www-example-org.translate.goog")["verdicts"]["dns"] == "forwarded"


def test_explain_shows_the_address_that_a_name_leads_to(tmp_path: Path) -> None:
    path = tmp_path / "sumun.yaml"
    path.write_text("""\
version: 1
listen: {pages: {address6: "2001:db8::1", categories: {llm-api: [192.0.2.83]}}}
segments:
  hq:
    networks: [127.0.0.0/8]
    rules:
      - {id: deepseek, action: block, services: [deepseek], sinkhole: [192.0.2.82, "2001:db8::82"]}
      - {id: everything, action: block, categories: ["*"]}
""")
    found = {
        name: explained("127.0.0.1", name, "-c", path)["addresses"]
        for name in ("chat.deepseek.com", "openrouter.ai", "chatgpt.com", "www.example.org")
    }
    assert found["chat.deepseek.com"] == ["192.0.2.82", "2001:db8::82"]
    assert found["chatgpt.com"] == ["127.0.0.1", "2001:db8::1"]
    assert found["www.example.org"] == []
    assert "sinkholed (192.0.2.82, 2001:db8::82)" in sumun("explain", "127.0.0.1", "deepseek.com", "-c", path).stdout


def test_explain_for_a_person_ends_with_the_three_points() -> None:
    said = sumun("explain", "127.0.0.3", "chat.deepseek.com").stdout
    assert said.splitlines()[0] == "127.0.0.3 → chat.deepseek.com: block"
    assert [line.split() for line in said.splitlines()[-3:]] == [
        ["dns", "sinkholed", "(127.0.0.1)"], ["gate", "intercepted"], ["http", "block_page"],
    ]  # fmt: skip


def test_services_are_listed_shown_and_found() -> None:
    listed = json.loads(sumun("services", "list", "--country", "cn", "--json").stdout)
    assert "deepseek" in {service["id"] for service in listed}
    assert all("CN" in (s["vendor_country"], s["parent_country"]) for s in listed)
    assert "api.deepseek.com" in sumun("services", "show", "deepseek").stdout
    assert "did you mean `deepseek`?" in sumun("services", "show", "deepsek").stderr
    found = json.loads(sumun("services", "find", "eu-west9-aiplatform.googleapis.com", "--json").stdout)
    assert found["services"][0]["domain"]["match"] == "glob"
    assert sumun("services", "find", "www.example.org").exit_code == 1


def test_an_authority_is_made_once_and_shown(tmp_path: Path) -> None:
    path = configs.write(tmp_path / "sumun.yaml", configs.variant(state=str(tmp_path / "state")))
    before = sumun("ca", "show", "-c", path)
    assert (before.exit_code, "`sumun ca init`" in before.stderr) == (2, True)
    assert sumun("ca", "init", "-c", path).exit_code == 0
    pem = sumun("ca", "show", "--pem", "-c", path).stdout
    assert pem.startswith("-----BEGIN CERTIFICATE-----")
    assert "PRIVATE" not in pem
    assert sumun("ca", "init", "-c", path).exit_code == 0
    assert sumun("ca", "show", "--pem", "-c", path).stdout == pem
    for kind in ("pem", "der"):
        target = tmp_path / f"ca.{kind}"
        assert sumun("ca", "export", "--format", kind, "-o", target, "-c", path).exit_code == 0
        assert target.stat().st_size > 300
    keys = [found for found in (tmp_path / "state" / "ca").iterdir() if b"PRIVATE" in found.read_bytes()]
    assert keys
    assert all(stat.S_IMODE(key.stat().st_mode) == 0o600 for key in keys)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_for_this_command(shell: str) -> None:
    assert "_SUMUN_COMPLETE" in sumun("completion", shell).stdout


def test_a_filter_that_does_not_run_is_not_healthy(tmp_path: Path) -> None:
    from tests.support.running import free_ports

    dns, proxy, http, https, console = free_ports(5)
    listen = {
        "dns": {"port": dns}, "proxy": {"port": proxy}, "pages": {"http": http, "https": https},
        "console": {"port": console},
    }  # fmt: skip
    path = configs.write(tmp_path / "sumun.yaml", configs.variant(listen=listen, state=str(tmp_path / "state")))
    told = sumun("healthcheck", "-c", path, "--json")
    assert told.exit_code == 1
    assert set(json.loads(told.stdout)["roles"]) == {"dns", "proxy", "console"}


def test_explain_does_not_call_a_shared_domain_nobodys() -> None:
    said = sumun("explain", "127.0.0.3", "www.bing.com").stdout
    assert "undetermined, needs path" in said
    assert "depends on the path" in said
    assert "none in the catalogue" in sumun("explain", "127.0.0.3", "www.example.org").stdout


def test_a_fingerprint_is_not_read_as_an_emoji() -> None:
    """Guards `:CD:`, which rich takes for a compact disc."""
    from sumun.cli.output import out

    with out.capture() as printed:
        out.print("SHA-256 A4:CD:13")
    assert printed.get() == "SHA-256 A4:CD:13\n"
