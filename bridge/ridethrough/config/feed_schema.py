"""What may stand under feeds: in the configuration file."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import voluptuous as vol

from ridethrough.maps.registers import profile_names

from .document import Tree
from .feeds import (
    BacnetConfig,
    BacnetForeign,
    FeedsConfig,
    ModbusConfig,
    ModbusSerialConfig,
    ModbusUnitConfig,
    Network,
    NutConfig,
    NutUser,
    SnmpCommunity,
    SnmpConfig,
    SnmpReceiver,
    SnmpUser,
    SyslogConfig,
    SyslogReceiver,
)
from .tls import TlsConfig
from .units import ANSWER, IDLE, REGISTRATION
from .values import (
    address,
    boolean,
    each,
    groups,
    groups_of,
    measure,
    password,
    port,
    section,
    show,
    slug,
    text,
    unknown,
)

type Check = Callable[[Tree], object]

BAUD_RATES = ("1200", "2400", "4800", "9600", "19200", "38400", "57600", "115200")
SYSLOG_PORTS = {"udp": 514, "tcp": 601, "tls": 6514}
FACILITIES: tuple[str, ...] = (
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
)
FACILITIES += tuple(f"local{number}" for number in range(8))
SHORTEST_PASSWORD = 8
"""Characters of a v3 password (RFC 3414 §11.2)."""
_AUTHENTICATIONS = ("none", "md5", "sha", "sha224", "sha256", "sha384", "sha512")
_PRIVACIES = ("none", "des", "aes", "aes192", "aes256")


def networks(value: Tree) -> tuple[Network, ...]:
    """Check a list of addresses and networks, or a single one."""

    def one(item: Tree) -> Network:
        try:
            return ip_network(text(item))
        except ValueError:
            raise vol.Invalid(
                f"must be an address such as 192.0.2.7 or a network such as 192.0.2.0/24, not {show(item)}"
            ) from None

    return each(one)([value] if isinstance(value, str) else value)


def word(permitted: Sequence[str], what: str = "the word") -> Callable[[Tree], str]:
    """Check one of several words."""

    def check(value: Tree) -> str:
        if not isinstance(value, str) or value not in permitted:
            if isinstance(value, str):
                raise vol.Invalid(unknown(what, value, permitted))
            raise vol.Invalid(f"must be one of {', '.join(permitted)}, not {show(value)}")
        return value

    return check


def whole(least: int, most: int) -> Callable[[Tree], int]:
    """Check a whole number from `least` to `most`."""

    def check(value: Tree) -> int:
        if not isinstance(value, str) or not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
            raise vol.Invalid(f"must be a whole number from {least} to {most}, not {show(value)}")
        return int(value)

    return check


def feeds(a_file: Callable[[Tree], Path]) -> Callable[[Tree], FeedsConfig]:
    """Make what checks the section; `a_file` checks the path of a file."""
    tls = section(
        {vol.Required("certificate"): a_file, vol.Required("key"): a_file}, lambda values: TlsConfig(**values)
    )
    return section(
        {
            vol.Optional("allow"): groups_of("feed"),
            vol.Optional("modbus"): _modbus(),
            vol.Optional("snmp"): _snmp(),
            vol.Optional("bacnet"): _bacnet(),
            vol.Optional("syslog"): _syslog(a_file, tls),
            vol.Optional("nut"): _nut(tls),
        },
        lambda values: FeedsConfig(**values),
    )


_ENABLED: Mapping[vol.Marker, Check] = {vol.Optional("enabled"): boolean}


_SERVER: Mapping[vol.Marker, Check] = {
    **_ENABLED,
    vol.Optional("listen"): address,
    vol.Optional("port"): port,
    vol.Optional("clients"): networks,
    vol.Optional("allow"): groups,
}


def _modbus() -> Callable[[Tree], ModbusConfig]:
    serial = section(
        {
            vol.Required("port"): text,
            vol.Optional("baud"): lambda value: int(word(BAUD_RATES)(value)),
            vol.Optional("parity"): word(("none", "even", "odd")),
            vol.Optional("stop_bits"): whole(1, 2),
        },
        lambda values: ModbusSerialConfig(**values),
    )
    unit = section(
        {
            vol.Required("unit"): whole(1, 247),
            vol.Required("device"): slug,
            vol.Optional("map"): word(tuple(profile_names()), "the register map"),
            vol.Optional("allow"): groups,
        },
        lambda values: ModbusUnitConfig(**values),
    )

    def made(values: dict[str, Any]) -> ModbusConfig:
        config = ModbusConfig(**values)
        if not config.tcp and config.serial is None:
            raise vol.Invalid("with tcp: no there must be a serial: section")
        _once([one.unit for one in config.units], "units", "unit")
        return config

    return section(
        {
            **_SERVER,
            vol.Optional("tcp"): boolean,
            vol.Optional("serial"): serial,
            vol.Optional("units"): each(unit),
            vol.Optional("connections"): whole(1, 1024),
            vol.Optional("idle"): measure(IDLE),
        },
        made,
    )


def _snmp() -> Callable[[Tree], SnmpConfig]:
    community = section(
        {
            vol.Required("name"): password,
            vol.Optional("clients"): networks,
            vol.Optional("write"): boolean,
            vol.Optional("device"): slug,
        },
        lambda values: SnmpCommunity(**values),
    )
    user = section(
        {
            vol.Required("name"): text,
            vol.Optional("auth"): word(_AUTHENTICATIONS),
            vol.Optional("password"): password,
            vol.Optional("privacy"): word(_PRIVACIES),
            vol.Optional("privacy_password"): password,
            vol.Optional("write"): boolean,
        },
        _user,
    )
    receiver = section(
        {
            vol.Required("address"): address,
            vol.Optional("port"): port,
            vol.Optional("version"): word(("1", "2c", "3")),
            vol.Optional("community"): password,
            vol.Optional("user"): text,
            vol.Optional("inform"): boolean,
        },
        lambda values: SnmpReceiver(**values),
    )

    def made(values: dict[str, Any]) -> SnmpConfig:
        config = SnmpConfig(**values)
        users = [one.name for one in config.users]
        _once(users, "users", "name")
        _once([one.name for one in config.communities], "communities", "name")
        for index, one in enumerate(config.receivers):
            if one.version == "1" and one.inform:
                raise vol.Invalid("version 1 has no informs", path=["receivers", index, "inform"])
            if one.version == "3" and one.user is None:
                raise vol.Invalid("version 3 needs the user: of one of users:", path=["receivers", index])
            if one.user is not None and one.user not in users:
                raise vol.Invalid(unknown("the user", one.user, users), path=["receivers", index, "user"])
        return config

    return section(
        {
            **_SERVER,
            vol.Optional("device"): slug,
            vol.Optional("system_name"): text,
            vol.Optional("location"): text,
            vol.Optional("contact"): text,
            vol.Optional("communities"): each(community),
            vol.Optional("users"): each(user),
            vol.Optional("receivers"): each(receiver),
        },
        made,
    )


def _user(values: dict[str, Any]) -> SnmpUser:
    user = SnmpUser(**values)
    for method, secret, place in (
        (user.auth, user.password, "password"),
        (user.privacy, user.privacy_password, "privacy_password"),
    ):
        if method != "none" and secret is None:
            raise vol.Invalid(f"{method} needs a {place}", path=[place])
        if method == "none" and secret is not None:
            raise vol.Invalid("is of no use without a protocol", path=[place])
        if secret is not None and len(secret) < SHORTEST_PASSWORD:
            raise vol.Invalid(f"must have at least {SHORTEST_PASSWORD} characters", path=[place])
    if user.privacy != "none" and user.auth == "none":
        raise vol.Invalid("needs authentication: give auth as well", path=["privacy"])
    return user


def _is_outside(place: str, networks: Sequence[Network]) -> bool:
    """Whether this is an IP address, with or without a port or a prefix, that is in none of these networks."""
    try:
        address = ip_address(place.partition(":")[0].partition("/")[0])
    except ValueError:
        return False
    return bool(networks) and not any(address in network for network in networks)


def _bacnet() -> Callable[[Tree], BacnetConfig]:
    foreign = section(
        {vol.Required("address"): text, vol.Optional("ttl"): lambda value: round(measure(REGISTRATION)(value))},
        lambda values: BacnetForeign(**values),
    )

    def made(values: dict[str, Any]) -> BacnetConfig:
        config = BacnetConfig(**values)
        if config.foreign is not None and config.bbmd:
            raise vol.Invalid("a foreign device cannot be a BBMD too: give one of foreign and bbmd")
        others = {"recipients": config.recipients, "bbmd": config.bbmd}
        if config.foreign is not None:
            others["foreign"] = (config.foreign.address,)
        for key, places in others.items():
            for place in places:
                if _is_outside(place, config.clients):
                    raise vol.Invalid(f"{place} is outside of clients: what it answers would not be heard", path=[key])
        return config

    return section(
        {
            **_SERVER,
            vol.Optional("device_id"): whole(0, 4194302),
            vol.Optional("network"): whole(0, 65534),
            vol.Optional("apdu_timeout"): measure(ANSWER),
            vol.Optional("device_name"): text,
            vol.Optional("description"): text,
            vol.Optional("location"): text,
            vol.Optional("model"): text,
            vol.Optional("prefix"): whole(1, 32),
            vol.Optional("foreign"): foreign,
            vol.Optional("bbmd"): each(text),
            vol.Optional("recipients"): each(text),
        },
        made,
    )


def _syslog(a_file: Check, tls: Check) -> Callable[[Tree], SyslogConfig]:
    receiver = section(
        {
            vol.Required("address"): address,
            vol.Optional("port"): port,
            vol.Optional("transport"): word(("udp", "tcp", "tls")),
            vol.Optional("ca"): a_file,
            vol.Optional("certificate"): tls,
            vol.Optional("server_name"): text,
            vol.Optional("reject_expired"): boolean,
        },
        _syslog_receiver,
    )

    def made(values: dict[str, Any]) -> SyslogConfig:
        config = SyslogConfig(**values)
        if not 1 <= len(config.receivers) <= 2:
            raise vol.Invalid("must be one or two receivers", path=["receivers"] if config.receivers else [])
        return config

    return section(
        {**_ENABLED, vol.Optional("receivers"): each(receiver), vol.Optional("facility"): word(FACILITIES)}, made
    )


def _syslog_receiver(values: dict[str, Any]) -> SyslogReceiver:
    transport = values.get("transport", "tcp")
    if transport != "tls":
        for key in ("ca", "certificate", "server_name", "reject_expired"):
            if key in values:
                raise vol.Invalid("is of use with transport: tls only", path=[key])
    return SyslogReceiver(**{"port": SYSLOG_PORTS[transport], **values})


def _nut(tls: Check) -> Callable[[Tree], NutConfig]:
    user = section(
        {
            vol.Required("name"): text,
            vol.Required("password"): password,
            vol.Optional("upsmon"): word(("primary", "secondary")),
            vol.Optional("allow"): groups,
        },
        lambda values: NutUser(**values),
    )

    def made(values: dict[str, Any]) -> NutConfig:
        config = NutConfig(**values)
        _once([one.name for one in config.users], "users", "name")
        return config

    return section(
        {
            **_SERVER,
            vol.Optional("tls"): tls,
            vol.Optional("users"): each(user),
            vol.Optional("connections"): whole(1, 1024),
            vol.Optional("idle"): measure(IDLE),
        },
        made,
    )


def _once(found: Iterable[object], section_name: str, key: str) -> None:
    seen: set[object] = set()
    for index, one in enumerate(found):
        if one in seen:
            raise vol.Invalid("stands twice", path=[section_name, index, key])
        seen.add(one)


__all__ = ["feeds"]
