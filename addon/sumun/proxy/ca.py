"""The certificate authority that pages and inspected connections are signed with.

The layout is that of mitmproxy's CertStore, which reads it: ``mitmproxy-ca.pem`` (key, then certificate),
``mitmproxy-ca-cert.pem`` (what clients install) and ``mitmproxy-dhparam.pem``.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from mitmproxy.certs import DEFAULT_DHPARAM
from mitmproxy.options import CONF_BASENAME

from sumun.model.fault import OperatorFault

_KEY = f"{CONF_BASENAME}-ca.pem"
_CERTIFICATE = f"{CONF_BASENAME}-ca-cert.pem"
_DHPARAM = f"{CONF_BASENAME}-dhparam.pem"
_VALIDITY = timedelta(days=5 * 365)
_BACKDATED = timedelta(days=2)
"""Clients whose clocks are behind accept it from the first minute."""


class CaFault(OperatorFault):
    """The authority on disk cannot be used; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """The authority, without its key."""

    folder: Path
    certificate: str
    """PEM; what clients install."""
    not_after: datetime
    fingerprint: str
    """SHA-256 in pairs of hexadecimal digits, as browsers show it."""


def ensure_ca(folder: Path, *, at: datetime) -> CertificateAuthority:
    """Load the authority, or create it where there is nothing at all; raises CaFault.

    Half an authority is never replaced: clients trust what was there, and somebody should know what became of it.
    """
    present = [name for name in (_KEY, _CERTIFICATE) if (folder / name).exists()]
    if not present:
        _create(folder, at)
    elif missing := {_KEY, _CERTIFICATE} - set(present):
        raise CaFault(
            f"`{folder}` has `{present[0]}` but not `{missing.pop()}`: restore it from a backup, "
            "or move the whole folder away to have a new authority made, which clients must then install"
        )
    return load_ca(folder, at=at)


def load_ca(folder: Path, *, at: datetime) -> CertificateAuthority:
    """Read and check the authority on disk; raises CaFault."""
    _check_private(folder, folder / _KEY)
    try:
        pem = (folder / _KEY).read_bytes()
        key = serialization.load_pem_private_key(pem, None)
        signing = x509.load_pem_x509_certificate(pem)
        shown = x509.load_pem_x509_certificate((folder / _CERTIFICATE).read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise CaFault(f"the certificate authority in `{folder}` cannot be read: {error}") from error
    if signing != shown or key.public_key() != signing.public_key():
        raise CaFault(f"`{_KEY}` and `{_CERTIFICATE}` in `{folder}` do not belong together: restore both from a backup")
    if signing.not_valid_after_utc <= at:
        raise CaFault(
            f"the certificate authority in `{folder}` expired on {signing.not_valid_after_utc:%Y-%m-%d}: "
            "move the folder away to have a new one made, and install that on the clients"
        )
    digest = signing.fingerprint(hashes.SHA256()).hex(":").upper()
    certificate = signing.public_bytes(serialization.Encoding.PEM).decode()
    return CertificateAuthority(folder, certificate, signing.not_valid_after_utc, digest)


def _create(folder: Path, at: datetime) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    key = ec.generate_private_key(ec.SECP256R1())  # an RSA handshake costs several times as much
    certificate = _certificate(key, at).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(folder / _DHPARAM, DEFAULT_DHPARAM.strip() + b"\n", 0o600)
    # the key last: a start that is interrupted here leaves a half that the next one reports
    _write(folder / _CERTIFICATE, certificate, 0o644)
    _write(folder / _KEY, private + certificate, 0o600)


def _certificate(key: ec.EllipticCurvePrivateKey, at: datetime) -> x509.Certificate:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"Sumun CA {at:%Y-%m-%d}"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Sumun"),
        ]
    )
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _BACKDATED)
        .not_valid_after(at + _VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Create a file that never existed with wider rights, and never replace one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _check_private(folder: Path, key: Path) -> None:
    for path in (folder, key):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise CaFault(
                f"`{path}` can be used by others (mode {mode:o}): run `chmod go= {path}`; "
                "if others may have read the key, make a new authority"
            )
