import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from mitmproxy.certs import CertStore
from mitmproxy.options import CONF_BASENAME

from sumun.proxy.ca import CaFault, ensure_ca, load_ca
from tests.support.builders import NOON


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_once_and_kept_private(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "ca"
    made = ensure_ca(folder, at=NOON)
    assert mode(folder) == 0o700
    assert mode(folder / "mitmproxy-ca.pem") == 0o600
    assert ensure_ca(folder, at=NOON + timedelta(days=100)) == made
    assert made.not_after > NOON + timedelta(days=1800)


def test_its_certificate_says_what_it_is(tmp_path: Path) -> None:
    made = ensure_ca(tmp_path / "ca", at=NOON)
    certificate = x509.load_pem_x509_certificate(made.certificate.encode())
    assert certificate.subject.rfc4514_string() == "O=Sumun,CN=Sumun CA 2026-01-05"
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    assert len(made.fingerprint) == 95


def test_mitmproxy_signs_with_it(tmp_path: Path) -> None:
    made = ensure_ca(tmp_path / "ca", at=NOON)
    store = CertStore.from_store(made.folder, CONF_BASENAME, 2048)
    leaf = store.get_cert("a.test", [x509.DNSName("a.test")]).cert.to_cryptography()
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(made.certificate.encode()))


@pytest.mark.parametrize("lost", ["mitmproxy-ca.pem", "mitmproxy-ca-cert.pem"])
def test_a_missing_half_is_reported_and_not_replaced(tmp_path: Path, lost: str) -> None:
    folder = ensure_ca(tmp_path / "ca", at=NOON).folder
    (folder / lost).unlink()
    with pytest.raises(CaFault, match="restore it from a backup"):
        ensure_ca(folder, at=NOON)
    assert not (folder / lost).exists()


@pytest.mark.parametrize(("name", "bits"), [("mitmproxy-ca.pem", 0o640), ("mitmproxy-ca.pem", 0o604), ("", 0o755)])
def test_what_others_can_read_is_refused(tmp_path: Path, name: str, bits: int) -> None:
    folder = ensure_ca(tmp_path / "ca", at=NOON).folder
    (folder / name).chmod(bits)
    with pytest.raises(CaFault, match="chmod go="):
        load_ca(folder, at=NOON)


def test_halves_of_two_authorities_are_refused(tmp_path: Path) -> None:
    first, second = (ensure_ca(tmp_path / name, at=NOON).folder for name in ("a", "b"))
    (second / "mitmproxy-ca-cert.pem").write_bytes((first / "mitmproxy-ca-cert.pem").read_bytes())
    with pytest.raises(CaFault, match="do not belong together"):
        ensure_ca(second, at=NOON)


def test_garbage_and_age_are_refused(tmp_path: Path) -> None:
    made = ensure_ca(tmp_path / "ca", at=NOON)
    with pytest.raises(CaFault, match="expired on 2031-01-04"):
        ensure_ca(made.folder, at=made.not_after)
    (made.folder / "mitmproxy-ca.pem").write_text("garbage")
    with pytest.raises(CaFault, match="cannot be read"):
        ensure_ca(made.folder, at=NOON)
