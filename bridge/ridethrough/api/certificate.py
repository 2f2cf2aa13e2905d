"""The certificate of the API: an own one, or one that the bridge makes for itself and clients pin."""

from dataclasses import dataclass
from datetime import datetime, timedelta
import ipaddress
from pathlib import Path
import socket
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ridethrough.certificates import CertificateError, certificate_pem, fingerprint, key_pem, new_key, write_private
from ridethrough.clock import Clock
from ridethrough.config.model import ApiConfig

FILE = "api-certificate.pem"
"""In the data folder; key and certificate in one file, so that they cannot be of different age."""
VALID = timedelta(days=3653)
"""Ten years: who pins a fingerprint must confirm each new one by hand."""
RENEW = timedelta(days=30)
"""Before its end a certificate is replaced at the next start."""
SLACK = timedelta(days=1)
"""A certificate is valid from a little earlier, for clients whose clock is behind."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What TLS needs, and what clients pin."""

    context: ssl.SSLContext
    fingerprint: str
    """SHA-256 of the certificate (DER), as 64 hex digits."""


def is_loopback(listen: str) -> bool:
    """Whether only this computer can reach that address: `localhost`, `127.x.y.z`, `::1`."""
    try:
        return ipaddress.ip_address(listen.strip("[]")).is_loopback
    except ValueError:
        return listen.lower().rstrip(".") == "localhost"


def identity(config: ApiConfig, data: Path, clock: Clock) -> Identity | None:
    """Return what to serve with; None for plain HTTP, which is for loopback alone. Raises CertificateError.

    It reads and writes files, and making a key takes a moment: call it in a thread.
    """
    if config.tls is not None:
        certificate = _own(config.tls.certificate, clock)
        return Identity(_context(config.tls.certificate, config.tls.key), fingerprint(certificate))
    if is_loopback(config.listen):
        return None
    path = data / FILE
    certificate = _kept(path, config.listen, clock)
    return Identity(_context(path, path), fingerprint(certificate))


def served_fingerprint(config: ApiConfig, data: Path) -> str | None:
    """SHA-256 of the certificate that a bridge of this configuration serves with; None for plain HTTP.

    For clients on the bridge's own computer. Raises CertificateError.
    """
    if config.tls is None and is_loopback(config.listen):
        return None
    path = data / FILE if config.tls is None else config.tls.certificate
    try:
        return fingerprint(x509.load_pem_x509_certificate(path.read_bytes()))
    except OSError as error:
        reason = error.strerror
    except ValueError:
        reason = "it holds none in PEM form"
    raise CertificateError(f"The bridge's certificate {path} cannot be read: {reason}. Has the bridge run yet?")


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a password of our own OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CertificateError(f"The key in {key} does not belong to the certificate in {certificate}.") from error
        raise CertificateError(
            f"{key} holds no private key in PEM form without a password (or {certificate} is damaged): {error.reason}."
        ) from error
    except OSError as error:
        raise CertificateError(f"The key in {key} cannot be read: {error.strerror}.") from error
    return context


def _own(path: Path, clock: Clock) -> x509.Certificate:
    """Read the certificate that the configuration names."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise CertificateError(f"The certificate {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise CertificateError(f"{path} holds no certificate in PEM form.") from error
    if certificate.not_valid_after_utc <= clock.utc():
        raise CertificateError(f"The certificate {path} has expired on {certificate.not_valid_after_utc:%Y-%m-%d}.")
    return certificate


def _kept(path: Path, listen: str, clock: Clock) -> x509.Certificate:
    """Read the certificate in the data folder; make one when there is none, and anew before it expires."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return _make(path, listen, clock.utc())
    except OSError as error:
        raise CertificateError(f"The bridge's certificate {path} cannot be read: {error.strerror}.") from error
    try:
        certificate = x509.load_pem_x509_certificate(content)
        serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as error:
        # Not replaced silently: every client would have to trust the new one, and should know why.
        raise CertificateError(
            f"The bridge's certificate {path} is damaged. Restore it, or delete it to have a new one made; "
            "clients must then confirm the new fingerprint."
        ) from error
    if certificate.not_valid_after_utc - RENEW <= clock.utc():
        return _make(path, listen, clock.utc())
    return certificate


def _make(path: Path, listen: str, now: datetime) -> x509.Certificate:
    key = new_key()
    host = socket.gethostname()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Ridethrough on {host}"[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SLACK)
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName(_names(host, listen)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    try:
        write_private(path, key_pem(key) + certificate_pem(certificate))
    except OSError as error:
        raise CertificateError(f"The bridge's certificate {path} cannot be written: {error.strerror}.") from error
    return certificate


def _names(host: str, listen: str) -> list[x509.GeneralName]:
    names = dict.fromkeys((host, f"{host.partition('.')[0]}.local", "localhost"))
    addresses = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
    try:
        address = ipaddress.ip_address(listen.strip("[]"))
    except ValueError:
        names[listen] = None
    else:
        # 0.0.0.0 and :: mean every address there is, also tomorrow; clients go by the fingerprint.
        if not address.is_unspecified and address not in addresses:
            addresses.append(address)
    texts = [name.encode("idna").decode() if not name.isascii() else name for name in names if name]
    return [*map(x509.DNSName, texts), *map(x509.IPAddress, addresses)]


__all__ = ["CertificateError", "Identity", "identity", "is_loopback", "served_fingerprint"]
