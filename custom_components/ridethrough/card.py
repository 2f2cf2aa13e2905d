"""The status card: its file, and the WebSocket commands that feed it.

Home Assistant runs without its frontend as well; then there is no card, and nothing else is missing.
"""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from homeassistant.auth.models import User
from homeassistant.auth.permissions.const import POLICY_READ
from homeassistant.components.websocket_api import async_register_command
from homeassistant.components.websocket_api.connection import ActiveConnection
from homeassistant.components.websocket_api.const import ERR_NOT_FOUND
from homeassistant.components.websocket_api.decorators import websocket_command
from homeassistant.components.websocket_api.messages import event_message
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.util.hass_dict import HassKey
import probatio

from .bridge import Bridge
from .const import DOMAIN
from .selection import bridges
from .status_screen import SYSTEM, StatusScreen

CARD: Final = Path(__file__).parent / "frontend" / "ridethrough-battery-card.js"
URL: Final = f"/{DOMAIN}_static/{CARD.name}"

SCREENS: HassKey[dict[tuple[str, str], StatusScreen]] = HassKey(f"{DOMAIN}_status_screens")
"""What is looked at just now, by bridge and battery system."""


async def async_setup_card(hass: HomeAssistant) -> None:
    """Offer the commands, and have the card loaded wherever Home Assistant has a frontend."""
    if "websocket_api" in hass.config.components:
        hass.data[SCREENS] = {}
        async_register_command(hass, _list)
        async_register_command(hass, _subscribe)
    if "frontend" not in hass.config.components:
        return
    # Not earlier: these are not there in an installation without them.
    from homeassistant.components.frontend import add_extra_js_url
    from homeassistant.components.http.server import StaticPathConfig

    # So browsers may keep the file for as long as they like, and still see the next one at once.
    mark = await hass.async_add_executor_job(_mark)
    await hass.http.async_register_static_paths([StaticPathConfig(URL, str(CARD), cache_headers=True)])
    add_extra_js_url(hass, f"{URL}?v={mark}")


def _mark() -> str:
    """Return what is another for every other content of the card's file."""
    return sha256(CARD.read_bytes()).hexdigest()[:12]


@callback
@websocket_command({probatio.Required("type"): f"{DOMAIN}/battery/list"})
def _list(hass: HomeAssistant, connection: ActiveConnection, message: dict[str, Any]) -> None:
    """Name the battery systems that the user may see."""
    systems = [{"device_id": device_id, "name": name} for device_id, name in _visible(hass, connection.user)]
    connection.send_result(message["id"], {"systems": sorted(systems, key=lambda system: system["name"])})


@callback
@websocket_command(
    {
        probatio.Required("type"): f"{DOMAIN}/battery/subscribe",
        probatio.Exclusive("device_id", "system"): str,
        probatio.Exclusive("device", "system"): str,
    }
)
def _subscribe(hass: HomeAssistant, connection: ActiveConnection, message: dict[str, Any]) -> None:
    """Send what a battery system's status screen shows, and what of it changes; the system by `device_id` or name."""
    number = message["id"]
    device_id = message.get("device_id") or _called(hass, connection.user, message.get("device", ""))
    if (found := _find(hass, device_id)) is None:
        connection.send_error(number, ERR_NOT_FOUND, "There is no such battery system, or not now.")
        return
    if not _may_see(hass, connection.user, device_id):
        raise Unauthorized(context=connection.context(message), permission=POLICY_READ)
    bridge, system = found
    screens, key = hass.data[SCREENS], (bridge.id, system)
    screen = screens.get(key)
    if screen is None:
        screen = screens[key] = StatusScreen(hass, bridge, system, lambda: _forget(hass, key))
    if screen.full:
        connection.send_error(number, "too_many", "Too many dashboards show this battery system already.")
        return

    @callback
    def send(shown: dict[str, Any]) -> None:
        connection.send_message(event_message(number, shown))

    connection.send_result(number)
    connection.subscriptions[number] = screen.subscribe(send)


@callback
def end_screens(hass: HomeAssistant, bridge: Bridge) -> None:
    """Let go of a bridge that is unloaded; dashboards ask again until it is back."""
    for (bridge_id, _), screen in tuple(hass.data.get(SCREENS, {}).items()):
        if bridge_id == bridge.id:
            screen.end()


@callback
def count_screens(hass: HomeAssistant, bridge: Bridge) -> int:
    """Return how many dashboards show a battery system of a bridge just now."""
    screens = hass.data.get(SCREENS, {})
    return sum(screen.subscribers for (bridge_id, _), screen in screens.items() if bridge_id == bridge.id)


@callback
def _forget(hass: HomeAssistant, key: tuple[str, str]) -> None:
    hass.data[SCREENS].pop(key, None)


@callback
def _visible(hass: HomeAssistant, user: User) -> Iterator[tuple[str, str]]:
    """Return the battery systems that a user may see, with their names."""
    for bridge in bridges(hass):
        for device in bridge.mirror.devices.values():
            if device.kind != SYSTEM or (device_id := bridge.tree.registry_id(device.id)) is None:
                continue
            if _may_see(hass, user, device_id):
                yield device_id, _name(hass, device_id, device.name)


@callback
def _called(hass: HomeAssistant, user: User, name: str) -> str:
    """Return the id of the one battery system of that name; of two, neither is meant."""
    found = [device_id for device_id, known_as in _visible(hass, user) if known_as == name]
    return found[0] if len(found) == 1 else ""


@callback
def _find(hass: HomeAssistant, device_id: str) -> tuple[Bridge, str] | None:
    """Find the battery system that the registry calls so."""
    device = dr.async_get(hass).async_get(device_id)
    entry = None if device is None else hass.config_entries.async_get_entry(device.config_entry_id or "")
    if device is None or entry is None or entry.domain != DOMAIN or entry.state is not ConfigEntryState.LOADED:
        return None
    bridge: Bridge = entry.runtime_data
    for domain, key in device.identifiers:
        if domain == DOMAIN and (known := bridge.mirror.devices.get(key)) is not None and known.kind == SYSTEM:
            return bridge, key
    return None


@callback
def _may_see(hass: HomeAssistant, user: User, device_id: str) -> bool:
    """Whether a user may read all entities of a battery system; the screen shows what they show."""
    if user.permissions.access_all_entities(POLICY_READ):
        return True
    entities = er.async_entries_for_device(er.async_get(hass), device_id)
    return bool(entities) and all(user.permissions.check_entity(entity.entity_id, POLICY_READ) for entity in entities)


@callback
def _name(hass: HomeAssistant, device_id: str, name: str) -> str:
    device = dr.async_get(hass).async_get(device_id)
    return name if device is None else device.name_by_user or device.name or name
