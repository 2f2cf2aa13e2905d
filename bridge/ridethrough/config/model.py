"""What a configuration file says, checked and typed."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """An own certificate; without one the bridge makes a self-signed one when it listens beyond loopback."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """Where the API listens. Loopback, and not announced, until told otherwise (DESIGN §4.7)."""

    enabled: bool = True
    listen: str = "127.0.0.1"
    port: int = 8480
    tls: TlsConfig | None = None
    zeroconf: bool = False


@dataclass(frozen=True, slots=True)
class UpsConfig:
    """One UPS (manual M:2234)."""

    key: str
    """`id:` in the file; the UPS's identity."""
    name: str
    link: str
    """A link URL, e.g. `megatec:/dev/ttyUSB0?baud=2400` or `nut://host:3493/ups1`."""
    enabled: bool = True
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    power: float | None = None
    """Rated apparent power, VA."""
    load: float | None = None
    """Apparent power drawn when the protocol does not tell, VA."""
    hold_time: float | None = None
    """Minutes on battery at full load with full batteries."""
    recharge_time: float | None = None
    """Hours to charge empty batteries."""
    allow: frozenset[str] = frozenset()
    """Command groups granted: test, beeper, shutdown, load, bypass, outlet, settings."""


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """The whole file."""

    name: str
    data: Path
    """The folder of the store, certificates and saved traces."""
    api: ApiConfig
    ups: tuple[UpsConfig, ...]
