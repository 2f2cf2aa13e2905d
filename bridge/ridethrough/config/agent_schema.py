"""What may stand under agents: in the configuration file."""

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import voluptuous as vol

from .agents import AgentConfig, AgentsConfig, DatagramConfig
from .document import Tree
from .feed_schema import networks, whole
from .units import ALIVE, COMPUTER_TIME
from .values import (
    address,
    boolean,
    each,
    groups_of,
    hardware_address,
    measure,
    port,
    section,
    show,
    slug,
    text,
    unknown,
)

if TYPE_CHECKING:
    from .model import BridgeConfig

SECTION = "agents"
COMPUTERS = "computers"


def ipv4(value: Tree) -> str:
    """Check an IPv4 address, broadcast ones among them."""
    try:
        return str(IPv4Address(text(value)))
    except ValueError:
        raise vol.Invalid(f"must be an IPv4 address such as 192.0.2.255, not {show(value)}") from None


def host(value: Tree) -> str:
    """Check where a computer is: its name or its address."""
    try:
        return address(value)
    except vol.Invalid:
        raise vol.Invalid(f"must be a host name or an address such as 192.0.2.7, not {show(value)}") from None


def _fixed_port(value: Tree) -> int:
    """Check a port that others know."""
    return whole(1, 65535)(value)


def agents() -> Callable[[Tree], AgentsConfig]:
    """Make what checks the section."""
    computer = section(
        {
            vol.Required("id"): slug,
            vol.Optional("name"): text,
            vol.Required("host"): host,
            vol.Optional("port"): _fixed_port,
            vol.Optional("enabled"): boolean,
            vol.Optional("mac"): hardware_address,
            vol.Optional("broadcast"): ipv4,
            vol.Optional("wake_port"): _wake_port,
            vol.Optional("shutdown_time"): measure(COMPUTER_TIME),
            vol.Optional("start_time"): measure(COMPUTER_TIME),
            vol.Optional("supplies"): _supplies,
            vol.Optional("allow"): groups_of("agent"),
        },
        _computer,
    )
    datagrams = section(
        {
            vol.Optional("enabled"): boolean,
            vol.Optional("receivers"): each(host),
            vol.Optional("port"): _fixed_port,
        },
        lambda values: DatagramConfig(**values),
    )
    return section(
        {
            vol.Optional("listen"): address,
            vol.Optional("port"): port,
            vol.Optional("clients"): networks,
            vol.Optional("alive"): measure(ALIVE),
            vol.Optional(COMPUTERS): each(computer),
            vol.Optional("datagrams"): datagrams,
        },
        _agents,
    )


def check_agents(config: BridgeConfig) -> None:
    """Check what hangs together with the devices of the file. Raises vol.MultipleInvalid with all that is wrong."""
    taken = {device.key for device in config.devices}
    known = [device.key for device in config.devices if device.kind == "ups"]
    errors = []
    for index, one in enumerate(config.agents.computers):
        path = [SECTION, COMPUTERS, index]
        if one.key in taken:
            errors.append(vol.Invalid(f"{one.key} is taken by another device; choose another", path=[*path, "id"]))
        errors += [
            vol.Invalid(unknown("the UPS", key, known), path=[*path, "supplies"])
            for key in one.supplies
            if key not in known
        ]
    if errors:
        raise vol.MultipleInvalid(errors)


def _wake_port(value: Tree) -> int:
    if value not in {"7", "9"}:
        raise vol.Invalid(f"must be 7 or 9, not {show(value)}")
    return int(value)


def _supplies(value: Tree) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each(slug)([value] if isinstance(value, str) else value)))


def _computer(values: dict[str, Any]) -> AgentConfig:
    values["key"] = values.pop("id")
    values.setdefault("name", values["key"])
    config = AgentConfig(**values)
    if config.mac is None and "start" in config.allow:
        raise vol.Invalid("grants start, for which the computer's mac: is needed", path=["allow"])
    return config


def _agents(values: dict[str, Any]) -> AgentsConfig:
    config = AgentsConfig(**values)
    seen: set[str] = set()
    for index, one in enumerate(config.computers):
        if one.key in seen:
            raise vol.Invalid(f"{one.key} stands twice; each computer needs an id of its own", [COMPUTERS, index, "id"])
        seen.add(one.key)
    if config.datagrams.enabled and not config.datagrams.receivers:
        raise vol.Invalid("are enabled, but have no receivers", path=["datagrams"])
    return config


__all__ = ["agents", "check_agents", "host", "ipv4"]
