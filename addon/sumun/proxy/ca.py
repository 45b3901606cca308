"""The certificate authority that pages and inspected connections are signed with, on disk.

What mitmproxy's CertStore reads has the names it asks for: ``mitmproxy-ca.pem`` (the key that signs leaves, its
certificate, then those above it, which are sent along) and ``mitmproxy-dhparam.pem``. ``mitmproxy-ca-cert.pem`` is what
clients install: the root, and below it in the file older ones that are still trusted. ``root.pem`` is the root's key,
which need not stay here. A folder of the first version has one certificate for both, and goes on as it is.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from mitmproxy.certs import DEFAULT_DHPARAM
from mitmproxy.options import CONF_BASENAME

from sumun.model.fault import OperatorFault
from sumun.proxy.certificates import Key, crossed, intermediate, issued_by, new_key, pem, private_pem, root

_KEY = f"{CONF_BASENAME}-ca.pem"
_CERTIFICATE = f"{CONF_BASENAME}-ca-cert.pem"
_DHPARAM = f"{CONF_BASENAME}-dhparam.pem"
_ROOT_KEY = "root.pem"
INTERMEDIATE = "intermediate.pem"
"""The certificate that signs leaves, for whoever only wants to know when it ends."""


class CaFault(OperatorFault):
    """The authority on disk cannot be used; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """The authority, without its keys."""

    folder: Path
    certificate: str
    """PEM; what clients install."""
    not_after: datetime
    fingerprint: str
    """SHA-256 in pairs of hexadecimal digits, as browsers show it."""
    signing_not_after: datetime
    """When the intermediate ends; where there is none, the same."""
    trusted: str = ""
    """PEM; the same certificate, and older ones that clients may still have."""
    has_intermediate: bool = False
    has_root_key: bool = False


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
    keys = [folder / _KEY, *(path for path in (folder / _ROOT_KEY,) if path.exists())]
    _check_private([folder, *keys])
    key, signing = _read_key(folder / _KEY)
    shown = _read(folder / _CERTIFICATE)
    above = next((each for each in shown if issued_by(signing, each)), None)
    if above is None or key.public_key() != signing.public_key():
        raise CaFault(f"`{_KEY}` and `{_CERTIFICATE}` in `{folder}` do not belong together: restore both from a backup")
    if (end := min(signing.not_valid_after_utc, above.not_valid_after_utc)) <= at:
        raise CaFault(f"the certificate authority in `{folder}` expired on {end:%Y-%m-%d}: {_renewal(above, at)}")
    return CertificateAuthority(
        folder,
        pem(shown[0]).decode(),
        shown[0].not_valid_after_utc,
        shown[0].fingerprint(hashes.SHA256()).hex(":").upper(),
        signing.not_valid_after_utc,
        pem(*shown).decode(),
        has_intermediate=signing != above,
        has_root_key=(folder / _ROOT_KEY).exists(),
    )


def renew(folder: Path, *, at: datetime, root_key: Path | None = None) -> CertificateAuthority:
    """Make another intermediate below the root, whose key is in the folder or in this file; raises CaFault.

    Clients need nothing: they trust the root. The key of the old one is gone; what it signed holds while it lasts.
    """
    _require_intermediate(folder, at)
    keeper, above = _root_of(folder, root_key)
    _issue(folder, keeper, above, [above], at)
    return load_ca(folder, at=at)


def renew_root(folder: Path, *, at: datetime, root_key: Path | None = None) -> CertificateAuthority:
    """Make another root beside the old one, which vouches for it: clients may have either; raises CaFault."""
    _require_intermediate(folder, at)
    older_key, older = _root_of(folder, root_key)
    key = new_key()
    newer = root(key, at)
    cross = crossed(newer, older, older_key, at)
    kept = [each for each in _read(folder / _CERTIFICATE) if each.not_valid_after_utc > at]
    _replace(folder / _ROOT_KEY, private_pem(key) + pem(newer), 0o600)
    _replace(folder / _CERTIFICATE, pem(newer, *kept), 0o644)
    _issue(folder, key, newer, [cross, older], at)
    return load_ca(folder, at=at)


