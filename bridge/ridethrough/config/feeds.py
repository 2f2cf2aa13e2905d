"""What a configuration file says of the feeds: the protocols by which other systems read the bridge.

Each is off until there is a section of its own that enables it, listens on loopback until told otherwise, and allows
no writing until command groups are granted (DESIGN §4.7).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import ClassVar, Literal

from .tls import TlsConfig

type Network = IPv4Network | IPv6Network
type Parity = Literal["none", "even", "odd"]
type Authentication = Literal["none", "md5", "sha", "sha224", "sha256", "sha384", "sha512"]
type Privacy = Literal["none", "des", "aes", "aes192", "aes256"]
type SnmpVersion = Literal["1", "2c", "3"]
type Transport = Literal["udp", "tcp", "tls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedConfig:
    """What every feed has."""

    name: ClassVar[str]
    """What the feed is called: its section of the file."""
    title: ClassVar[str]
    enabled: bool = False
    """Whether it runs until somebody switches it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig(FeedConfig):
    """What every feed has that others connect to."""

    listen: str = "127.0.0.1"
    port: int = 0
    clients: tuple[Network, ...] = ()
    """From where it may be asked; from everywhere when empty."""
    allow: frozenset[str] = frozenset()
    """Command groups that may be used by way of this feed; the device must grant them too."""

    @property
    def transport(self) -> Literal["tcp", "udp"] | None:
        """What it listens on; None where it does not."""
        return "tcp"


@dataclass(frozen=True, slots=True)
class ModbusSerialConfig:
    """The serial line on which the bridge is a slave (manual M:1690)."""

    port: str
    baud: int = 9600
    parity: Parity = "none"
    stop_bits: int = 1


DEFAULT_MAP = "default"
"""The register map of a unit that names none."""


@dataclass(frozen=True, slots=True)
class ModbusUnitConfig:
    """One unit id, or slave address: which device it shows, and by which register map."""

    unit: int
    device: str
    """Key of the device."""
    map: str = DEFAULT_MAP
    """Name of a register map."""
    allow: frozenset[str] | None = None
    """Command groups; None: those of the feed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusConfig(ServerConfig):
    """The Modbus server, TCP and RTU at once from one register image."""

    name: ClassVar[str] = "modbus"
    title: ClassVar[str] = "Modbus"
    port: int = 502
    tcp: bool = True
    serial: ModbusSerialConfig | None = None
    units: tuple[ModbusUnitConfig, ...] = ()
    """Empty: each device has a unit of its own, which it keeps, from 1 on, with the map that is made for its kind."""
    connections: int = 32
    """TCP connections at once."""
    idle: float = 60.0
    """Seconds after which a connection that asks nothing is closed."""

    @property
    def transport(self) -> Literal["tcp"] | None:
        """See `ServerConfig`."""
        return "tcp" if self.tcp else None


@dataclass(frozen=True, slots=True)
class SnmpCommunity:
    """Who may ask by v1 and v2c."""

    name: str = field(repr=False)
    clients: tuple[Network, ...] = ()
    """From where; from everywhere when empty."""
    write: bool = False
    device: str | None = None
    """Key of the device that is shown; None: the agent's."""


@dataclass(frozen=True, slots=True)
class SnmpUser:
    """Who may ask by v3."""

    name: str
    auth: Authentication = "none"
    password: str | None = field(default=None, repr=False)
    privacy: Privacy = "none"
    privacy_password: str | None = field(default=None, repr=False)
    write: bool = False


@dataclass(frozen=True, slots=True)
class SnmpReceiver:
    """Who is told by traps."""

    address: str
    port: int = 162
    version: SnmpVersion = "2c"
    community: str = field(default="public", repr=False)
    user: str | None = None
    """Of v3: the name of one of the agent's users."""
    inform: bool = False
    """Whether it confirms; what is not confirmed is sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnmpConfig(ServerConfig):
    """The SNMP agent and its traps."""

    name: ClassVar[str] = "snmp"
    title: ClassVar[str] = "SNMP"
    port: int = 161
    device: str | None = None
    """Key of the device that is shown where neither community nor context says otherwise; None: the first UPS."""
    system_name: str | None = None
    location: str = ""
    contact: str = ""
    communities: tuple[SnmpCommunity, ...] = ()
    users: tuple[SnmpUser, ...] = ()
    receivers: tuple[SnmpReceiver, ...] = ()

    @property
    def transport(self) -> Literal["udp"]:
        """See `ServerConfig`."""
        return "udp"


@dataclass(frozen=True, slots=True)
class BacnetForeign:
    """The router of broadcasts with which the bridge registers as a foreign device."""

    address: str
    ttl: int = 300
    """Seconds after which the registration is renewed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BacnetConfig(ServerConfig):
    """The BACnet/IP device (manual M:2020)."""

    name: ClassVar[str] = "bacnet"
    title: ClassVar[str] = "BACnet/IP"
    port: int = 47808
    device_id: int | None = None
    """0 to 4194302, unique in the whole network; None: worked out from the bridge's identity."""
    network: int = 0
    apdu_timeout: float = 3.0
    """Seconds to wait for an answer."""
    device_name: str | None = None
    """None: the bridge's name."""
    description: str = ""
    location: str = ""
    model: str = "Ridethrough"
    prefix: int = 24
    """Length of the address's network, for broadcasts."""
    foreign: BacnetForeign | None = None
    bbmd: tuple[str, ...] = ()
    """Addresses of the other routers of broadcasts when the bridge is one itself."""
    recipients: tuple[str, ...] = ()
    """Addresses that are told of alarms without having asked for it."""

    @property
    def transport(self) -> Literal["udp"]:
        """See `ServerConfig`."""
        return "udp"


