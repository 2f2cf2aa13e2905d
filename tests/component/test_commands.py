"""Buttons, switches and the action."""

from typing import Any

from homeassistant.const import ATTR_ENTITY_ID, STATE_OFF, STATE_ON, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough import client as client_module
from custom_components.ridethrough.entity import COMMAND_ERRORS

from .bridge_peer import OUTLET_ID, UPS_ID, BridgePeer, state
from .conftest import DOMAIN, shows, state_of, until

TEST = "button.rack_ups_battery_test"
OUTLET = "switch.rack_ups_outlet_1"
BEEPER = "switch.rack_ups_beeper"


def commands(bridge: BridgePeer) -> list[tuple[str, str, dict[str, Any]]]:
    """List what was asked of devices."""
    return [(m["device"], m["command"], m["arguments"]) for m in bridge.received if m["type"] == "command"]


async def press(hass: HomeAssistant) -> None:
    await hass.services.async_call("button", "press", {ATTR_ENTITY_ID: TEST}, blocking=True)


async def test_button_gives_its_command(hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry) -> None:
    await press(hass)
    assert commands(bridge) == [(UPS_ID, "test.battery.start.quick", {})]


@pytest.mark.parametrize("code", [*sorted(COMMAND_ERRORS), "moonshine"])
async def test_refusal_is_told_in_words(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, code: str
) -> None:
    bridge.lawful = code != "moonshine"
    bridge.answer = lambda _: {"ok": False, "error": {"code": code, "message": "Not today."}}
    with pytest.raises(HomeAssistantError) as error:
        await press(hass)
    assert error.value.translation_key == f"command_{'refused' if code == 'moonshine' else code}"
    assert "Not today." in str(error.value)
    assert "Rack UPS" in str(error.value)


async def test_command_without_a_result_in_time_is_told_so(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "COMMAND_TIMEOUT", 0.05)
    bridge.answer = lambda _: None
    with pytest.raises(HomeAssistantError) as error:
        await press(hass)
    assert error.value.translation_key == "command_no_answer"


async def test_command_during_which_the_connection_breaks_is_told_so(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    bridge.answer = lambda _: bridge.cut()
    with pytest.raises(HomeAssistantError) as error:
        await press(hass)
    assert error.value.translation_key == "command_no_answer"


async def test_command_while_the_bridge_is_away_is_not_sent(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    ups = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, UPS_ID), loaded.entry_id)
    assert ups is not None
    await bridge.stop()
    await until(hass, shows(hass, TEST, STATE_UNAVAILABLE))
    with pytest.raises(HomeAssistantError) as error:
        await give(hass, ups.id, "beeper.toggle")
    assert error.value.translation_key == "command_offline"


async def test_outlet_is_switched_and_shows_what_the_device_says(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await hass.services.async_call("switch", "turn_off", {ATTR_ENTITY_ID: OUTLET}, blocking=True)
    assert commands(bridge) == [(OUTLET_ID, "outlet.off", {})]
    assert state_of(hass, OUTLET) == STATE_ON
    await bridge.change(conditions={OUTLET_ID: {"outlet_on": state(False)}})
    await until(hass, shows(hass, OUTLET, STATE_OFF))
    await hass.services.async_call("switch", "turn_on", {ATTR_ENTITY_ID: OUTLET}, blocking=True)
    assert commands(bridge)[1:] == [(OUTLET_ID, "outlet.on", {})]


async def test_what_only_toggles_is_toggled_only_when_needed(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await hass.services.async_call("switch", "turn_on", {ATTR_ENTITY_ID: BEEPER}, blocking=True)
    assert commands(bridge) == []
    await hass.services.async_call("switch", "turn_off", {ATTR_ENTITY_ID: BEEPER}, blocking=True)
    assert commands(bridge) == [(UPS_ID, "beeper.toggle", {})]
    await bridge.change(conditions={UPS_ID: {"beeper_enabled": state(False)}})
    await until(hass, shows(hass, BEEPER, STATE_OFF))
    await hass.services.async_call("switch", "turn_off", {ATTR_ENTITY_ID: BEEPER}, blocking=True)
    assert len(commands(bridge)) == 1
    await hass.services.async_call("switch", "turn_on", {ATTR_ENTITY_ID: BEEPER}, blocking=True)
    assert len(commands(bridge)) == 2


async def test_switch_of_unknown_state_is_unavailable(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.change(conditions={UPS_ID: {"beeper_enabled": state(True, "stale")}})
    await until(hass, shows(hass, BEEPER, STATE_UNAVAILABLE))


async def test_command_that_a_switch_gives_has_no_button(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    assert [entity_id for entity_id in hass.states.async_entity_ids("button") if "beeper" in entity_id] == []


async def test_condition_that_a_switch_shows_has_no_binary_sensor_at_first(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    entities = er.async_get(hass)
    for unique_id in (f"{UPS_ID}-beeper_enabled", f"{OUTLET_ID}-outlet_on"):
        found = entities.async_get(entities.async_get_entity_id("binary_sensor", DOMAIN, unique_id) or "")
        assert found is not None
        assert found.disabled_by is er.RegistryEntryDisabler.INTEGRATION


async def test_condition_that_no_switch_shows_has_its_binary_sensor(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry
) -> None:
    bridge.tokens["good-token"] = "guest"
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert state_of(hass, "binary_sensor.rack_ups_beeper") == STATE_ON


async def test_device_that_no_longer_offers_a_command_makes_its_button_unavailable(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.change(devices={UPS_ID: bridge.devices[UPS_ID] | {"commands": ["beeper.enable", "beeper.disable"]}})
    await until(hass, shows(hass, TEST, STATE_UNAVAILABLE))
    # The same switch now has a command for each direction.
    await bridge.change(devices={UPS_ID: bridge.devices[UPS_ID] | {"commands": ["test.battery.start.quick"]}})
    await until(hass, lambda: state_of(hass, TEST) != STATE_UNAVAILABLE)


async def give(hass: HomeAssistant, device_id: str, command: str, **arguments: Any) -> None:
    data = {"device_id": device_id, "command": command} | ({"arguments": arguments} if arguments else {})
    await hass.services.async_call(DOMAIN, "command", data, blocking=True)


async def test_action_gives_a_command_with_arguments(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    registry = dr.async_get(hass)
    ups = registry.async_get_device_by_identifier((DOMAIN, UPS_ID), loaded.entry_id)
    outlet = registry.async_get_child_device_by_identifier((DOMAIN, OUTLET_ID), loaded.entry_id)
    assert ups is not None
    assert outlet is not None
    await give(hass, ups.id, "shutdown.return", delay=60, restore=180)
    await give(hass, outlet.id, "outlet.off")
    assert commands(bridge) == [
        (UPS_ID, "shutdown.return", {"delay": 60, "restore": 180}),
        (OUTLET_ID, "outlet.off", {}),
    ]


async def test_action_on_a_device_that_the_bridge_does_not_have_is_refused(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    stray = dr.async_get(hass).async_get_or_create(config_entry_id=loaded.entry_id, identifiers={(DOMAIN, "stray")})
    with pytest.raises(ServiceValidationError) as error:
        await give(hass, stray.id, "outlet.off")
    assert error.value.translation_key == "unknown_device"
    with pytest.raises(ServiceValidationError):
        await give(hass, "nonsense", "outlet.off")
