"""Diagnostics: what a maintainer needs to see, without what is nobody's business."""

from dataclasses import asdict
import re
from typing import Any

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.const import CONF_HOST, CONF_TOKEN
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import AnyDeviceEntry

from .bridge import Bridge, RidethroughConfigEntry
from .card import count_screens
from .const import CONF_FINGERPRINT, DOMAIN

TO_REDACT = frozenset({CONF_TOKEN, CONF_HOST, CONF_FINGERPRINT, "serial"})
PRIVATE_POINT = re.compile(
    r"(^|[._])(serial|macaddr|contact|location|note)(\.|$)|^agent\.(address|last_command)$"
    r"|parameter\..*(port|community|login|user|secname|pass|serial)",
    re.IGNORECASE,
)
"""Points that tell who and where, what somebody noted, or, as NUT's driver parameters may, how to get in."""


async def async_get_config_entry_diagnostics(hass: HomeAssistant, entry: RidethroughConfigEntry) -> dict[str, Any]:
    """Show the connection, and everything the bridge has told."""
    bridge = entry.runtime_data
    client = bridge.client
    return {
        "entry": async_redact_data(dict(entry.data), TO_REDACT),
        "connection": {
            "state": client.state.value,
            "role": client.role.value,
            "features": sorted(client.features),
            "bridge": None if client.hello is None else asdict(client.hello),
            "counters": dict(client.counters),
        },
        "status_screens": count_screens(hass, bridge),
        "journal": {"received": bridge.journal.received, "delivered": bridge.journal.delivered},
        "supplies": {device: asdict(supply) for device, supply in bridge.outages.supplies.items()},
        "revision": bridge.mirror.revision,
        "devices": [_device(bridge, device) for device in bridge.mirror.devices],
    }


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: RidethroughConfigEntry, device: AnyDeviceEntry
) -> dict[str, Any]:
    """Everything the bridge has told of one device."""
    bridge = entry.runtime_data
    ids = [device_id for domain, device_id in device.identifiers if domain == DOMAIN]
    return {"devices": [_device(bridge, device_id) for device_id in ids if device_id in bridge.mirror.devices]}


def _device(bridge: Bridge, device_id: str) -> dict[str, Any]:
    device = bridge.mirror.devices[device_id]
    points, conditions = bridge.mirror.points(device_id), bridge.mirror.conditions(device_id)
    private = {key for key in points if PRIVATE_POINT.search(key)}
    return {
        **async_redact_data(asdict(device), TO_REDACT),
        "commands": sorted(device.commands),
        "points": async_redact_data({key: asdict(reading) for key, reading in points.items()}, private),
        "conditions": {key: asdict(state) for key, state in conditions.items()},
        "unknown": sorted(
            [key for key in points if bridge.catalogue.point(device.kind, key) is None]
            + [key for key in conditions if bridge.catalogue.condition(device.kind, key) is None]
        ),
    }