@dataclass(frozen=True, slots=True)
class SyslogReceiver:
    """Where the event log is sent to."""

    address: str
    port: int
    """601 over TCP (manual M:2100), 514 over UDP, 6514 over TLS unless given."""
    transport: Transport = "tcp"
    ca: Path | None = None
    """Whose certificates are trusted; None: those that the system trusts."""
    certificate: TlsConfig | None = None
    """To show, where the receiver wants to know who sends."""
    server_name: str | None = None
    """The name in the receiver's certificate; None: its address."""
    reject_expired: bool = True
    """Whether an expired certificate ends the connection (manual M:2110)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogConfig(FeedConfig):
    """Remote syslog, RFC 5424."""

    name: ClassVar[str] = "syslog"
    title: ClassVar[str] = "Remote syslog"
    receivers: tuple[SyslogReceiver, ...] = ()
    """One or two."""
    facility: str = "daemon"


@dataclass(frozen=True, slots=True)
class NutUser:
    """Who may log in at the NUT server."""

    name: str
    password: str = field(repr=False)
    upsmon: Literal["primary", "secondary"] | None = None
    """What a upsmon may be that logs in so."""
    allow: frozenset[str] = frozenset()
    """Command groups that this user may use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NutConfig(ServerConfig):
    """The server that clients of Network UPS Tools know as upsd."""

    name: ClassVar[str] = "nut"
    title: ClassVar[str] = "NUT server"
    port: int = 3493
    tls: TlsConfig | None = None
    users: tuple[NutUser, ...] = ()
    connections: int = 64
    idle: float = 300.0
    """Seconds after which a connection that says nothing is closed."""


@dataclass(frozen=True, slots=True)
class FeedsConfig:
    """All feeds; None for those that the file does not mention."""

    modbus: ModbusConfig | None = None
    snmp: SnmpConfig | None = None
    bacnet: BacnetConfig | None = None
    syslog: SyslogConfig | None = None
    nut: NutConfig | None = None
    allow: frozenset[str] = frozenset()
    """`feed`: clients of the API with the role admin may switch feeds on and off."""

    def __iter__(self) -> Iterator[FeedConfig]:
        """Give those that there are."""
        for one in fields(self):
            config = getattr(self, one.name)
            if isinstance(config, FeedConfig):
                yield config

    def named_devices(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Give the devices that are named, and where."""
        if self.modbus is not None:
            for index, unit in enumerate(self.modbus.units):
                yield ("modbus", "units", index, "device"), unit.device
        if self.snmp is not None:
            if self.snmp.device is not None:
                yield ("snmp", "device"), self.snmp.device
            for index, community in enumerate(self.snmp.communities):
                if community.device is not None:
                    yield ("snmp", "communities", index, "device"), community.device

    def named_maps(self) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """Give the register maps that are named, where, and for which device."""
        if self.modbus is not None:
            for index, unit in enumerate(self.modbus.units):
                if unit.map != DEFAULT_MAP:
                    yield ("modbus", "units", index, "map"), unit.device, unit.map


__all__ = [
    "Authentication",
    "BacnetConfig",
    "BacnetForeign",
    "FeedConfig",
    "FeedsConfig",
    "ModbusConfig",
    "ModbusSerialConfig",
    "ModbusUnitConfig",
    "Network",
    "NutConfig",
    "NutUser",
    "Parity",
    "Privacy",
    "ServerConfig",
    "SnmpCommunity",
    "SnmpConfig",
    "SnmpReceiver",
    "SnmpUser",
    "SnmpVersion",
    "SyslogConfig",
    "SyslogReceiver",
    "Transport",
]
