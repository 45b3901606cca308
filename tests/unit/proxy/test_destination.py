from ipaddress import ip_address, ip_network

import pytest

from sumun.model.name import DomainName, parse_host
from sumun.proxy.destination import Destination, Vetting, usable

NOTHING_SPECIAL = Vetting()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.1.2.3", "0.0.0.0", "0.1.2.3", "10.1.2.3", "172.31.255.255", "192.168.0.1", "100.64.0.1",
        "100.100.100.200", "169.254.169.254", "168.63.129.16", "192.0.0.192", "192.0.2.1", "198.18.0.1", "203.0.113.9",
        "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
        "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "100::1",
    ],
)  # fmt: skip
def test_internal_addresses_are_refused(address: str) -> None:
    why = NOTHING_SPECIAL.refusal(ip_address(address), 443)
    assert why is not None
    assert address in why


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::10.0.0.1", "::ffff:0:169.254.169.254", "64:ff9b::10.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b:1::c0a8:1", "2002:7f00:1::1", "2002:a9fe:a9fe::1", "2001:0:1:2:3:4:80ff:fffe",
    ],
)  # fmt: skip
def test_an_internal_address_inside_another_is_refused(address: str) -> None:
    assert NOTHING_SPECIAL.refusal(ip_address(address), 443)


@pytest.mark.parametrize(
    "text", ["0x7f000001", "127.1", "2130706433", "0177.0.0.1", "[::ffff:127.0.0.1]", "１２７.0.0.1"]
)
def test_no_spelling_of_loopback_passes(text: str) -> None:
    host = parse_host(text)
    assert not isinstance(host, DomainName)
    assert NOTHING_SPECIAL.refusal(host, 80)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::1.1.1.1", "2002:101:101::"],
)
def test_public_addresses_pass(address: str) -> None:
    assert NOTHING_SPECIAL.refusal(ip_address(address), 443) is None


def test_named_ranges_pass() -> None:
    vetting = Vetting(internal=(ip_network("10.5.0.0/16"),))
    assert vetting.refusal(ip_address("10.5.0.1"), 443) is None
    assert vetting.refusal(ip_address("::ffff:10.5.0.1"), 443) is None
    assert vetting.refusal(ip_address("10.6.0.1"), 443)


def test_our_own_listeners_are_refused_even_in_a_named_range() -> None:
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    own = frozenset({(ip_address("10.0.0.1"), 8080), (ip_address("0.0.0.0"), 8090)})
    vetting = Vetting(everything, own)
    assert vetting.refusal(ip_address("10.0.0.1"), 8080)
    assert vetting.refusal(ip_address("::ffff:10.0.0.1"), 8080)
    assert vetting.refusal(ip_address("10.0.0.1"), 8081) is None
    assert vetting.refusal(ip_address("127.0.0.1"), 8090), "a wildcard listener answers here"
    assert vetting.refusal(ip_address("10.0.0.7"), 8090) is None
    assert vetting.refusal(ip_address("10.0.0.7"), 8090, here=ip_address("10.0.0.7")), "and where the client met us"
    assert vetting.refusal(ip_address("0.0.0.0"), 8080), "Linux takes it for this host"


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_out_of_range_is_refused(port: int) -> None:
    assert NOTHING_SPECIAL.refusal(ip_address("1.1.1.1"), port)


def test_of_several_addresses_the_good_ones_are_taken() -> None:
    addresses = [ip_address("10.0.0.1"), ip_address("1.1.1.1")]
    assert usable(NOTHING_SPECIAL, addresses, 443)[0] == (ip_address("1.1.1.1"),)
    good, why = usable(NOTHING_SPECIAL, addresses[:1], 443)
    assert (good, "private" in why) == ((), True)
    assert usable(NOTHING_SPECIAL, [], 443) == ((), "the name has no address")


def test_a_destination_knows_what_it_is() -> None:
    named, literal = Destination(DomainName("a.test"), 443), Destination(ip_address("2606::1"), 80)
    assert (named.name, named.address, str(named)) == (DomainName("a.test"), None, "a.test:443")
    assert (literal.name, literal.address, str(literal)) == (None, ip_address("2606::1"), "[2606::1]:80")
