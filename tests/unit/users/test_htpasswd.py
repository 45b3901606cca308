"""Files of users: what is taken, what is refused and why, and that no refusal shows a password."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.users.htpasswd import Refused, read_groups, read_passwords, verify

HASH = bcrypt.hashpw(b"secret", b"$2b$05$abcdefghijklmnopqrstuu").decode()


def test_names_have_no_case_and_comments_are_left_out() -> None:
    found, refused = read_passwords(f"# users\n\nAlice:{HASH}\nK\N{LATIN SMALL LETTER O WITH DIAERESIS}nig:{HASH}\n")
    assert (set(found), refused) == ({"alice", "k\N{LATIN SMALL LETTER O WITH DIAERESIS}nig"}, [])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("kim:$apr1$salt$abcdefghijklmnopqrstu.", "MD5 (apr1) is too weak"),
        ("kim:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "SHA-1 is too weak"),
        ("kim:$1$salt$qJH7.N4xYta3aEG/dfqo/0", "MD5 is too weak"),
        ("kim:plain-secret", "this is no bcrypt"),
        ("kim:rqXexS6ZhobKA", "this is no bcrypt"),
        (f"kim:{HASH.replace('$05$', '$31$')}", "cost of 31"),
        ("plain-secret", "a line is `name:hash`"),
        (f":{HASH}", "1 to 128 characters"),
        (f" kim:{HASH}", "no space at its ends"),
        (f"ki\u200bm:{HASH}", "no control characters"),
    ],
)
def test_what_is_weak_or_odd_is_refused_and_not_shown(line: str, why: str) -> None:
    found, refused = read_passwords(f"{line}\nlee:{HASH}\n")
    assert set(found) == {"lee"}
    (one,) = refused
    assert one.line == 1
    assert why in one.why
    assert "plain-secret" not in one.why


def test_a_name_twice_is_refused() -> None:
    assert read_passwords(f"kim:{HASH}\nKIM:{HASH}")[1] == [Refused(2, "`kim` stands here twice: names have no case")]


def test_groups_are_of_users() -> None:
    found, refused = read_groups("research: alice Kim\nstaff:kim\nnonsense\n")
    assert found == {"alice": {"research"}, "kim": {"research", "staff"}}
    assert [each.line for each in refused] == [3]


@pytest.mark.parametrize("how", ["-B", "-2", "-5"])
@pytest.mark.skipif(not shutil.which("htpasswd"), reason="htpasswd is not installed")
def test_what_htpasswd_writes_is_read(tmp_path: Path, how: str) -> None:
    path = tmp_path / "users"
    subprocess.run(["htpasswd", "-c", "-b", how, str(path), "kim", "a:b c"], check=True, capture_output=True)
    found, refused = read_passwords(path.read_text())
    assert refused == []
    assert verify(b"a:b c", found["kim"])
    assert not verify(b"a:b", found["kim"])


def test_bcrypt_looks_at_72_octets_and_no_more_fail() -> None:
    long = b"x" * 100
    assert verify(long, bcrypt.hashpw(long[:72], b"$2b$05$abcdefghijklmnopqrstuu").decode())


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    read_passwords(text)
    read_groups(text)
