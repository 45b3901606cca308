"""The proxy over TLS, with a real curl: what is said to it is encrypted, and a certificate names the user."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from sumun.config.settings import TlsListener
from sumun.config.user_settings import UserSettings
from sumun.model.fault import OperatorFault
from sumun.model.segment import Authenticate, ProxyPolicy
from sumun.model.user import Identity
from sumun.model.verdict import Verdict
from sumun.proxy.certificates import Key, new_key, pem, private_pem
from sumun.proxy.tls_front import identity
from tests.support.builders import DEEPSEEK, NOON, policy, rule, segment
from tests.support.origins import Origin, OriginCA
from tests.support.proxies import LOOPBACK, Answer, Filter, filtering, loopback_settings

pytestmark = pytest.mark.integration


def authority(name: str, key: Key) -> x509.Certificate:
    """Who signs certificates of clients."""
    return (
        x509.CertificateBuilder().subject_name(common(name)).issuer_name(common(name)).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOON - timedelta(days=400)).not_valid_after(NOON + timedelta(days=4000))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip


def signed(name: x509.Name, san: list[x509.GeneralName], key: Key, authority: x509.Certificate) -> tuple[Key, bytes]:
    """A leaf for a client or a server; returns its key, and it."""
    own = new_key()
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(authority.subject).public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOON - timedelta(days=400)).not_valid_after(NOON + timedelta(days=4000))
    )  # fmt: skip
    if san:
        builder = builder.add_extension(x509.SubjectAlternativeName(san), critical=False)
    return own, pem(builder.sign(key, hashes.SHA256()))


def common(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def write(path: Path, key: Key, certificate: bytes) -> Path:
    path.write_bytes(private_pem(key) + certificate)
    path.chmod(0o600)
    return path


def run(folder: Path, test: Callable[[Filter, Origin, Callable[..., Awaitable[Answer]]], Awaitable[None]]) -> None:
    async def main() -> None:
        origins, staff_key = OriginCA(folder), new_key()
        origins.context("127.0.0.1")  # the proxy's own certificate
        (folder / "127.0.0.1.pem").chmod(0o600)
        staff = authority("Staff", staff_key)
        (folder / "staff.pem").write_bytes(pem(staff))
        emails: list[x509.GeneralName] = [x509.RFC822Name("Kim@office.test")]
        write(folder / "kim.pem", *signed(common("Kim"), [], staff_key, staff))
        write(folder / "kim-email.pem", *signed(common("other"), emails, staff_key, staff))
        stranger = new_key()
        write(folder / "stranger.pem", *signed(common("kim"), [], stranger, authority("Staff", stranger)))
        listener = TlsListener(
            LOOPBACK, 0, folder / "127.0.0.1.pem", folder / "127.0.0.1.pem", client_ca=folder / "staff.pem"
        )
        settings = loopback_settings(folder, origins.path)
        settings = replace(settings, listen=replace(settings.listen, proxy_tls=listener), users=UserSettings())
        of = policy(
            segment(
                "hq", "127.0.0.1/32", proxy=ProxyPolicy(authenticate=Authenticate.REQUIRED),
                rules=[
                    rule("kim-may", "allow", services=["deepseek"], users=["kim", "kim@office.test"]),
                    rule("no-ai", "block", categories=["*"]),
                ],
            ),
            services=[DEEPSEEK],
        )  # fmt: skip
        origin = Origin(context=origins.context("chat.deepseek.com", "open.test"))
        names = {"chat.deepseek.com": "127.0.0.1", "open.test": "127.0.0.1"}
        async with origin.serving(), filtering(folder, of, names, settings=settings) as filter_:

            async def curl(*arguments: str, certificate: str = "") -> Answer:
                with_one = ["--proxy-cert", str(folder / certificate)] if certificate else []
                via = ["--proxy", f"https://127.0.0.1:{filter_.tls_port}", "--proxy-cacert", str(origins.path)]
                return await filter_.curl(*via, *with_one, *arguments)

            await test(filter_, origin, curl)

    asyncio.run(main())


@pytest.mark.parametrize(("certificate", "user"), [("kim.pem", "kim"), ("kim-email.pem", "kim@office.test")])
def test_a_certificate_names_the_user(tmp_path: Path, certificate: str, user: str) -> None:
    async def test(filter_: Filter, origin: Origin, curl: Callable[..., Awaitable[Answer]]) -> None:
        url, roots = f"https://chat.deepseek.com:{origin.port}/", ["--cacert", str(tmp_path / "origin-ca.pem")]
        answer = await curl(*roots, url, certificate=certificate)
        assert answer.text == "origin speaking", answer.complaint
        (event,) = filter_.events.seen
        assert (event.request.user, event.verdict) == (user, Verdict.SPLICED)
        assert str(event.request.client) == "127.0.0.1"

    run(tmp_path, test)


def test_without_one_nobody_is_known(tmp_path: Path) -> None:
    async def test(_: Filter, origin: Origin, curl: Callable[..., Awaitable[Answer]]) -> None:
        assert (await curl(f"https://open.test:{origin.port}/")).connect_status == 407
        assert (await curl(f"https://open.test:{origin.port}/", certificate="stranger.pem")).connect_status == 0
        assert origin.connections == 0

    run(tmp_path, test)


def test_pages_and_plain_http_come_through_it_too(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin, curl: Callable[..., Awaitable[Answer]]) -> None:
        blocked = await curl("http://chat.deepseek.com/", certificate="kim.pem")
        assert blocked.status in (403, 502)
        big = await curl(
            "--http1.1",
            "--cacert",
            str(tmp_path / "origin-ca.pem"),
            f"https://open.test:{origin.port}/big",
            certificate="kim.pem",
        )
        assert len(big.body) == 10 * 1024 * 1024
        own = await curl(f"https://127.0.0.1:{filter_.tls_port}/", certificate="kim.pem")
        assert own.connect_status == 403, "its own listener is never dialled"

    run(tmp_path, test)


def test_names_of_certificates() -> None:
    assert identity({}) is None
    assert identity({"subject": ((("commonName", "Kim Lee"),),)}) == Identity("kim lee")
    assert identity({"subject": ((("commonName", "a:b"),),)}) is None
    named = {"subject": ((("commonName", "x"),),), "subjectAltName": (("DNS", "a"), ("email", "Kim@a.test"))}
    assert identity(named) == Identity("kim@a.test")


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    from sumun.proxy.tls_front import TlsFront

    OriginCA(tmp_path).context("a.test")
    (tmp_path / "a.test.pem").chmod(0o644)
    path = tmp_path / "a.test.pem"
    with pytest.raises(OperatorFault, match="chmod go="):
        TlsFront(TlsListener(LOOPBACK, 0, path, path), lambda *_: None, reuse_port=False)
