"""The integration's own actions: what people ask for, and any command with its arguments."""

import asyncio
from collections.abc import Set as AbstractSet
from dataclasses import asdict
from functools import partial
from typing import Any

from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv, service
import probatio

from .actions import ACTIONS, Action
from .bridge import Bridge, RidethroughConfigEntry
from .const import DOMAIN
from .devices import main_ancestor
from .entity import send_command
from .errors import CommandFailed
from .selection import bridges, selected

SERVICE_COMMAND = "command"
SERVICE_HISTORY = "get_alert_history"
ATTR_COMMAND = "command"
ATTR_ARGUMENTS = "arguments"

COMMAND_SCHEMA = probatio.Schema(
    {
        probatio.Required(ATTR_DEVICE_ID): cv.string,
        probatio.Required(ATTR_COMMAND): cv.string,
        probatio.Optional(ATTR_ARGUMENTS, default=dict): {cv.string: probatio.Any(bool, int, float, str)},
    }
)

HISTORY_SCHEMA = probatio.Schema({probatio.Required(ATTR_DEVICE_ID): cv.string})

TARGET_KEYS = frozenset(str(marker) for marker in cv.TARGET_SERVICE_FIELDS)


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions."""
    hass.services.async_register(DOMAIN, SERVICE_COMMAND, _command, schema=COMMAND_SCHEMA)
    hass.services.async_register(
        DOMAIN, SERVICE_HISTORY, _history, schema=HISTORY_SCHEMA, supports_response=SupportsResponse.ONLY
    )
    for action in ACTIONS:
        schema: probatio.Schema | probatio.All[Any] = probatio.Schema({**cv.TARGET_SERVICE_FIELDS, **action.fields})
        if not action.of_bridge:
            schema = probatio.All(schema, cv.has_at_least_one_key(*cv.TARGET_SERVICE_FIELDS))
        hass.services.async_register(DOMAIN, action.name, partial(_act, action), schema=schema)


async def _command(call: ServiceCall) -> None:
    """Have a device carry out a command; what the bridge refuses is raised."""
    bridge, device_id = _device(call)
    await send_command(bridge, device_id, call.data[ATTR_COMMAND], call.data[ATTR_ARGUMENTS])


async def _history(call: ServiceCall) -> ServiceResponse:
    """Read what a device remembers itself; what goes wrong is raised."""
    bridge, device_id = _device(call)
    try:
        alerts = await bridge.client.alerts(bridge.mirror.devices[device_id].key)
    except CommandFailed as error:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="no_history",
            translation_placeholders={"device": bridge.mirror.devices[device_id].name, "message": str(error)},
        ) from error
    return {"alerts": [asdict(alert) for alert in alerts]}


def _device(call: ServiceCall) -> tuple[Bridge, str]:
    """Find the one device of a bridge that an action is for."""
    entry: RidethroughConfigEntry
    device, entry = service.async_get_device_and_config_entry(call.hass, DOMAIN, call.data[ATTR_DEVICE_ID])
    bridge = entry.runtime_data
    for domain, device_id in device.identifiers:
        if domain == DOMAIN and device_id in bridge.mirror.devices:
            return bridge, device_id
    raise ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key="unknown_device",
        translation_placeholders={"device": device.name or call.data[ATTR_DEVICE_ID]},
    )


async def _act(action: Action, call: ServiceCall) -> None:
    """Give a command to all targets that have it; the first refusal is raised when all have been asked."""
    asked = action.asked(call.data)
    targets = [
        (bridge, device, command, arguments)
        for bridge, device in _targets(action, call)
        for command, arguments in asked
        if bridge.catalogue.command(bridge.mirror.devices[device].kind, command) is not None
    ]
    # A bridge that is asked itself asks its agents: they need not be asked twice.
    asking = {bridge.id for bridge, device, _, _ in targets if device == bridge.id}
    targets = [found for found in targets if found[0].id not in asking or found[1] == found[0].id]
    # A whole that offers the command carries it out for its parts: a device as a target means them as well.
    chosen = {
        (bridge.id, device, command)
        for bridge, device, command, _ in targets
        if command in bridge.mirror.devices[device].commands
    }
    targets = [found for found in targets if not _is_part_of_chosen(found[0], found[1], found[2], chosen)]
    if not targets:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="no_target", translation_placeholders={"action": asked[0][0]}
        )
    if action.single and len(targets) > 1:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="one_target", translation_placeholders={"action": asked[0][0]}
        )
    results = await asyncio.gather(*(send_command(*found) for found in targets), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _is_part_of_chosen(bridge: Bridge, device: str, command: str, chosen: AbstractSet[tuple[str, str, str]]) -> bool:
    whole = main_ancestor(bridge.mirror.devices[device], bridge.mirror.devices)
    return whole is not None and (bridge.id, whole.id, command) in chosen


def _targets(action: Action, call: ServiceCall) -> list[tuple[Bridge, str]]:
    """Return the devices an action is for; where none is named, the only bridge there is."""
    if not action.of_bridge or any(name in call.data for name in TARGET_KEYS):
        return list(selected(call.hass, call.data))
    there = [(bridge, bridge.id) for bridge in bridges(call.hass) if bridge.id in bridge.mirror.devices]
    if len(there) > 1:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="which_bridge")
    return there
