"""The integration's own actions: what people ask for, and any command with its arguments."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv, device_registry as dr, entity_registry as er, service, target
import probatio

from .bridge import Bridge, RidethroughConfigEntry
from .const import DOMAIN
from .entity import send_command
from .errors import CommandFailed
from .wire import Value

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

type Asked = tuple[str, dict[str, Value]]
"""A command of the catalogue, and its arguments."""


@dataclass(frozen=True, slots=True)
class Action:
    """An action for all targets that have its command."""

    name: str
    fields: Mapping[probatio.Marker, Any]
    asked: Callable[[Mapping[str, Any]], Asked]
    """Turns what was filled in into a command."""


def _shutdown(data: Mapping[str, Any]) -> Asked:
    times = {name: data[name] for name in ("delay", "restore") if name in data}
    if data["type"] == "outputs":
        return "outputs.off", times
    if data["restart"]:
        return "shutdown.return", times
    times.pop("restore", None)
    return "shutdown.stayoff", times


def _test_battery(data: Mapping[str, Any]) -> Asked:
    if data["mode"] == "timed":
        return "test.battery.start", {"duration": data["minutes"]} if "minutes" in data else {}
    return f"test.battery.start.{data['mode']}", {}


def _set_output(data: Mapping[str, Any]) -> Asked:
    return "output.set", {"number": data["number"], "state": int(data["state"])}


ACTIONS: Final = (
    Action(
        "shutdown",
        {
            probatio.Optional("type", default="ups"): probatio.In(["ups", "outputs"]),
            probatio.Optional("delay"): cv.positive_int,
            probatio.Optional("restart", default=True): cv.boolean,
            probatio.Optional("restore"): cv.positive_int,
        },
        _shutdown,
    ),
    Action(
        "test_battery",
        {
            probatio.Optional("mode", default="quick"): probatio.In(["quick", "timed", "deep"]),
            probatio.Optional("minutes"): cv.positive_int,
        },
        _test_battery,
    ),
    Action(
        "set_output",
        {probatio.Required("number"): cv.positive_int, probatio.Required("state"): cv.boolean},
        _set_output,
    ),
)
"""What has a form of its own. The bounds of numbers are the bridge's: it says what a device permits."""


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions."""
    hass.services.async_register(DOMAIN, SERVICE_COMMAND, _command, schema=COMMAND_SCHEMA)
    hass.services.async_register(
        DOMAIN, SERVICE_HISTORY, _history, schema=HISTORY_SCHEMA, supports_response=SupportsResponse.ONLY
    )
    for action in ACTIONS:
        schema = probatio.All(
            probatio.Schema({**cv.TARGET_SERVICE_FIELDS, **action.fields}),
            cv.has_at_least_one_key(*cv.TARGET_SERVICE_FIELDS),
        )
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
    """Give one command to all targets that have it; the first refusal is raised when all have been asked."""
    command, arguments = action.asked(call.data)
    targets = [
        (bridge, device)
        for bridge, device in _targets(call)
        if bridge.catalogue.command(bridge.mirror.devices[device].kind, command) is not None
    ]
    if not targets:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="no_target", translation_placeholders={"action": command}
        )
    results = await asyncio.gather(
        *(send_command(bridge, device, command, arguments) for bridge, device in targets), return_exceptions=True
    )
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _targets(call: ServiceCall) -> Iterator[tuple[Bridge, str]]:
    """Find the devices of bridges that an action is for: named, or those of entities, areas, floors and labels."""
    selected = target.async_extract_referenced_entity_ids(
        call.hass, target.TargetSelection(call.data), primary_entities_only=False
    )
    devices, entities = dr.async_get(call.hass), er.async_get(call.hass)
    ids = set(selected.referenced_devices)
    for entity_id in selected.referenced | selected.indirectly_referenced:
        entity = entities.async_get(entity_id)
        if entity is not None and entity.platform == DOMAIN and entity.device_id is not None:
            ids.add(entity.device_id)
    for registry_id in sorted(ids):
        device = devices.async_get(registry_id)
        entry = None if device is None else call.hass.config_entries.async_get_entry(device.config_entry_id or "")
        if device is None or entry is None or entry.domain != DOMAIN or entry.state is not ConfigEntryState.LOADED:
            continue
        bridge: Bridge = entry.runtime_data
        for domain, device_id in device.identifiers:
            if domain == DOMAIN and device_id in bridge.mirror.devices:
                yield bridge, device_id
