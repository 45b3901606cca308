from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.model.name import parse_host
from sumun.policy.copies import copied_by_name, copied_by_path, with_copied


@pytest.mark.parametrize(
    ("host", "copied"),
    [
        ("chat-deepseek-com.translate.goog", "chat.deepseek.com"),
        ("api--docs-deepseek-com.translate.goog", "api-docs.deepseek.com"),
        ("chat-deepseek-com.cdn.ampproject.org", "chat.deepseek.com"),
        ("translate.goog", None),
        ("localhost.translate.goog", None),
        ("a.b-c.translate.goog", None),
        ("chat-deepseek-com.example", None),
        ("192.0.2.1", None),
    ],
)
def test_a_label_spells_a_host(host: str, copied: str | None) -> None:
    found = copied_by_name(parse_host(host))
    assert (found and found.text) == copied


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("translate.google.com", "/translate?sl=auto&tl=en&u=https://chat.deepseek.com/a"),
        ("translate.google.com", "/translate?u=https%3A%2F%2Fchat.deepseek.com%2Fa"),
        ("translate.google.com", "/translate?u=https%253A%252F%252Fchat.deepseek.com"),
        ("translate.google.com", "/translate?u=chat.deepseek.com"),
        ("web.archive.org", "/web/20250101000000/https://chat.deepseek.com/"),
        ("web.archive.org", "/web/2025/https:/chat.deepseek.com/x"),
        ("web.archive.org", "/web/2025id_/http://chat.deepseek.com:443/x"),
        ("archive.ph", "/newest/https://chat.deepseek.com"),
        ("webcache.googleusercontent.com", "/search?q=cache:chat.deepseek.com/x"),
        ("r.jina.ai", "/https://chat.deepseek.com/a?b=c"),
        ("r.jina.ai", "/chat.deepseek.com/a"),
        ("12ft.io", "/proxy?q=https://CHAT.deepseek.com./"),
    ],
)
def test_a_path_names_a_host(host: str, path: str) -> None:
    assert "chat.deepseek.com" in [name.text for name in copied_by_path(parse_host(host), path)]
    assert copied_by_path(parse_host("other.example"), path) == [], "other hosts may link to whom they like"


def test_the_host_itself_stays_among_those_judged() -> None:
    hosts = (parse_host("web.archive.org"),)
    assert [str(h) for h in with_copied(hosts, "/web/1/http://a.example/")] == ["web.archive.org", "a.example"]
    assert with_copied(hosts, "/about") == hosts


@given(st.text(max_size=300), st.sampled_from(["web.archive.org", "r.jina.ai", "translate.google.com"]))
def test_any_path_is_taken(path: str, host: str) -> None:
    assert len(copied_by_path(parse_host(host), path)) <= 4


@given(st.from_regex(r"[a-z0-9-]{1,63}", fullmatch=True))
def test_any_label_is_taken(label: str) -> None:
    copied_by_name(parse_host(f"{label}.translate.goog"))
