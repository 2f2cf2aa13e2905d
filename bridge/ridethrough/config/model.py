"""What a configuration file says, checked and typed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from .agents import AgentsConfig
from .battery import BatteryConfig
from .device import DeviceConfig
from .feeds import FeedsConfig, ServerConfig
from .jobs import JobsConfig
from .plans import PlanConfig
from .tls import TlsConfig


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """Where the API listens. Loopback, and not announced, until told otherwise (DESIGN §4.7)."""

    enabled: bool = True
    listen: str = "127.0.0.1"
    port: int = 8480
    tls: TlsConfig | None = None
    zeroconf: bool = False
    configure: bool = False
    """Whether clients with a token of the role admin may add, change and remove devices in this file."""


@dataclass(frozen=True, slots=True)
class TrapConfig:
    """Where SNMP traps and informs are heard; off until there is such a section (DESIGN §4.7)."""

    listen: str = "127.0.0.1"
    port: int = 162


@dataclass(frozen=True, slots=True)
class PipeConfig:
    """The raw serial line of a UPS, served to another manager (manual M:2218)."""

    port: str
    """The serial port that the other manager is connected to."""
    allow: frozenset[str] = frozenset()
    """Command groups that manager may use."""


@dataclass(frozen=True, slots=True)
class UpsConfig(DeviceConfig):
    """One UPS, or one transfer switch (manual M:2234)."""

    kind: str = "ups"
    """Which list of the file it stands in: ups or transfer_switch."""
    model: str | None = None
    """Name of a model profile, whose recommended values hold where none are given (manual M:2239)."""
    power: float | None = None
    """Rated apparent power, VA."""
    load: float | None = None
    """Apparent power drawn when the protocol does not tell, VA."""
    hold_time: float | None = None
    """Minutes on battery at full load with full batteries."""
    recharge_time: float | None = None
    """Hours to charge empty batteries."""
    battery_installed: date | None = None
    battery_too_old_after: int | None = None
    """Months of 30 days after the installation (manual M:2283)."""
    battery_health_level: float | None = None
    """Percent by which the battery voltage may drop in a battery test, 5–30 (manual M:2300)."""
    system_shutdown_time: float | None = None
    """Seconds of runtime left at which `system_shutdown` is raised (manual M:2288)."""
    pipe: PipeConfig | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """Where others reach a part of the bridge that is switched on."""

    path: tuple[str, ...]
    """Of its section in the file."""
    transport: Literal["tcp", "udp"]
    address: str
    port: int

    def excludes(self, other: Listener) -> bool:
        """Whether only one of the two can listen, as far as can be told without asking what names stand for."""
        if self.port != other.port or self.port == 0 or self.transport != other.transport:
            return False
        return self.address == other.address or not _EVERYWHERE.isdisjoint({self.address, other.address})


_EVERYWHERE = frozenset({"0.0.0.0", "::"})


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """The whole file."""

    name: str
    data: Path
    """The folder of the store, certificates and saved traces."""
    api: ApiConfig
    ups: tuple[UpsConfig, ...]
    transfer_switches: tuple[UpsConfig, ...] = ()
    batteries: tuple[BatteryConfig, ...] = ()
    traps: TrapConfig | None = None
    feeds: FeedsConfig = FeedsConfig()
    agents: AgentsConfig = AgentsConfig()
    jobs: JobsConfig = JobsConfig()
    plans: tuple[PlanConfig, ...] = ()

    @property
    def devices(self) -> tuple[DeviceConfig, ...]:
        """All that have a link of their own."""
        return (*self.ups, *self.transfer_switches, *self.batteries)

    @property
    def editable(self) -> tuple[UpsConfig, ...]:
        """Those that clients may be allowed to add, change and remove."""
        return self.ups + self.transfer_switches

    def listeners(self) -> Iterator[Listener]:
        """Give what listens, the first of two that exclude one another being the one that people rely on more."""
        if self.api.enabled:
            yield Listener(("api",), "tcp", self.api.listen, self.api.port)
        if self.traps is not None:
            yield Listener(("traps",), "udp", self.traps.listen, self.traps.port)
        for feed in self.feeds:
            if feed.enabled and isinstance(feed, ServerConfig) and feed.transport is not None:
                yield Listener(("feeds", feed.name), feed.transport, feed.listen, feed.port)
