import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from mitmproxy.certs import CertStore
from mitmproxy.options import CONF_BASENAME

from sumun.proxy.ca import CaFault, ensure_ca, export_root_key, load_ca, renew, renew_root
from sumun.proxy.certificates import new_key, pem, private_pem, root
from tests.support.builders import NOON


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_once_and_kept_private(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "ca"
    made = ensure_ca(folder, at=NOON)
    assert mode(folder) == 0o700
    assert mode(folder / "mitmproxy-ca.pem") == 0o600
    assert ensure_ca(folder, at=NOON + timedelta(days=100)) == made
    assert made.not_after > NOON + timedelta(days=3600)
    assert NOON + timedelta(days=1000) < made.signing_not_after < made.not_after


def test_its_certificate_says_what_it_is(tmp_path: Path) -> None:
    made = ensure_ca(tmp_path / "ca", at=NOON)
    certificate = x509.load_pem_x509_certificate(made.certificate.encode())
    assert certificate.subject.rfc4514_string().startswith("O=Sumun,CN=Sumun CA 2026-01-05 ")
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 2)
    assert len(made.fingerprint) == 95


def test_mitmproxy_signs_with_it(tmp_path: Path) -> None:
    made = ensure_ca(tmp_path / "ca", at=NOON)
    store = CertStore.from_store(made.folder, CONF_BASENAME, 2048)
    leaf = store.get_cert("a.test", [x509.DNSName("a.test")]).cert.to_cryptography()
    intermediate = store.default_ca.to_cryptography()
    leaf.verify_directly_issued_by(intermediate)
    intermediate.verify_directly_issued_by(x509.load_pem_x509_certificate(made.certificate.encode()))
    assert intermediate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0


@pytest.mark.parametrize("lost", ["mitmproxy-ca.pem", "mitmproxy-ca-cert.pem"])
def test_a_missing_half_is_reported_and_not_replaced(tmp_path: Path, lost: str) -> None:
    folder = ensure_ca(tmp_path / "ca", at=NOON).folder
    (folder / lost).unlink()
    with pytest.raises(CaFault, match="restore it from a backup"):
        ensure_ca(folder, at=NOON)
    assert not (folder / lost).exists()


@pytest.mark.parametrize(
    ("name", "bits"), [("mitmproxy-ca.pem", 0o640), ("mitmproxy-ca.pem", 0o604), ("root.pem", 0o640), ("", 0o755)]
)
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
    with pytest.raises(CaFault, match="expired on 2029-01-04: `sumun ca rotate`"):
        ensure_ca(made.folder, at=made.signing_not_after)
    with pytest.raises(CaFault, match="move the folder away"):
        ensure_ca(made.folder, at=made.not_after)
    (made.folder / "mitmproxy-ca.pem").write_text("garbage")
    with pytest.raises(CaFault, match="cannot be read"):
        ensure_ca(made.folder, at=NOON)


def test_the_root_key_may_live_elsewhere(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "ca", tmp_path / "safe.pem"
    made = ensure_ca(folder, at=NOON)
    assert made.has_root_key
    export_root_key(folder, elsewhere, remove=True)
    assert mode(elsewhere) == 0o600
    with pytest.raises(CaFault, match="not there"):
        export_root_key(folder, tmp_path / "again.pem")
    assert not ensure_ca(folder, at=NOON).has_root_key
    with pytest.raises(CaFault, match="--root-key"):
        renew(folder, at=NOON)
    later = NOON + timedelta(days=1200)  # the intermediate has ended
    renewed = renew(folder, at=later, root_key=elsewhere)
    assert renewed.certificate == made.certificate
    assert renewed.signing_not_after > later + timedelta(days=1000)
    assert not renewed.has_root_key


def test_a_key_is_never_written_over_a_file(tmp_path: Path) -> None:
    folder, there = ensure_ca(tmp_path / "ca", at=NOON).folder, tmp_path / "there"
    there.write_text("mine")
    with pytest.raises(CaFault, match="cannot be written"):
        export_root_key(folder, there, remove=True)
    assert there.read_text() == "mine"
    assert load_ca(folder, at=NOON).has_root_key


def test_a_new_root_stands_beside_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    old = ensure_ca(folder, at=NOON)
    new = renew_root(folder, at=NOON + timedelta(days=3000))
    assert new.certificate != old.certificate
    assert new.trusted == new.certificate + old.certificate
    assert load_ca(folder, at=NOON + timedelta(days=3000)) == new
    third = renew_root(folder, at=NOON + timedelta(days=4000))
    assert old.certificate not in third.trusted, "what has ended is left out"


def test_another_roots_key_is_refused(tmp_path: Path) -> None:
    one, other = (ensure_ca(tmp_path / name, at=NOON).folder for name in ("a", "b"))
    with pytest.raises(CaFault, match="another root"):
        renew(one, at=NOON, root_key=other / "root.pem")


def test_a_folder_of_the_first_version_goes_on_as_it_is(tmp_path: Path) -> None:
    folder, key = tmp_path / "ca", new_key()
    folder.mkdir(mode=0o700)
    single = root(key, NOON)
    (folder / "mitmproxy-ca.pem").write_bytes(private_pem(key) + pem(single))
    (folder / "mitmproxy-ca.pem").chmod(0o600)
    (folder / "mitmproxy-ca-cert.pem").write_bytes(pem(single))
    found = ensure_ca(folder, at=NOON)
    assert (found.has_intermediate, found.has_root_key) == (False, False)
    assert found.signing_not_after == found.not_after
    leaf = CertStore.from_store(folder, CONF_BASENAME, 2048).get_cert("a.test", [x509.DNSName("a.test")])
    leaf.cert.to_cryptography().verify_directly_issued_by(single)
    with pytest.raises(CaFault, match="has no intermediate"):
        renew(folder, at=NOON)
