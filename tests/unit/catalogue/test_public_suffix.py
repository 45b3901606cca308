"""Names under which anybody can register are told from names of one owner."""

from __future__ import annotations

import pytest

from sumun.catalogue.public_suffix import is_public_suffix


@pytest.mark.parametrize(
    "name",
    [
        "com", "kr", "xn--3e0b707e", "co.kr", "or.kr", "go.kr", "ac.kr", "seoul.kr", "co.jp", "ne.jp", "tokyo.jp",
        "com.cn", "gov.cn", "bj.cn", "co.uk", "org.uk", "com.au", "com.br", "github.io", "workers.dev", "vercel.app",
        "blob.core.windows.net", "s3.amazonaws.com", "googleapis.com",
    ],
)  # fmt: skip
def test_many_owners(name: str) -> None:
    assert is_public_suffix(name)


@pytest.mark.parametrize(
    "name",
    [
        "deepseek.com", "co.com", "naver.com", "go.com", "kakao.co.kr", "x.ai", "z.ai", "c.ai", "me.com", "n.cn",
        "moonshot.cn", "generativelanguage.googleapis.com", "someone.github.io", "chat.openai.com.cdn.cloudflare.net",
        "or.example", "gov.example",
    ],
)  # fmt: skip
def test_one_owner(name: str) -> None:
    assert not is_public_suffix(name)