def export_root_key(folder: Path, to: Path, *, remove: bool = False) -> None:
    """Copy the root's key to a file that did not exist, and remove it here where that is asked; raises CaFault."""
    source = folder / _ROOT_KEY
    if not source.exists():
        raise CaFault(f"`{source}` is not there: it was removed, or this authority has no intermediate")
    _check_private([source])
    try:
        _write(to, source.read_bytes(), 0o600)
    except OSError as error:
        raise CaFault(f"`{to}` cannot be written: {(error.strerror or str(error)).lower()}") from error
    if remove:
        remove_root_key(folder)


def remove_root_key(folder: Path) -> None:
    """Leave the root's key to somebody else's care; leaves go on being signed until the intermediate ends."""
    (folder / _ROOT_KEY).unlink(missing_ok=True)


def _create(folder: Path, at: datetime) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    key = new_key()
    top = root(key, at)
    _write(folder / _DHPARAM, DEFAULT_DHPARAM.strip() + b"\n", 0o600)
    _write(folder / _ROOT_KEY, private_pem(key) + pem(top), 0o600)
    # the key that signs last: a start that is interrupted here leaves a half that the next one reports
    _write(folder / _CERTIFICATE, pem(top), 0o644)
    _issue(folder, key, top, [top], at)


def _issue(folder: Path, keeper: Key, above: x509.Certificate, sent: list[x509.Certificate], at: datetime) -> None:
    """Make an intermediate and put it in place; mitmproxy sends along what stands after it."""
    key = new_key()
    certificate = intermediate(key, keeper, above, at)
    _replace(folder / INTERMEDIATE, pem(certificate), 0o644)
    _replace(folder / _KEY, private_pem(key) + pem(certificate, *sent), 0o600)


def _require_intermediate(folder: Path, at: datetime) -> None:
    if not _load_ca_any_age(folder, at=at).has_intermediate:
        raise CaFault(
            f"the authority in `{folder}` has no intermediate, since an earlier version made it: move the folder away "
            "to have a new one made, and install that on the clients first"
        )


def _load_ca_any_age(folder: Path, *, at: datetime) -> CertificateAuthority:
    """The same for one that has ended: it can be renewed."""
    return load_ca(folder, at=min(at, _read(folder / _KEY)[0].not_valid_before_utc))


def _root_of(folder: Path, elsewhere: Path | None) -> tuple[Key, x509.Certificate]:
    path = elsewhere or folder / _ROOT_KEY
    if not path.exists():
        raise CaFault(f"`{path}` is not there: bring the root's key along with `--root-key FILE`")
    _check_private([path])
    key, certificate = _read_key(path)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate != _read(folder / _CERTIFICATE)[0]:
        raise CaFault(f"`{path}` is the key of another root than that in `{folder / _CERTIFICATE}`")
    return key, certificate


def _read_key(path: Path) -> tuple[PrivateKeyTypes, x509.Certificate]:
    try:
        text = path.read_bytes()
        key = serialization.load_pem_private_key(text, None)
        certificate = x509.load_pem_x509_certificate(text)
    except (OSError, ValueError, TypeError) as error:
        raise CaFault(f"the certificate authority in `{path.parent}` cannot be read: {error}") from error
    return key, certificate


def _read(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CaFault(f"the certificate authority in `{path.parent}` cannot be read: {error}") from error


def _renewal(above: x509.Certificate, at: datetime) -> str:
    if above.not_valid_after_utc > at:
        return "`sumun ca rotate` makes another intermediate, and clients need nothing"
    return "move the folder away to have a new one made, and install that on the clients"


def _write(path: Path, content: bytes, mode: int) -> None:
    """Create a file that never existed with wider rights, and never replace one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _replace(path: Path, content: bytes, mode: int) -> None:
    """Put a file in place whole."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    _write(fresh, content, mode)
    fresh.replace(path)


def _check_private(paths: list[Path]) -> None:
    for path in paths:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise CaFault(
                f"`{path}` can be used by others (mode {mode:o}): run `chmod go= {path}`; "
                "if others may have read the key, make a new authority"
            )
