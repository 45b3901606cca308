from ipaddress import ip_address

from sumun.proxy.vetted import VettedAddress


def test_it_dials_the_address_and_is_the_name() -> None:
    named = ("a.test", 443)
    vetted = VettedAddress.of(ip_address("192.0.2.1"), named)
    assert [*vetted] == ["192.0.2.1", 443]
    assert vetted == named
    assert named == vetted
    assert hash(vetted) == hash(named)
    assert vetted == VettedAddress.of(ip_address("192.0.2.2"), named)
    assert vetted != ("192.0.2.1", 443)
    assert vetted != VettedAddress.of(ip_address("192.0.2.1"), ("b.test", 443))
