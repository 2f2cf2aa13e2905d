"""The bridge's configuration as subentries: how they follow it, and what happens when a person removes one."""

from collections.abc import Callable
from typing import Any

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough import client as client_module

from .bridge_peer import BRIDGE_ID, OUTLET_ID, UPS_ID, BridgePeer, device, in_file, reading
from .conftest import DOMAIN, shows, state_of, until

CHARGE = "sensor.rack_ups_battery_charge"
OUTLET = "switch.rack_ups_outlet_1"
SECOND_ID = "0b1d6e0e-0000-4000-8000-000000000009"


@pytest.fixture
def bridge(bridge: BridgePeer) -> BridgePeer:
    """Let the bridge be configured from here."""
    bridge.features = ["configure"]
    bridge.configured = {"rack-ups": in_file("rack-ups", UPS_ID)}
    return bridge


def subentry(entry: MockConfigEntry, device_id: str = UPS_ID) -> ConfigSubentry:
    found: list[ConfigSubentry] = [item for item in entry.subentries.values() if item.unique_id == device_id]
    assert len(found) == 1
    return found[0]


def asked(bridge: BridgePeer, action: str) -> list[dict[str, Any]]:
    return [m["arguments"] for m in bridge.received if m["type"] == "configure" and m["action"] == action]


def owner(hass: HomeAssistant, entity_id: str) -> tuple[str | None, str | None]:
    """Return the subentries of an entity and of its device."""
    entity = er.async_get(hass).async_get(entity_id)
    assert entity is not None
    assert entity.device_id is not None
    found = dr.async_get(hass).async_get(entity.device_id)
    assert found is not None
    return entity.config_subentry_id, found.config_subentry_id


def listed(bridge: BridgePeer, count: int) -> Callable[[], bool]:
    return lambda: len(asked(bridge, "list")) >= count


