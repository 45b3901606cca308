"""``sumun services``, as an administrator types it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from sumun.cli.app import cli


def services(*words: str) -> Result:
    return CliRunner().invoke(cli, ["services", *words], env={"NO_COLOR": "1"})


@pytest.mark.parametrize(
    ("word", "id_"),
    [
        ("뤼튼", "wrtn"),
        ("WRTN", "wrtn"),
        ("oaiusercontent", "chatgpt"),
        ("anysphere", "cursor"),
        ("챗지피티", "chatgpt"),
    ],
)
def test_search_finds_by_any_name_vendor_or_domain(word: str, id_: str) -> None:
    found = json.loads(services("search", word, "--json").stdout)
    assert id_ in {service["id"] for service in found}
    assert id_ in services("search", word).stdout


def test_search_says_when_there_is_nothing() -> None:
    assert (services("search", "nobody-has-this").exit_code, services("search", "nobody-has-this").stdout) == (
        1, "0 services\n",
    )  # fmt: skip


def test_show_takes_an_alias_and_tells_sources_and_what_is_not_known() -> None:
    shown = services("show", "챗지피티").stdout
    assert shown.startswith("ChatGPT · 챗GPT (chatgpt)\n")
    assert "not established" in shown
    assert "chatgpt.com" in shown
    lines = services("show", "copilot").stdout.splitlines()
    assert any("path /chat or /copilotsearch" in line for line in lines)
    missing = services("show", "kimy")
    assert (missing.exit_code, "did you mean `kimi`?" in missing.stderr, "search" in missing.stderr) == (1, True, True)


@pytest.mark.parametrize(
    ("what", "owner", "first_line"),
    [
        ("chat.deepseek.com", "deepseek", "chat.deepseek.com belongs to DeepSeek (deepseek)"),
        ("https://www.bing.com/chat?q=1", "copilot", "www.bing.com/chat belongs to Microsoft Copilot (copilot)"),
        ("https://www.bing.com/maps", None, "www.bing.com/maps is shared: the name alone makes it no service's"),
        ("www.bing.com", None, "www.bing.com is shared: the name alone makes it no service's"),
        ("llm.zed.dev", "zed", "llm.zed.dev belongs to Zed AI (zed)"),
        ("owner-name.hf.space", "huggingface", "owner-name.hf.space belongs to Hugging Face (huggingface)"),
    ],
)
def test_find_says_whose_an_address_is_and_why(what: str, owner: str | None, first_line: str) -> None:
    found = services("find", what)
    assert (found.exit_code, found.stdout.splitlines()[0]) == (0, first_line)
    assert "decided by" in found.stdout
    assert "sources: " in found.stdout
    assert json.loads(services("find", what, "--json").stdout)["service"] == owner


@pytest.mark.parametrize(("what", "status"), [("www.example.org", 1), ("not a name", 2), ("https://", 2)])
def test_find_of_what_is_nobodys(what: str, status: int) -> None:
    assert services("find", what).exit_code == status


def test_a_category_that_is_none_is_said_so() -> None:
    told = services("list", "--category", "chat-assistent")
    assert (told.exit_code, "did you mean `chat-assistant`?" in told.stderr) == (2, True)
