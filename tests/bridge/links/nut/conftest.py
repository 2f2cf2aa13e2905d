"""What the tests of the NUT link share: a scripted upsd, certificates, and a bridge's core around a link."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
import ipaddress
from pathlib import Path
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import SystemClock
from ridethrough.links.base import Link
from ridethrough.links.runner import LinkRunner
from ridethrough.site import CommandResult, Commands, Device, DeviceId, Reading, Site, Value
from ridethrough.tasks import Backoff

from .standin import StandIn

UPS = DeviceId("ups-1")
GRANTED = frozenset({"test", "beeper", "shutdown", "load", "bypass", "outlet", "settings"})


class Rig:
    """A site with one UPS whose link runs."""

    def __init__(self, link: Link) -> None:
        self.clock = SystemClock()
        self.site = Site(load_catalogue(), self.clock)
        self.commands = Commands(self.site)
        self.runner = LinkRunner(
            link,
            Device(UPS, "ups-1", "ups", "UPS"),
            self.site,
            self.commands,
            self.clock,
            granted=GRANTED,
            mint=DeviceId,
            backoff=Backoff(first=0.05, cap=0.1),
        )
        self._changed = asyncio.Event()
        self.site.observe(lambda change: self._changed.set())
        self._task = asyncio.create_task(self.runner.run())

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def reading(self, key: str, device: str = UPS) -> Reading | None:
        return self.site.reading(DeviceId(device), key)

    def value(self, key: str, device: str = UPS) -> Value | None:
        """Return the value of a point if it is good."""
        reading = self.reading(key, device)
        return reading.value if reading is not None and reading.good else None

    def condition(self, key: str, device: str = UPS) -> bool | None:
        """Return whether a condition is so; None if it is not known now."""
        state = self.site.conditions(DeviceId(device)).get(key)
        return state.active if state is not None and state.quality == "good" else None

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until something holds that the site knows."""
        async with asyncio.timeout(15):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def perform(self, command: str, device: str = UPS, **arguments: Value) -> CommandResult:
        return await self.commands.perform(DeviceId(device), command, arguments)


@pytest.fixture
async def rig() -> AsyncIterator[Callable[[Link], Rig]]:
    """Run links; each call gives a site of its own."""
    rigs: list[Rig] = []

    def make(link: Link) -> Rig:
        rigs.append(Rig(link))
        return rigs[-1]

    yield make
    for each in rigs:
        await each.stop()


@pytest.fixture
async def upsd() -> AsyncIterator[StandIn]:
    """Start a scripted upsd."""
    async with StandIn() as standin:
        yield standin


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1 and its key, in files."""

    certificate: Path
    key: Path

    @property
    def context(self) -> ssl.SSLContext:
        """What a server needs to use it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def certify(folder: Path, address: str = "127.0.0.1") -> Certificate:
    """Make a certificate for an address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, address)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    made = Certificate(folder / f"{address}.pem", folder / f"{address}.key")
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """Make a certificate for the loopback."""
    return certify(tmp_path)
