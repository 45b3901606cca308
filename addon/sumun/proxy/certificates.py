"""Certificates of the authority: a root that clients install, and an intermediate that signs what they see."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT_LIFE = timedelta(days=10 * 365)
INTERMEDIATE_LIFE = timedelta(days=3 * 365)
_BACKDATED = timedelta(days=2)
"""Clients whose clocks are behind accept it from the first minute."""
_ROOTS_PATH = 2
"""Certificates of authorities below a root: its intermediate, and between them the next root while it takes over."""

type Key = ec.EllipticCurvePrivateKey


def new_key() -> Key:
    """A P-256 key: an RSA handshake costs several times as much."""
    return ec.generate_private_key(ec.SECP256R1())


def root(key: Key, at: datetime) -> x509.Certificate:
    """A root for this key."""
    name = _name(f"Sumun CA {at:%Y-%m-%d}", key)
    return _signed(name, name, key.public_key(), key, at, at + ROOT_LIFE, _ROOTS_PATH)


def intermediate(key: Key, root_key: Key, of: x509.Certificate, at: datetime) -> x509.Certificate:
    """What signs leaves, below this root; it never outlives it."""
    name = _name(f"Sumun intermediate CA {at:%Y-%m-%d}", key)
    end = min(at + INTERMEDIATE_LIFE, of.not_valid_after_utc)
    return _signed(name, of.subject, key.public_key(), root_key, at, end, 0)


def crossed(newer: x509.Certificate, older: x509.Certificate, older_key: Key, at: datetime) -> x509.Certificate:
    """A new root's name and key vouched for by the old one, for clients that know only that."""
    public = newer.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)  # noqa: S101 - narrows the type; `root` made it
    return _signed(newer.subject, older.subject, public, older_key, at, older.not_valid_after_utc, _ROOTS_PATH - 1)


def pem(*certificates: x509.Certificate) -> bytes:
    """As text, one after the other."""
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def private_pem(key: Key) -> bytes:
    """A key as text, not encrypted: the file's mode protects it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def issued_by(one: x509.Certificate, other: x509.Certificate) -> bool:
    """Whether the other one's key signed this certificate."""
    try:
        one.verify_directly_issued_by(other)
    except Exception:  # noqa: BLE001 - cryptography raises several kinds, InvalidSignature among them
        return False
    return True


def _name(common: str, key: Key) -> x509.Name:
    """Distinct for each key, so that no two authorities of one day are taken for each other."""
    mark = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:8]
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"{common} {mark}"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Sumun"),
        ]
    )


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    key: Key,
    at: datetime,
    end: datetime,
    below: int,
) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _BACKDATED)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=below), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