async def remove(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Remove the UPS's subentry as the user interface does."""
    assert hass.config_entries.async_remove_subentry(entry, subentry(entry).subentry_id)


async def test_devices_of_the_bridge_are_subentries_and_their_entities_belong_to_them(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    ups = subentry(loaded)
    assert (ups.subentry_type, ups.title) == ("ups", "Rack UPS")
    assert ups.data == {"key": "rack-ups", "kind": "ups", "link": "megatec:/dev/ttyUSB0?baud=9600"}
    for entity_id in (CHARGE, OUTLET):
        assert owner(hass, entity_id) == (ups.subentry_id, ups.subentry_id)
    registry = dr.async_get(hass)
    itself = registry.async_get_device_by_identifier((DOMAIN, BRIDGE_ID), loaded.entry_id)
    assert itself is not None
    assert itself.config_subentry_id is None


async def test_devices_from_before_there_were_subentries_move_with_what_a_person_changed(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    bridge.features = []
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert owner(hass, CHARGE) == (None, None)
    entities, devices = er.async_get(hass), dr.async_get(hass)
    for entity_id, name in ((CHARGE, "sensor.my_charge"), (OUTLET, "switch.my_outlet")):
        entities.async_update_entity(entity_id, new_entity_id=name, name="Mine")
    before = {item.entity_id: item.device_id for item in er.async_entries_for_config_entry(entities, entry.entry_id)}
    for device_id in set(before.values()):
        assert device_id is not None
        child = isinstance(devices.async_get(device_id), dr.ChildDeviceEntry)
        rename = devices.async_update_child_device if child else devices.async_update_device
        rename(device_id, name_by_user=f"My {device_id}")
    await hass.config_entries.async_unload(entry.entry_id)
    bridge.features = ["configure"]
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    ups = subentry(entry).subentry_id
    assert owner(hass, "sensor.my_charge") == owner(hass, "switch.my_outlet") == (ups, ups)
    assert state_of(hass, "sensor.my_charge") == "97.6"
    after = {item.entity_id: item.device_id for item in er.async_entries_for_config_entry(entities, entry.entry_id)}
    assert after == before
    for device_id in set(after.values()):
        found = devices.async_get(device_id or "")
        assert found is not None
        assert found.name_by_user == f"My {device_id}"
    changed = entities.async_get("switch.my_outlet")
    assert changed is not None
    assert changed.name == "Mine"
    assert "assigns an existing device" not in caplog.text


async def test_second_start_changes_nothing(hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry) -> None:
    before = dict(loaded.subentries)
    await hass.config_entries.async_reload(loaded.entry_id)
    await hass.async_block_till_done()
    assert dict(loaded.subentries) == before
    assert owner(hass, OUTLET) == (subentry(loaded).subentry_id,) * 2


async def test_device_that_is_added_to_the_file_gets_a_subentry_before_its_entities(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    runtime = loaded.runtime_data
    bridge.configured["second"] = in_file("second", SECOND_ID, name="Second UPS", kind="transfer_switch")
    await bridge.change(
        devices={
            "part": device("part", "ups_module", "Module 1", SECOND_ID),
            SECOND_ID: device(SECOND_ID, "transfer_switch", "Second UPS", BRIDGE_ID),
        },
        points={SECOND_ID: {"ups.load": reading(5)}, "part": {"ups.load": reading(6)}},
    )
    await until(hass, shows(hass, "sensor.second_ups_load", "5"))
    await until(hass, shows(hass, "sensor.second_ups_module_1_load", "6"))
    second = subentry(loaded, SECOND_ID)
    assert second.subentry_type == "transfer_switch"
    for entity_id in ("sensor.second_ups_load", "sensor.second_ups_module_1_load"):
        assert owner(hass, entity_id) == (second.subentry_id, second.subentry_id)
    assert loaded.runtime_data is runtime
    assert bridge.attempts == 1


async def test_device_that_the_file_does_not_have_is_shown_all_the_same(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.change(
        devices={SECOND_ID: device(SECOND_ID, "ups", "Second UPS", BRIDGE_ID)},
        points={SECOND_ID: {"ups.load": reading(5)}},
    )
    await until(hass, shows(hass, "sensor.second_ups_load", "5"))
    assert owner(hass, "sensor.second_ups_load") == (None, None)


async def test_device_that_comes_while_the_connection_is_down_gets_its_subentry(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.stop()
    bridge.configured["second"] = in_file("second", SECOND_ID)
    await bridge.change(
        devices={SECOND_ID: device(SECOND_ID, "ups", "Second UPS", BRIDGE_ID)},
        points={SECOND_ID: {"ups.load": reading(5)}},
    )
    await bridge.start()
    await until(hass, shows(hass, "sensor.second_ups_load", "5"))
    assert owner(hass, "sensor.second_ups_load") == (subentry(loaded, SECOND_ID).subentry_id,) * 2


async def test_device_that_is_renamed_in_the_file_is_renamed_here(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    before = subentry(loaded).subentry_id
    bridge.configured["rack-ups"] |= {"name": "Big UPS", "link": "nut://host/big"}
    await bridge.change(devices={UPS_ID: bridge.devices[UPS_ID] | {"name": "Big UPS"}})
    await until(hass, lambda: subentry(loaded).title == "Big UPS")
    assert subentry(loaded).subentry_id == before
    assert subentry(loaded).data["link"] == "nut://host/big"


async def test_device_that_is_removed_from_the_file_loses_its_subentry_and_nothing_is_removed_at_the_bridge(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    bridge.configured.clear()
    await bridge.change(devices={UPS_ID: None, OUTLET_ID: None})
    await until(hass, lambda: not loaded.subentries)
    await hass.async_block_till_done()
    assert asked(bridge, "remove") == []
    assert state_of(hass, CHARGE) is None


async def test_device_that_became_a_transfer_switch_gets_another_subentry(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    bridge.configured["rack-ups"]["kind"] = "transfer_switch"
    await bridge.change(devices={UPS_ID: bridge.devices[UPS_ID] | {"kind": "transfer_switch"}})
    await until(hass, lambda: [item.subentry_type for item in loaded.subentries.values()] == ["transfer_switch"])
    assert asked(bridge, "remove") == []


async def test_removing_a_subentry_removes_the_device_at_the_bridge(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    runtime = loaded.runtime_data
    await remove(hass, loaded)
    # The comparison that follows comes after the news that the device is gone.
    await bridge.until(listed(bridge, 3))
    await hass.async_block_till_done()
    assert UPS_ID not in runtime.mirror.devices
    assert asked(bridge, "remove") == [{"id": "rack-ups", "revision": "file-1"}]
    assert not loaded.subentries
    assert state_of(hass, CHARGE) is None
    assert issues(hass) == []
    assert loaded.runtime_data is runtime
    assert bridge.attempts == 1


def issues(hass: HomeAssistant) -> list[dict[str, str] | None]:
    found = ir.async_get(hass).issues.items()
    return [issue.translation_placeholders for (domain, _), issue in found if domain == DOMAIN]


@pytest.mark.parametrize("code", ["not_granted", "not_writable", "busy"])
async def test_removal_that_the_bridge_refuses_is_taken_back_and_explained(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, code: str
) -> None:
    bridge.obstacles["remove"] = {"code": code, "message": "Not today."}
    await remove(hass, loaded)
    await until(hass, lambda: state_of(hass, CHARGE) == "97.6" and state_of(hass, OUTLET) == "on")
    assert owner(hass, CHARGE) == owner(hass, OUTLET) == (subentry(loaded).subentry_id,) * 2
    assert issues(hass) == [{"entry": "Server room", "name": "Rack UPS", "message": "Not today."}]
    # It can be tried again, and then the explanation goes.
    bridge.obstacles.clear()
    await remove(hass, loaded)
    await until(hass, lambda: not bridge.configured and not issues(hass))


async def test_removal_during_a_drop_is_taken_back_when_the_bridge_is_there_again(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.stop()
    await until(hass, shows(hass, CHARGE, "unavailable"))
    await remove(hass, loaded)
    await hass.async_block_till_done()
    assert len(issues(hass)) == 1
    assert state_of(hass, CHARGE) is None
    await bridge.start()
    await until(hass, lambda: state_of(hass, CHARGE) == "97.6" and state_of(hass, OUTLET) == "on")
    assert owner(hass, CHARGE) == (subentry(loaded).subentry_id,) * 2
    # The explanation stays until the device is gone.
    assert len(issues(hass)) == 1


async def test_removal_is_repeated_when_the_file_changed_in_between(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    bridge.obstacles["remove"] = {"code": "conflict", "message": "The file was changed."}
    await remove(hass, loaded)
    await until(hass, lambda: issues(hass))
    assert len(asked(bridge, "remove")) == 2


async def test_removal_of_what_the_bridge_no_longer_has_is_no_fault(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    bridge.obstacles["remove"] = {"code": "unknown_device", "message": "There is none."}
    await remove(hass, loaded)
    await bridge.until(listed(bridge, 3))
    assert issues(hass) == []


async def test_removal_with_a_token_that_lost_its_role_is_taken_back(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    bridge.tokens["good-token"] = "customer"
    await bridge.close(1001)
    await bridge.subscriptions(2)
    await until(hass, shows(hass, CHARGE, "97.6"))
    await remove(hass, loaded)
    await until(hass, lambda: issues(hass))
    await until(hass, lambda: state_of(hass, CHARGE) == "97.6")
    assert owner(hass, CHARGE) == (None, None)


async def test_token_below_engineer_leaves_subentries_alone(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry
) -> None:
    bridge.tokens["good-token"] = "customer"
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert not entry.subentries
    assert state_of(hass, CHARGE) == "97.6"
    assert [m for m in bridge.received if m["type"] == "configure"] == []


@pytest.mark.parametrize("obstacle", [{"code": "busy", "message": "Later."}, None])
async def test_bridge_that_does_not_tell_its_devices_is_shown_all_the_same(
    hass: HomeAssistant,
    bridge: BridgePeer,
    entry: MockConfigEntry,
    obstacle: dict[str, str] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "CONFIGURE_TIMEOUT", 0.05)
    bridge.obstacles["list"] = obstacle
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert owner(hass, CHARGE) == (None, None)
    # The next connection asks again; what runs is moved at the next start.
    bridge.obstacles.clear()
    await bridge.close(1001)
    await until(hass, lambda: len(entry.subentries) == 1)
    assert owner(hass, CHARGE) == (None, None)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert owner(hass, CHARGE) == owner(hass, OUTLET) == (subentry(entry).subentry_id,) * 2


async def test_malformed_list_changes_nothing(hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry) -> None:
    bridge.lawful = False
    bridge.configured["rack-ups"]["link"] = 7
    await bridge.change(devices={UPS_ID: bridge.devices[UPS_ID] | {"name": "Other"}})
    await bridge.until(listed(bridge, 2))
    await hass.async_block_till_done()
    assert subentry(loaded).title == "Rack UPS"


async def test_news_that_change_no_subentry_ask_for_no_list(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.change(
        devices={UPS_ID: bridge.devices[UPS_ID] | {"firmware": "9"}}, points={UPS_ID: {"ups.load": reading(5)}}
    )
    await until(hass, shows(hass, "sensor.rack_ups_load", "5"))
    await hass.async_block_till_done()
    assert len(asked(bridge, "list")) == 1


async def test_removed_entry_takes_its_explanations_along(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    bridge.obstacles["remove"] = {"code": "busy", "message": "Later."}
    await remove(hass, loaded)
    await until(hass, lambda: issues(hass))
    await hass.config_entries.async_remove(loaded.entry_id)
    assert issues(hass) == []
    assert asked(bridge, "remove") != []
    assert bridge.configured


async def test_connection_that_breaks_during_the_first_comparison_costs_only_the_subentries(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry
) -> None:
    bridge.obstacles["list"] = None
    setup = hass.async_create_task(hass.config_entries.async_setup(entry.entry_id))
    await bridge.until(listed(bridge, 1))
    bridge.obstacles.clear()
    bridge.cut()
    assert await setup
    await until(hass, shows(hass, CHARGE, "97.6"))
    await until(hass, lambda: entry.subentries)
    assert owner(hass, CHARGE) in {(None, None), (subentry(entry).subentry_id,) * 2}
