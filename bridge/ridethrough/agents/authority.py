"""The bridge's certificate authority: it signs for the bridge, for each agent, and for the occasion of a pairing.

Its certificates do not expire, and are valid from long ago: a computer without a battery for its clock wakes up in 1970
after a power failure, and one that cannot be shut down because of a date is worse off than one whose certificate is
old. What ends a certificate is the pairing that takes its place, or `ridethrough agent forget`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
import fcntl
import os
from pathlib import Path
import ssl

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ridethrough.certificates import CertificateError, certificate_pem, fingerprint, key_pem, new_key, write_private
from ridethrough.clock import Clock
from ridethrough.site import DeviceId

FOLDER = "agents"
"""In the data folder."""
AUTHORITY, BRIDGE = "authority.pem", "bridge.pem"
"""Key and certificate in one file each, so that they cannot be of different age."""
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""No expiration date in RFC 5280's words (§4.1.2.5)."""
OCCASION = timedelta(hours=1)
"""For which the certificate of a pairing is valid, before and after."""
_SUFFIX = "agent.ridethrough.internal"


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate with its key, both as PEM."""

    certificate: bytes
    key: bytes
    fingerprint: str


class Authority:
    """The key that all agents of this bridge rely on. Its methods take a moment: call them in a thread."""

    def __init__(self, folder: Path, bridge: DeviceId, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey):
        """Use `open_authority`."""
        self._folder = folder
        self._bridge = bridge
        self._certificate = certificate
        self._key = key

    @property
    def fingerprint(self) -> str:
        """SHA-256 of its certificate."""
        return fingerprint(self._certificate)

    @property
    def pem(self) -> bytes:
        """Its certificate."""
        return certificate_pem(self._certificate)

    def agent(self, agent: DeviceId) -> Signed:
        """Sign a new certificate for an agent; its key is kept nowhere here."""
        name = x509.DNSName(f"{agent}.{_SUFFIX}")
        return self._sign(f"agent {agent}", ExtendedKeyUsageOID.SERVER_AUTH, *ALWAYS, [name])

    def occasion(self, clock: Clock) -> Signed:
        """Sign a certificate for one invitation."""
        now = clock.utc()
        return self._sign(
            f"pairing with bridge {self._bridge}",
            ExtendedKeyUsageOID.SERVER_AUTH,
            now - OCCASION,
            now + OCCASION,
            [x509.DNSName("pairing.ridethrough.internal")],
        )

    def context(self) -> ssl.SSLContext:
        """Make what the bridge connects to its agents with. Raises CertificateError."""
        path = self._folder / BRIDGE
        with _locked(self._folder):
            if not self._owns(path):
                signed = self._sign(f"bridge {self._bridge}", ExtendedKeyUsageOID.CLIENT_AUTH, *ALWAYS)
                _write(path, signed.key + signed.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.hostname_checks_common_name = False
        context.load_verify_locations(cadata=self.pem.decode())
        context.load_cert_chain(path, password="")
        return context

    def _owns(self, path: Path) -> bool:
        """Whether the bridge's own certificate is there and of this authority; if not, a new one costs nothing."""
        try:
            certificate, _ = _pair(path.read_bytes())
            certificate.verify_directly_issued_by(self._certificate)
        except OSError, ValueError, TypeError, InvalidSignature:
            return False
        return True

    def _sign(
        self,
        name: str,
        usage: x509.ObjectIdentifier,
        begin: datetime,
        end: datetime,
        names: Sequence[x509.GeneralName] = (),
    ) -> Signed:
        key = new_key()
        builder = (
            _builder(name, key.public_key(), begin, end)
            .issuer_name(self._certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Signed(certificate_pem(certificate), key_pem(key), fingerprint(certificate))


def open_authority(data: Path, bridge: DeviceId, known: str | None) -> Authority:
    """Read the authority of this bridge, or make it when there has never been one.

    `known` is the fingerprint of the one with which agents have been paired. It reads and writes files: call it in a
    thread. Raises CertificateError when it is gone, damaged or another: a new one is never made in its place silently,
    as no agent would listen to the bridge any longer.
    """
    folder = data / FOLDER
    path = folder / AUTHORITY
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(folder):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                if known is not None:
                    raise CertificateError(
                        f"The authority of the agents, {path}, is gone. Restore it from a backup, or have every agent "
                        f"forgotten (ridethrough agent forget --all) and pair them anew."
                    ) from None
                return Authority(folder, bridge, *_make(path, bridge))
    except OSError as error:
        raise CertificateError(f"The authority of the agents, {path}, cannot be used: {error.strerror}.") from error
    try:
        certificate, key = _pair(content)
    except (ValueError, TypeError) as error:
        raise CertificateError(
            f"The authority of the agents, {path}, is damaged. Restore it from a backup, or have every agent forgotten "
            f"(ridethrough agent forget --all) and pair them anew."
        ) from error
    if known is not None and fingerprint(certificate) != known:
        raise CertificateError(
            f"The authority of the agents, {path}, is another than the one they were paired with. Restore that one, or "
            f"have every agent forgotten (ridethrough agent forget --all) and pair them anew."
        )
    return Authority(folder, bridge, certificate, key)


def forget_authority(data: Path) -> None:
    """Remove the authority and what it has signed for the bridge. Raises CertificateError."""
    folder = data / FOLDER
    for name in (AUTHORITY, BRIDGE):
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise CertificateError(f"{folder / name} cannot be removed: {error.strerror}.") from error


def _pair(content: bytes) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Read certificate and key. Raises ValueError or TypeError for what is not both, or not of one another."""
    certificate = x509.load_pem_x509_certificate(content)
    key = serialization.load_pem_private_key(content, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise ValueError("the key does not belong to the certificate")
    return certificate, key


def _make(path: Path, bridge: DeviceId) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = new_key()
    certificate = (
        _builder(f"Ridethrough agents of {bridge}", key.public_key(), *ALWAYS)
        .issuer_name(_name(f"Ridethrough agents of {bridge}"))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(path, key_pem(key) + certificate_pem(certificate))
    return certificate, key


def _builder(name: str, key: ec.EllipticCurvePublicKey, begin: datetime, end: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Be the only process that makes something here: `ridethrough agent invite` runs beside the bridge."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes) -> None:
    try:
        write_private(path, content)
    except OSError as error:
        raise CertificateError(f"{path} cannot be written: {error.strerror}.") from error


__all__ = ["FOLDER", "Authority", "Signed", "forget_authority", "open_authority"]
