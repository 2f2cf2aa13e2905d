"""An authority and a certificate of a NUT server, in files, and as the database that Debian's NUT wants."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
import ipaddress
from pathlib import Path
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ridethrough.config.tls import TlsConfig
from tests.strangers import peer

_SIGNS = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Certificates:
    """What an authority has made."""

    folder: Path
    authority: Path
    server: TlsConfig

    def database(self) -> Path:
        """Make a database of NSS that trusts the authority."""
        database = self.folder / "nss"
        database.mkdir(exist_ok=True)
        subprocess.run([peer("certutil"), "-N", "-d", database, "--empty-password"], check=True, timeout=30)
        trust = ("-A", "-d", database, "-n", "authority", "-t", "CT,,", "-i", self.authority)
        subprocess.run([peer("certutil"), *trust], check=True, timeout=30)
        return database


def certify(folder: Path, address: str = "127.0.0.1") -> Certificates:
    """Make an authority, and a certificate for an address."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    root, key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])

    def begin(name: x509.Name, public: rsa.RSAPublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )

    ca = (
        begin(issuer, root.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_SIGNS, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root.public_key()), critical=False)
        .sign(root, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address)), x509.DNSName(address)])
    certificate = (
        begin(subject, key.public_key())
        .add_extension(names, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(root, hashes.SHA256())
    )
    authority, server, secret = folder / "authority.pem", folder / "server.pem", folder / "server.key"
    authority.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    server.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Certificates(folder, authority, TlsConfig(server, secret))


__all__ = ["Certificates", "certify"]
