"""TLS: whose certificate, where it is kept, and what is wrong with it in words."""

import asyncio
from dataclasses import replace
from datetime import timedelta
import hashlib
from pathlib import Path
import ssl

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
import pytest

from ridethrough.api import ApiStartError
from ridethrough.api.certificate import FILE, CertificateError, identity, is_loopback
from ridethrough.clock import ManualClock
from ridethrough.config import ApiConfig, TlsConfig

from .harness import CONFIG, running

EVERYWHERE = replace(CONFIG, listen="0.0.0.0")  # never reached from outside in a test


def made(folder: Path, listen: str = "192.0.2.7", clock: ManualClock | None = None) -> tuple[str, x509.Certificate]:
    """Have a certificate made or read; its fingerprint and itself."""
    found = identity(ApiConfig(listen=listen), folder, clock or ManualClock())
    assert found is not None
    return found.fingerprint, x509.load_pem_x509_certificate((folder / FILE).read_bytes())


@pytest.mark.parametrize(
    ("listen", "alone"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("LOCALHOST.", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("localhost.example", False),
        ("bridge", False),
        ("", False),
    ],
)
def test_only_loopback_goes_without_tls(listen: str, alone: bool, tmp_path: Path) -> None:
    assert is_loopback(listen) is alone
    assert (identity(ApiConfig(listen=listen), tmp_path, ManualClock()) is None) is alone


def test_certificate_is_made_once_and_kept_for_nobody_else_to_read(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    fingerprint, certificate = made(folder)
    assert made(folder)[0] == fingerprint
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    assert list(folder.iterdir()) == [folder / FILE]
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    assert "192.0.2.7" in map(str, names.get_values_for_type(x509.IPAddress))
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc > timedelta(days=3650)


@pytest.mark.parametrize(("listen", "name"), [("bridge.example", "bridge.example"), ("brücke", "xn--brcke-lva")])
def test_name_that_it_listens_on_is_in_the_certificate(tmp_path: Path, listen: str, name: str) -> None:
    names = made(tmp_path, listen)[1].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert name in names.get_values_for_type(x509.DNSName)


def test_certificate_is_replaced_before_it_expires(tmp_path: Path) -> None:
    clock = ManualClock()
    first, _ = made(tmp_path, clock=clock)
    clock.tick(timedelta(days=3600).total_seconds())
    assert made(tmp_path, clock=clock)[0] == first
    clock.tick(timedelta(days=40).total_seconds())
    second, certificate = made(tmp_path, clock=clock)
    assert second != first
    assert certificate.not_valid_after_utc > clock.utc() + timedelta(days=3650)


def test_what_a_crash_left_half_written_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / FILE).with_suffix(".new").write_text("half")
    made(tmp_path)


@pytest.mark.parametrize("keep", [0, 100, 500])
def test_damaged_certificate_is_not_replaced_silently(tmp_path: Path, keep: int) -> None:
    made(tmp_path)
    damaged = (tmp_path / FILE).read_bytes()[:keep]
    (tmp_path / FILE).write_bytes(damaged)
    with pytest.raises(CertificateError, match="is damaged. Restore it, or delete it"):
        made(tmp_path)
    assert (tmp_path / FILE).read_bytes() == damaged


def test_certificate_without_its_key_is_damaged(tmp_path: Path) -> None:
    made(tmp_path)
    content = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(content[content.index("-----BEGIN CERTIFICATE") :])
    with pytest.raises(CertificateError, match="is damaged"):
        made(tmp_path)


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(CertificateError, match="cannot be read: Not a directory"):
        identity(EVERYWHERE, tmp_path / "file", ManualClock())
    (tmp_path / FILE).with_suffix(".new").mkdir()
    with pytest.raises(CertificateError, match="cannot be written"):
        identity(EVERYWHERE, tmp_path, ManualClock())


def own(folder: Path, clock: ManualClock | None = None) -> TlsConfig:
    """Make a certificate as a person would bring one."""
    made(folder, clock=clock)
    content = (folder / FILE).read_text()
    cut = content.index("-----BEGIN CERTIFICATE")
    (folder / FILE).unlink()
    tls = TlsConfig(folder / "own.crt", folder / "own.key")
    tls.key.write_text(content[:cut])
    tls.certificate.write_text(content[cut:])
    return tls


def test_own_certificate_is_used_on_loopback_too(tmp_path: Path) -> None:
    found = identity(ApiConfig(tls=own(tmp_path)), tmp_path, ManualClock())
    assert found is not None
    der = ssl.PEM_cert_to_DER_cert((tmp_path / "own.crt").read_text())
    assert found.fingerprint == hashlib.sha256(der).hexdigest()
    assert found.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert not (tmp_path / FILE).exists()


def test_each_fault_of_an_own_certificate_is_said_in_words(tmp_path: Path) -> None:
    clock = ManualClock()
    (tmp_path / "other").mkdir()
    tls, other = own(tmp_path), own(tmp_path / "other")

    def fault(certificate: Path, key: Path) -> str:
        with pytest.raises(CertificateError) as caught:
            identity(ApiConfig(tls=TlsConfig(certificate, key)), tmp_path, clock)
        return str(caught.value)

    nothing = tmp_path / "nothing"
    assert fault(nothing, tls.key) == f"The certificate {nothing} cannot be read: No such file or directory."
    assert fault(tls.certificate, nothing) == f"The key in {nothing} cannot be read: No such file or directory."
    assert fault(tls.key, tls.key) == f"{tls.key} holds no certificate in PEM form."
    assert "does not belong to the certificate" in fault(tls.certificate, other.key)
    assert "holds no private key in PEM form" in fault(tls.certificate, tls.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    assert "without a password" in fault(tls.certificate, locked)
    clock.tick(timedelta(days=3700).total_seconds())
    assert fault(tls.certificate, tls.key) == f"The certificate {tls.certificate} has expired on 2036-01-02."


async def test_server_says_what_is_wrong_with_the_certificate(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("nonsense")
    with pytest.raises(ApiStartError, match="is damaged"):
        async with running(tmp_path, EVERYWHERE):
            pass


async def test_clients_pin_the_fingerprint(tmp_path: Path) -> None:
    async with running(tmp_path, EVERYWHERE) as world:
        assert world.server.fingerprint is not None
        url = f"https://127.0.0.1:{world.server.port}/api/v1"
        pin = aiohttp.Fingerprint(bytes.fromhex(world.server.fingerprint))
        async with world.session.ws_connect(f"{url}/ws", ssl=pin) as socket:
            assert (await socket.receive_json())["type"] == "hello"
        with pytest.raises(aiohttp.ServerFingerprintMismatch):
            await world.session.get(f"{url}/health", ssl=aiohttp.Fingerprint(bytes(32)))
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await world.session.get(f"{url}/health")
        trusting = ssl.create_default_context(cafile=str(tmp_path / FILE))
        async with world.session.get(f"{url}/health", ssl=trusting) as response:
            assert response.status == 200


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_plain_http_and_old_tls_are_not_answered(tmp_path: Path) -> None:
    async with running(tmp_path, EVERYWHERE) as world:
        port = world.server.port
        with pytest.raises(aiohttp.ClientError):
            await world.session.get(f"http://127.0.0.1:{port}/api/v1/health")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname = False
        old.verify_mode = ssl.CERT_NONE
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", port, ssl=old)


async def test_subscription_over_tls_follows_the_site(tmp_path: Path) -> None:
    async with running(tmp_path, EVERYWHERE) as world:
        lanes = world.fill(100)
        async with world.client(ssl=False) as client:
            await client.subscribe()
            for number in range(20):
                with world.site.transaction():
                    for lane in lanes:
                        lane.post({"battery.charge": float(number)})
                await client.until(lambda: client.revision == world.site.revision)
            assert client.view() == world.truth()
