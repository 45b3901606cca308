from __future__ import annotations

from ipaddress import ip_address, ip_network

from sumun.sinkhole.limits import RateLimit

ONE, NEIGHBOUR, OTHER = (ip_address(text).packed for text in ("192.0.2.1", "192.0.2.99", "198.51.100.1"))


def admitted(limit: RateLimit, client: bytes, times: int, now: float = 0.0) -> int:
    return sum(limit.admits(client, now) for _ in range(times))


def test_a_network_has_one_budget_for_each_second() -> None:
    limit = RateLimit(5)
    assert admitted(limit, ONE, 4) == 4
    assert admitted(limit, NEIGHBOUR, 4) == 1
    assert admitted(limit, OTHER, 4) == 4
    assert admitted(limit, ONE, 9, now=0.99) == 0
    assert admitted(limit, NEIGHBOUR, 9, now=1.0) == 5
    assert admitted(limit, NEIGHBOUR, 9, now=0.5) == 5, "a clock set back begins anew"


def test_a_site_is_a_56() -> None:
    limit = RateLimit(1)
    first, same, next_ = (ip_address(f"2001:db8:0:{part}::1").packed for part in ("0", "ff", "100"))
    assert [limit.admits(client, 0) for client in (first, same, next_)] == [True, False, True]


def test_an_ipv4_client_is_one_over_either_socket() -> None:
    limit = RateLimit(1)
    assert limit.admits(ONE, 0)
    assert not limit.admits(ip_address("::ffff:192.0.2.1").packed, 0)


def test_forwarders_have_no_limit() -> None:
    limit = RateLimit(1, (ip_network("192.0.2.1/32"),))
    assert admitted(limit, ONE, 100) == 100
    assert admitted(limit, NEIGHBOUR, 100) == 1


def test_forged_addresses_fill_no_memory() -> None:
    limit = RateLimit(1)
    for number in range(70_000):
        limit.admits((number * 256).to_bytes(4), 0)
    assert len(limit._clients) <= 65_536
    assert len(limit._networks) <= 65_536
