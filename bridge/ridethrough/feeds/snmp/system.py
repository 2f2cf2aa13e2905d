"""What the agent says of itself: the groups `system` and `snmp`, and the engine (RFC 3418, RFC 3411 §5)."""

from collections.abc import Callable, Mapping

from ridethrough.config.feeds import SnmpConfig
from ridethrough.feeds.base import FeedContext

from .ber import Oid, integer, name, octets
from .encoding import text, ticks
from .engine_identity import EngineIdentity
from .instances import Encoded
from .orders import oid_of

OBJECT_ID: Oid = (1, 3, 6, 1, 2, 1, 33)
"""What UPS cards give as their sysObjectID that have no number of their own: upsMIB."""
SERVICES = 72
"""An application on an end-to-end host: layers 4 and 7."""
LARGEST_MESSAGE = 65507
"""Bytes that fit into a datagram of IPv4."""


def system(
    config: SnmpConfig, context: FeedContext, identity: EngineIdentity, uptime: Callable[[], float]
) -> Mapping[Oid, Encoded]:
    """Give the instances that every tree has."""

    def sys_name() -> bytes:
        bridge = context.site.devices.get(context.bridge.id, context.bridge)
        return text(config.system_name or bridge.name, "sysName")

    found: dict[str, Encoded] = {
        "1.3.6.1.2.1.1.1.0": text(f"Ridethrough {context.version}, UPS and battery management", "sysDescr"),
        "1.3.6.1.2.1.1.2.0": name(OBJECT_ID),
        "1.3.6.1.2.1.1.3.0": lambda: ticks(uptime()),
        "1.3.6.1.2.1.1.4.0": text(config.contact, "sysContact"),
        "1.3.6.1.2.1.1.5.0": sys_name,
        "1.3.6.1.2.1.1.6.0": text(config.location, "sysLocation"),
        "1.3.6.1.2.1.1.7.0": integer(SERVICES),
        # snmpEnableAuthenTraps: disabled.
        "1.3.6.1.2.1.11.30.0": integer(2),
        "1.3.6.1.6.3.10.2.1.1.0": octets(identity.engine_id),
        "1.3.6.1.6.3.10.2.1.2.0": integer(identity.boots),
        "1.3.6.1.6.3.10.2.1.3.0": lambda: integer(int(uptime())),
        "1.3.6.1.6.3.10.2.1.4.0": integer(LARGEST_MESSAGE),
    }
    return {oid_of(oid): value for oid, value in found.items()}


__all__ = ["LARGEST_MESSAGE", "OBJECT_ID", "system"]
