import pytest

from sumun.content.dns_message import is_dns

MESSAGE = "AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB"  # RFC 8484, 4.1.1


@pytest.mark.parametrize(
    ("target", "content_type", "accept"),
    [
        ("/dns-query", "application/dns-message", ""),
        ("/elsewhere", "Application/DNS-Message; charset=x", "*/*"),
        (f"/dns-query?dns={MESSAGE}", "", "application/dns-message"),
        (f"/x?a=b&dns={MESSAGE}&c", "", "*/*"),
        ("/resolve?name=a.test", "", "application/dns-json, */*"),
        ("/", "application/oblivious-dns-message", ""),
    ],
)
def test_a_question_to_a_resolver(target: str, content_type: str, accept: str) -> None:
    assert is_dns(target, content_type, accept)


@pytest.mark.parametrize(
    ("target", "content_type", "accept"),
    [("/dns-query", "text/html", "*/*"), ("/?dns=example.test", "", ""), ("/?udns=" + MESSAGE, "", ""), ("/", "", "")],
)
def test_what_only_resembles_one(target: str, content_type: str, accept: str) -> None:
    assert not is_dns(target, content_type, accept)
