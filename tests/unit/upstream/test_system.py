from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path

import pytest

from sumun.upstream.errors import UpstreamError
from sumun.upstream.system import SystemResolvers


def resolvers(path: Path, text: str, *ours: tuple[str, int]) -> SystemResolvers:
    path.write_text(text)
    return SystemResolvers(path, frozenset((ip_address(address), port) for address, port in ours))


def hosts(it: SystemResolvers) -> list[str]:
    return [server.host for server in it.current()]


def test_the_first_three_name_servers_are_read(tmp_path: Path) -> None:
    text = "# comment\nsearch example.test\nnameserver 192.0.2.1\nnameserver\nnameserver nonsense\n"
    text += "nameserver 2001:db8::1\nnameserver fe80::1%eth0\nnameserver 192.0.2.4\n"
    assert hosts(resolvers(tmp_path / "resolv.conf", text)) == ["192.0.2.1", "2001:db8::1", "fe80::1%eth0"]


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    it = resolvers(tmp_path / "resolv.conf", "nameserver 192.0.2.1\n")
    assert hosts(it) == ["192.0.2.1"]
    it.path.write_text("nameserver 192.0.2.2\n")
    os.utime(it.path, ns=(1, 1))
    assert hosts(it) == ["192.0.2.2"]


@pytest.mark.parametrize("ours", [("127.0.0.1", 53), ("0.0.0.0", 53)])
def test_ourselves_are_never_asked(tmp_path: Path, ours: tuple[str, int]) -> None:
    it = resolvers(tmp_path / "resolv.conf", "nameserver 127.0.0.1\n", ours)
    with pytest.raises(UpstreamError, match="names no resolver other than this one"):
        it.current()
    it = resolvers(tmp_path / "resolv.conf", "nameserver 127.0.0.1\n", ("127.0.0.1", 8053))
    assert hosts(it) == ["127.0.0.1"]


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UpstreamError, match="No such file"):
        SystemResolvers(tmp_path / "resolv.conf", frozenset()).current()
