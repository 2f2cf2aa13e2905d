"""The actions that have a form of their own."""

from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import area_registry as ar, device_registry as dr
import probatio
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .bridge_peer import BRIDGE_ID, OUTLET_ID, UPS_ID, BridgePeer, device
from .conftest import DOMAIN, until
from .test_commands import commands


def registered(hass: HomeAssistant, entry: MockConfigEntry, device_id: str = UPS_ID) -> str:
    registry = dr.async_get(hass)
    found = registry.async_get_device_by_identifier((DOMAIN, device_id), entry.entry_id)
    part = registry.async_get_child_device_by_identifier((DOMAIN, device_id), entry.entry_id)
    assert found is not None or part is not None
    return (found or part).id  # type: ignore[union-attr]  # one of them is there


async def act(hass: HomeAssistant, action: str, **data: Any) -> None:
    await hass.services.async_call(DOMAIN, action, data, blocking=True)


@pytest.mark.parametrize(
    ("action", "data", "command", "arguments"),
    [
        ("shutdown", {}, "shutdown.return", {}),
        ("shutdown", {"delay": 60, "restore": 300}, "shutdown.return", {"delay": 60, "restore": 300}),
        ("shutdown", {"delay": 60, "restart": False, "restore": 300}, "shutdown.stayoff", {"delay": 60}),
        ("shutdown", {"type": "outputs", "restore": 0}, "outputs.off", {"restore": 0}),
        ("test_battery", {}, "test.battery.start.quick", {}),
        ("test_battery", {"mode": "deep", "minutes": 3}, "test.battery.start.deep", {}),
        ("test_battery", {"mode": "timed", "minutes": 3}, "test.battery.start", {"duration": 3}),
        ("test_battery", {"mode": "timed"}, "test.battery.start", {}),
    ],
)
async def test_action_becomes_the_command_that_is_meant(
    hass: HomeAssistant,
    bridge: BridgePeer,
    loaded: MockConfigEntry,
    action: str,
    data: dict[str, Any],
    command: str,
    arguments: dict[str, Any],
) -> None:
    await act(hass, action, device_id=[registered(hass, loaded)], **data)
    assert commands(bridge) == [(UPS_ID, command, arguments)]


@pytest.mark.parametrize(("state", "told"), [(True, 1), (False, 0)])
async def test_output_of_an_io_box_is_switched(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, state: bool, told: int
) -> None:
    box = device("box", "io_box", "Contacts", BRIDGE_ID, commands=["output.set"])
    await bridge.change(devices={"box": box})
    await until(hass, lambda: dr.async_get(hass).async_get_device_by_identifier((DOMAIN, "box"), loaded.entry_id))
    await act(hass, "set_output", device_id=registered(hass, loaded, "box"), number=3, state=state)
    assert commands(bridge) == [("box", "output.set", {"number": 3, "state": told})]


async def test_area_and_entity_mean_the_devices_that_can(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    area = ar.async_get(hass).async_create("Cellar")
    for device_id in (UPS_ID, BRIDGE_ID):
        dr.async_get(hass).async_update_device(registered(hass, loaded, device_id), area_id=area.id)
    await act(hass, "test_battery", area_id=area.id)
    await act(hass, "test_battery", entity_id="sensor.rack_ups_battery_charge")
    assert commands(bridge) == [(UPS_ID, "test.battery.start.quick", {})] * 2


async def test_target_that_cannot_is_told_so(hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry) -> None:
    for target in ({"device_id": registered(hass, loaded, OUTLET_ID)}, {"entity_id": "light.elsewhere"}):
        with pytest.raises(ServiceValidationError) as error:
            await act(hass, "shutdown", **target)
        assert error.value.translation_key == "no_target"
    assert commands(bridge) == []


async def test_target_of_an_entry_that_is_not_loaded_is_none(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    ups = registered(hass, loaded)
    await hass.config_entries.async_unload(loaded.entry_id)
    with pytest.raises(ServiceValidationError):
        await act(hass, "shutdown", device_id=ups)


async def test_refusal_of_one_does_not_keep_the_others_from_it(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.change(devices={"u2": device("u2", "ups", "Second UPS", BRIDGE_ID)})
    await until(hass, lambda: dr.async_get(hass).async_get_device_by_identifier((DOMAIN, "u2"), loaded.entry_id))
    done = {"ok": True, "message": "Done.", "confirmed": True}
    refused = {"ok": False, "error": {"code": "refused", "message": "Not today."}}
    bridge.answer = lambda message: done if message["device"] == "u2" else refused
    with pytest.raises(HomeAssistantError) as error:
        await act(hass, "shutdown", device_id=[registered(hass, loaded), registered(hass, loaded, "u2")])
    assert error.value.translation_key == "command_refused"
    assert {found[0] for found in commands(bridge)} == {UPS_ID, "u2"}


async def test_action_without_a_target_is_refused(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    with pytest.raises(probatio.Invalid):
        await act(hass, "shutdown", delay=60)


# What a device remembers itself


async def history(hass: HomeAssistant, entry: MockConfigEntry) -> Any:
    return await hass.services.async_call(
        DOMAIN, "get_alert_history", {"device_id": registered(hass, entry)}, blocking=True, return_response=True
    )


async def test_alert_history_of_a_device_is_returned(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    alerts = [
        {"number": 1, "at": "11/21/2026 03:04:05", "edge": "raised", "text": "=Utility, failed"},
        {"number": 2, "at": "", "edge": "", "text": "On"},
    ]
    bridge.histories[bridge.devices[UPS_ID]["key"]] = (200, {"alerts": alerts})
    assert await history(hass, loaded) == {"alerts": alerts}


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (404, None, "It keeps no history."),
        (503, {"error": {"code": "offline", "message": "It is away."}}, "It is away."),
        (503, {"error": "away"}, "error must be dict"),
        (200, {"alerts": [{"number": "1"}]}, "number must be int"),
    ],
)
async def test_alert_history_that_cannot_be_had_is_told(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, status: int, body: Any, message: str
) -> None:
    bridge.histories[bridge.devices[UPS_ID]["key"]] = (status, body)
    with pytest.raises(HomeAssistantError) as error:
        await history(hass, loaded)
    assert error.value.translation_key == "no_history"
    assert message in str(error.value)


async def test_alert_history_is_not_for_guests(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    bridge.tokens = dict.fromkeys(bridge.tokens, "guest")
    with pytest.raises(HomeAssistantError) as error:
        await history(hass, loaded)
    assert "This needs a token of the role customer." in str(error.value)


async def test_alert_history_is_not_asked_for_without_a_connection(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.stop()
    await until(hass, lambda: not loaded.runtime_data.client.live)
    with pytest.raises(HomeAssistantError) as error:
        await history(hass, loaded)
    assert "The bridge is not connected." in str(error.value)
