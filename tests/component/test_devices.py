"""The tree of devices, as it grows, changes and shrinks."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.ridethrough.devices import main_ancestor
from custom_components.ridethrough.wire import Device

from .bridge_peer import BRIDGE_ID, OUTLET_ID, UPS_ID, BridgePeer, device, reading, state
from .conftest import DOMAIN, shows, state_of, until


def main(hass: HomeAssistant, entry: MockConfigEntry, device_id: str) -> dr.DeviceEntry | None:
    return dr.async_get(hass).async_get_device_by_identifier((DOMAIN, device_id), entry.entry_id)


def child(hass: HomeAssistant, entry: MockConfigEntry, device_id: str) -> dr.ChildDeviceEntry | None:
    return dr.async_get(hass).async_get_child_device_by_identifier((DOMAIN, device_id), entry.entry_id)


async def test_ups_hangs_on_the_bridge_and_outlets_are_its_parts(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    itself, ups, outlet = main(hass, loaded, BRIDGE_ID), main(hass, loaded, UPS_ID), child(hass, loaded, OUTLET_ID)
    assert itself is not None
    assert ups is not None
    assert outlet is not None
    assert (itself.name, itself.model, itself.sw_version, itself.via_device_id) == (
        "Server room",
        "Bridge",
        "0.1.0",
        None,
    )
    assert (ups.manufacturer, ups.model, ups.serial_number, ups.sw_version) == ("Acme", "Model 3", "SERIAL-1", "1.2")
    assert ups.via_device_id == itself.id
    assert outlet.parent_device_id == ups.id


async def test_device_that_comes_later_is_added(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    # The part comes before the whole, as nothing forbids.
    await bridge.change(
        devices={
            "o2": device("o2", "outlet", "Outlet", "u2", commands=["outlet.on", "outlet.off", "outlet.cycle"]),
            "u2": device("u2", "ups", "Second UPS", BRIDGE_ID),
        },
        points={"u2": {"battery.charge": reading(5)}},
        conditions={"o2": {"outlet_on": state(True)}},
    )
    await until(hass, shows(hass, "sensor.second_ups_battery_charge", "5"))
    await until(hass, shows(hass, "switch.second_ups_outlet", "on"))
    assert state_of(hass, "button.second_ups_outlet_power_cycle") == "unknown"


async def test_device_that_changes_is_described_anew(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    changed = bridge.devices[UPS_ID] | {"firmware": "2.0", "name": "Big UPS"}
    await bridge.change(devices={UPS_ID: changed})
    await bridge.change(points={UPS_ID: {"battery.charge": reading(1)}})
    await until(hass, shows(hass, "sensor.rack_ups_battery_charge", "1"))
    ups = main(hass, loaded, UPS_ID)
    assert ups is not None
    assert (ups.sw_version, ups.name) == ("2.0", "Big UPS")


async def test_device_that_goes_is_removed_with_its_entities_and_may_come_again(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    described, states = bridge.devices[OUTLET_ID], bridge.conditions[OUTLET_ID]
    await bridge.change(devices={OUTLET_ID: None})
    await until(hass, lambda: state_of(hass, "switch.rack_ups_outlet_1") is None)
    await hass.async_block_till_done()
    assert child(hass, loaded, OUTLET_ID) is None
    assert not er.async_get(hass).async_get_entity_id("switch", DOMAIN, f"{OUTLET_ID}-outlet")
    await bridge.change(devices={OUTLET_ID: described}, conditions={OUTLET_ID: states})
    await until(hass, shows(hass, "switch.rack_ups_outlet_1", "on"))


@pytest.mark.parametrize("gone", [UPS_ID, OUTLET_ID])
async def test_device_that_went_while_we_were_away_is_removed(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, gone: str
) -> None:
    await hass.config_entries.async_unload(loaded.entry_id)
    for device_id in {gone, OUTLET_ID}:
        await bridge.change(devices={device_id: None})
    await hass.config_entries.async_setup(loaded.entry_id)
    assert child(hass, loaded, OUTLET_ID) is None
    assert (main(hass, loaded, UPS_ID) is None) is (gone == UPS_ID)
    assert main(hass, loaded, BRIDGE_ID) is not None


async def test_device_that_went_during_a_drop_is_removed(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.stop()
    await bridge.change(devices={OUTLET_ID: None})
    await bridge.start()
    await until(hass, lambda: state_of(hass, "switch.rack_ups_outlet_1") is None)
    assert child(hass, loaded, OUTLET_ID) is None


async def test_outlet_may_move_to_another_ups_and_stand_for_itself(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    second = device("u2", "ups", "Second UPS", BRIDGE_ID)
    outlet = bridge.devices[OUTLET_ID]
    await bridge.change(devices={"u2": second, OUTLET_ID: outlet | {"parent": "u2"}})

    def parent() -> str | None:
        found = child(hass, loaded, OUTLET_ID)
        whole = None if found is None else dr.async_get(hass).async_get(found.parent_device_id)
        return None if whole is None else whole.name

    await until(hass, lambda: parent() == "Second UPS")
    await bridge.change(devices={OUTLET_ID: outlet | {"parent": BRIDGE_ID}})
    await until(hass, lambda: main(hass, loaded, OUTLET_ID))
    assert child(hass, loaded, OUTLET_ID) is None
    await bridge.change(devices={OUTLET_ID: outlet})
    await until(hass, lambda: parent() == "Rack UPS")
    assert main(hass, loaded, OUTLET_ID) is None


async def test_only_a_device_that_the_bridge_no_longer_has_can_be_deleted_by_hand(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    assert await async_setup_component(hass, "config", {})
    stray = dr.async_get(hass).async_get_or_create(config_entry_id=loaded.entry_id, identifiers={(DOMAIN, "stray")})
    ups = main(hass, loaded, UPS_ID)
    assert ups is not None
    client = await hass_ws_client(hass)
    assert (await client.remove_device(stray.id))["success"]
    assert not (await client.remove_device(ups.id))["success"]


async def test_no_device_can_be_deleted_before_the_bridge_has_told_what_it_has(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    assert await async_setup_component(hass, "config", {})
    bridge.refuse_with = 1013
    assert not await hass.config_entries.async_setup(entry.entry_id)
    ups = dr.async_get(hass).async_get_or_create(config_entry_id=entry.entry_id, identifiers={(DOMAIN, UPS_ID)})
    client = await hass_ws_client(hass)
    answer = await client.remove_device(ups.id)
    assert answer["error"]["message"] == "Failed to remove device entry, rejected by integration"


async def test_every_kind_of_device_has_its_place_and_its_names(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.change(
        devices={
            "m1": device("m1", "ups_module", "Module 1", UPS_ID),
            "s1": device("s1", "sensor", "Room", UPS_ID),
            "sts": device("sts", "transfer_switch", "Switch", BRIDGE_ID, commands=["transfer.prefer.a"]),
            "box": device("box", "io_box", "Contacts", BRIDGE_ID, commands=["output.set"]),
        },
        points={
            UPS_ID: {"battery.age": reading(14), "input.L1.voltage": reading(229)},
            "m1": {"ups.load": reading(40), "input.voltage": reading(231)},
            "sts": {"input.2.L1.voltage": reading(228), "ups.load": reading(30)},
        },
        conditions={
            UPS_ID: {"threshold.battery.charge.warning": state(True)},
            "m1": {"overload": state(False), "on_battery": state(False)},
            "s1": {"value_high": state(True)},
            "sts": {"on_source_a": state(True)},
            "box": {"input_alarm.3": state(True)},
        },
    )
    await until(hass, shows(hass, "binary_sensor.contacts_alarm_of_input_3", "on"))
    bridge_id = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, BRIDGE_ID), loaded.entry_id)
    ups = main(hass, loaded, UPS_ID)
    assert ups is not None
    for part in ("m1", "s1"):
        found = child(hass, loaded, part)
        assert found is not None
        assert found.parent_device_id == ups.id
    for whole in ("sts", "box"):
        device_entry = main(hass, loaded, whole)
        assert device_entry is not None
        assert bridge_id is not None
        assert device_entry.via_device_id == bridge_id.id
    names = {item.entity_id: item.attributes["friendly_name"] for item in hass.states.async_all()}
    assert (
        names["binary_sensor.rack_ups_warning_threshold_battery_charge"] == "Rack UPS Warning threshold battery.charge"
    )
    assert names["sensor.switch_voltage_l1_of_input_2"] == "Switch Voltage L1 of input 2"
    assert names["binary_sensor.rack_ups_room_value_too_high"] == "Room Value too high"
    assert state_of(hass, "sensor.rack_ups_battery_age") == "14"
    # Detail of modules is there for those who want it.
    entities = er.async_get(hass)
    load = entities.async_get_entity_id("sensor", DOMAIN, "m1-ups.load")
    voltage = entities.async_get_entity_id("sensor", DOMAIN, "m1-input.voltage")
    assert state_of(hass, load or "") == "40"
    assert voltage is not None
    detail = entities.async_get(voltage)
    assert detail is not None
    assert detail.disabled_by is er.RegistryEntryDisabler.INTEGRATION
    assert state_of(hass, "binary_sensor.rack_ups_module_1_overload") == "off"
    assert state_of(hass, "binary_sensor.rack_ups_module_1_on_battery") is None


async def test_a_battery_system_shows_its_strings_and_of_its_blocks_what_matters(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.change(
        devices={
            "bat": device("bat", "battery_system", "Battery", BRIDGE_ID),
            "s1": device("s1", "battery_string", "String 1", "bat"),
            "b7": device("b7", "battery_module", "Module 7", "bat"),
            "i1": device("i1", "current_sensor", "Current 1", "bat"),
        },
        points={
            "bat": {"battery.ripple": reading(0.012), "module.voltage.high.critical": reading(14.5)},
            "s1": {"string.voltage": reading(407.3), "string.current": reading(-1.25)},
            "b7": {
                "module.voltage": reading(13.512),
                "module.temperature": reading(24.5),
                "module.impedance": reading(43.72),
                "module.state": reading("warning"),
                "module.equalizing": reading(12),
                "module.charge": reading(98),
            },
            "i1": {"sensor.current": reading(-1.25)},
        },
        conditions={
            "bat": {"module.voltage_high": state(True), "thermal_runaway": state(False)},
            "s1": {"string.voltage_high": state(False), "module.voltage_high": state(True)},
            "b7": {"module.voltage_high": state(True)},
        },
    )
    await until(hass, shows(hass, "sensor.battery_string_1_voltage", "407.3"))
    system = main(hass, loaded, "bat")
    assert system is not None
    for part in ("s1", "b7", "i1"):
        found = child(hass, loaded, part)
        assert found is not None
        assert found.parent_device_id == system.id
    assert state_of(hass, "sensor.battery_module_7_voltage") == "13.512"
    assert state_of(hass, "sensor.battery_module_7_temperature") == "24.5"
    assert state_of(hass, "sensor.battery_module_7_state") == "warning"
    impedance = hass.states.get("sensor.battery_module_7_impedance")
    assert impedance is not None
    assert (impedance.state, impedance.attributes["unit_of_measurement"]) == ("43.72", "mΩ")
    assert state_of(hass, "sensor.battery_ripple_voltage") == "0.012"
    assert state_of(hass, "sensor.battery_current_1_current") == "-1.25"
    assert state_of(hass, "binary_sensor.battery_block_voltage_too_high") == "on"
    assert state_of(hass, "binary_sensor.battery_string_1_string_voltage_too_high") == "off"
    # There may be 512 blocks: of each only what the state does not say, and neither conditions nor events at all.
    entities = er.async_get(hass)
    hidden = {
        entity.unique_id
        for entity in entities.entities.values()
        if entity.unique_id.startswith(("b7-", "s1-")) and entity.disabled_by is er.RegistryEntryDisabler.INTEGRATION
    }
    blocks = {"b7-module.equalizing", "b7-module.charge"}
    assert hidden == blocks | {"s1-module.voltage_high", "s1-events"}


def tree(**parents: str | None) -> dict[str, Device]:
    return {
        name: Device(name, name, "bridge" if name == "bridge" else "thing", name, parent)
        for name, parent in parents.items()
    }


def test_parts_of_parts_belong_to_the_whole() -> None:
    devices = tree(bridge=None, system="bridge", string="system", module="string")
    assert main_ancestor(devices["module"], devices) is devices["system"]
    assert main_ancestor(devices["string"], devices) is devices["system"]
    assert main_ancestor(devices["system"], devices) is None
    assert main_ancestor(devices["bridge"], devices) is None


@pytest.mark.parametrize("parents", [{"a": "nowhere"}, {"a": "a"}, {"a": None}])
def test_unknown_parent_is_none(parents: dict[str, str | None]) -> None:
    devices = tree(**parents)
    assert main_ancestor(devices["a"], devices) is None


async def test_ring_of_parents_does_not_hang(hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry) -> None:
    await bridge.change(
        devices={
            "a": device("a", "ups", "A", "b"),
            "b": device("b", "ups", "B", "c"),
            "c": device("c", "ups", "C", "a"),
        },
        points={"a": {"battery.charge": reading(5)}},
    )
    await until(hass, lambda: any("battery_charge" in e and s == "5" for e, s in
                ((state.entity_id, state.state) for state in hass.states.async_all("sensor"))))  # fmt: skip
    assert loaded.runtime_data.online
