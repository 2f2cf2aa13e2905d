"""The authority: made once, kept for nobody else to read, and never replaced silently."""

from pathlib import Path
import ssl
import subprocess

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
import pytest

from ridethrough.agents.authority import Authority, Signed, forget_authority, open_authority
from ridethrough.certificates import CertificateError
from ridethrough.clock import ManualClock
from ridethrough.site import DeviceId

BRIDGE = DeviceId("0e2e044d-b7a9-4651-9768-b01971f30eb2")
AGENT = DeviceId("6a7f1a3c-51f2-5c4f-9d3e-1f2d3c4b5a69")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Make one."""
    return open_authority(tmp_path, BRIDGE, None)


def read(signed: Signed) -> x509.Certificate:
    """Look into a certificate."""
    return x509.load_pem_x509_certificate(signed.certificate)


def test_it_is_made_once_and_private(tmp_path: Path, authority: Authority) -> None:
    authority.context()
    folder = tmp_path / "agents"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()} == {
        "authority.pem": 0o600,
        "bridge.pem": 0o600,
    }
    bridge = (folder / "bridge.pem").read_bytes()
    again = open_authority(tmp_path, BRIDGE, authority.fingerprint)
    again.context()
    assert again.pem == authority.pem
    assert (folder / "bridge.pem").read_bytes() == bridge


def test_an_agents_certificate_names_it_and_serves_only_as_a_server(authority: Authority) -> None:
    first, second = authority.agent(AGENT), authority.agent(AGENT)
    assert first.fingerprint != second.fingerprint
    certificate = read(first)
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == f"agent {AGENT}"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [f"{AGENT}.agent.ridethrough.internal"]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_a_clock_that_begins_in_1970_does_not_keep_a_computer_from_being_shut_down(authority: Authority) -> None:
    certificate = read(authority.agent(AGENT))
    assert certificate.not_valid_before_utc.year == 1970
    assert certificate.not_valid_after_utc.year == 9999


def test_the_certificate_of_an_occasion_is_short_lived(authority: Authority) -> None:
    clock = ManualClock()
    certificate = read(authority.occasion(clock))
    length = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert certificate.not_valid_before_utc < clock.utc() < certificate.not_valid_after_utc
    assert length.total_seconds() == 7200


@pytest.mark.peer
def test_openssl_finds_them_in_order(tmp_path: Path, authority: Authority) -> None:
    authority.context()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    (tmp_path / "agent.pem").write_bytes(authority.agent(AGENT).certificate)
    name = f"{AGENT}.agent.ridethrough.internal"
    verify = ["openssl", "verify", "-x509_strict", "-CAfile", str(tmp_path / "ca.pem")]
    purposes = [
        ["-purpose", "sslserver", "-verify_hostname", name, str(tmp_path / "agent.pem")],
        ["-purpose", "sslclient", str(tmp_path / "agents" / "bridge.pem")],
    ]
    for purpose in purposes:
        done = subprocess.run([*verify, *purpose], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    wrong = subprocess.run(
        [*verify, "-purpose", "sslclient", str(tmp_path / "agent.pem")], capture_output=True, check=False
    )
    assert wrong.returncode != 0


def test_one_that_is_gone_is_not_replaced(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "agents" / "authority.pem").unlink()
    with pytest.raises(CertificateError, match=r"authority\.pem, is gone\. Restore it from a backup"):
        open_authority(tmp_path, BRIDGE, authority.fingerprint)


@pytest.mark.parametrize("half", ["nothing", "certificate", "key", "garbage"])
def test_one_that_is_damaged_is_not_replaced(tmp_path: Path, authority: Authority, half: str) -> None:
    file = tmp_path / "agents" / "authority.pem"
    key, _, certificate = file.read_bytes().partition(b"-----BEGIN CERTIFICATE")
    file.write_bytes(
        {
            "nothing": b"",
            "certificate": b"-----BEGIN CERTIFICATE" + certificate,
            "key": key,
            "garbage": key + authority.agent(AGENT).certificate,
        }[half]
    )
    with pytest.raises(CertificateError, match="is damaged"):
        open_authority(tmp_path, BRIDGE, authority.fingerprint)


def test_another_one_is_not_taken_for_it(tmp_path: Path, authority: Authority) -> None:
    forget_authority(tmp_path)
    forget_authority(tmp_path)
    open_authority(tmp_path, BRIDGE, None)
    with pytest.raises(CertificateError, match="is another than the one they were paired with"):
        open_authority(tmp_path, BRIDGE, authority.fingerprint)


def test_a_restored_one_is_as_before_and_signs_for_the_bridge_anew(tmp_path: Path, authority: Authority) -> None:
    kept = (tmp_path / "agents" / "authority.pem").read_bytes()
    forget_authority(tmp_path)
    open_authority(tmp_path, BRIDGE, None).context()
    (tmp_path / "agents" / "authority.pem").write_bytes(kept)
    again = open_authority(tmp_path, BRIDGE, authority.fingerprint)
    assert isinstance(again.context(), ssl.SSLContext)


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "agents").write_text("in the way")
    with pytest.raises(CertificateError, match="cannot be used: File exists"):
        open_authority(tmp_path, BRIDGE, None)


def test_a_full_disk_is_told(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "agents" / "authority.pem").rename(tmp_path / "kept.pem")
    (tmp_path / "agents" / "authority.new").mkdir()  # so that it cannot be written
    with pytest.raises(CertificateError, match="cannot be written"):
        open_authority(tmp_path, BRIDGE, None)
