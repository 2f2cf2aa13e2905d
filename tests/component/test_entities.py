"""What entities show, and when they show nothing."""

from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .bridge_peer import BRIDGE_ID, UPS_ID, BridgePeer, device, reading, state
from .conftest import shows, state_of, until

CHARGE = "sensor.rack_ups_battery_charge"
ON_BATTERY = "binary_sensor.rack_ups_on_battery"


async def test_readings_have_unit_class_precision_and_name(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    charge = hass.states.get(CHARGE)
    assert charge is not None
    assert charge.attributes["unit_of_measurement"] == "%"
    assert charge.attributes["device_class"] == "battery"
    assert charge.attributes["state_class"] == "measurement"
    assert charge.attributes["friendly_name"] == "Rack UPS Battery charge"
    registered = er.async_get(hass).async_get(CHARGE)
    assert registered is not None
    assert registered.options["sensor"]["suggested_display_precision"] == 0


async def test_runtime_is_shown_in_minutes(hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry) -> None:
    runtime = hass.states.get("sensor.rack_ups_runtime")
    assert runtime is not None
    assert (float(runtime.state), runtime.attributes["unit_of_measurement"]) == (30, "min")


async def test_one_template_names_every_phase(hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry) -> None:
    registry = er.async_get(hass)
    entity_id = registry.async_get_entity_id("sensor", "ridethrough", f"{UPS_ID}-input.L1-N.voltage")
    assert entity_id is not None
    registered = registry.async_get(entity_id)
    assert registered is not None
    assert registered.translation_key == "input_line_voltage"
    assert registered.original_name is not None
    assert "L1-N" in registered.original_name


async def test_delta_changes_what_it_names_and_nothing_else(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    other = hass.states.get("sensor.rack_ups_input_voltage")
    await bridge.change(
        points={UPS_ID: {"battery.charge": reading(50)}}, conditions={UPS_ID: {"on_battery": state(True)}}
    )
    await until(hass, shows(hass, CHARGE, "50"))
    assert state_of(hass, ON_BATTERY) == STATE_ON
    assert hass.states.get("sensor.rack_ups_input_voltage") is other
    assert other is not None
    assert other.last_reported == other.last_changed


@pytest.mark.parametrize("quality", ["stale", "lost", "unsupported"])
async def test_reading_that_is_not_good_is_unavailable(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, quality: str
) -> None:
    await bridge.change(points={UPS_ID: {"battery.charge": reading(97.6, quality)}})
    await until(hass, shows(hass, CHARGE, STATE_UNAVAILABLE))
    await bridge.change(points={UPS_ID: {"battery.charge": reading(97.6)}})
    await until(hass, shows(hass, CHARGE, "97.6"))


@pytest.mark.parametrize("quality", ["stale", "lost"])
async def test_condition_that_is_not_good_is_unavailable(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, quality: str
) -> None:
    assert state_of(hass, ON_BATTERY) == STATE_OFF
    await bridge.change(conditions={UPS_ID: {"on_battery": state(False, quality)}})
    await until(hass, shows(hass, ON_BATTERY, STATE_UNAVAILABLE))
    assert state_of(hass, "binary_sensor.rack_ups_battery_low") == STATE_OFF


async def test_condition_tells_since_when_as_the_bridge_knows_it(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.change(conditions={UPS_ID: {"on_battery": state(True, since=1_795_000_000)}})
    await until(hass, shows(hass, ON_BATTERY, STATE_ON))
    shown = hass.states.get(ON_BATTERY)
    assert shown is not None
    assert shown.attributes["since"] == "2026-11-18T11:06:40.000+00:00"
    await bridge.change(conditions={UPS_ID: {"on_battery": state(True, "lost", since=1_795_000_000)}})
    await until(hass, shows(hass, ON_BATTERY, STATE_UNAVAILABLE))
    shown = hass.states.get(ON_BATTERY)
    assert shown is not None
    assert "since" not in shown.attributes


async def test_reading_that_contradicts_the_catalogue_is_unknown(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.change(points={UPS_ID: {"battery.charge": reading("n/a"), "ups.mode": reading("dancing")}})
    await until(hass, shows(hass, CHARGE, STATE_UNKNOWN))
    assert state_of(hass, "sensor.rack_ups_mode") == STATE_UNKNOWN


async def test_point_that_appears_later_gets_its_entity_then(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    assert state_of(hass, "sensor.rack_ups_load") is None
    await bridge.change(points={UPS_ID: {"ups.load": reading(None, "unsupported")}})
    await bridge.change(points={UPS_ID: {"ups.load": reading(42)}}, conditions={UPS_ID: {"overload": state(False)}})
    await until(hass, shows(hass, "sensor.rack_ups_load", "42"))
    assert state_of(hass, "binary_sensor.rack_ups_overload") == STATE_OFF


async def test_what_the_catalogue_does_not_know_is_left_out(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.change(
        points={UPS_ID: {"quantum.flux": reading(1), "ups.load": reading(42)}},
        conditions={UPS_ID: {"levitating": state(True)}},
        devices={"later": device("later", "flux_capacitor", "Later", UPS_ID)},
    )
    await until(hass, shows(hass, "sensor.rack_ups_load", "42"))
    assert not [
        entity_id for entity_id in hass.states.async_entity_ids() if "flux" in entity_id or "levit" in entity_id
    ]


async def test_detail_is_there_but_disabled(hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry) -> None:
    bridge.points[UPS_ID]["link.timeouts"] = reading(3)
    await hass.config_entries.async_setup(entry.entry_id)
    entity_id = er.async_get(hass).async_get_entity_id("sensor", "ridethrough", f"{UPS_ID}-link.timeouts")
    assert entity_id is not None
    registered = er.async_get(hass).async_get(entity_id)
    assert registered is not None
    assert registered.disabled_by is er.RegistryEntryDisabler.INTEGRATION
    assert registered.entity_category == "diagnostic"


async def test_reading_that_is_yes_or_no_is_a_binary_sensor_and_an_instant_is_one(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    flag = "ups.watchdog.status"
    entities = er.async_get(hass)
    entities.async_get_or_create(
        "binary_sensor", "ridethrough", f"{UPS_ID}-point-{flag}", suggested_object_id="flag", config_entry=loaded
    )
    entities.async_get_or_create(
        "sensor", "ridethrough", f"{BRIDGE_ID}-bridge.started", suggested_object_id="started", config_entry=loaded
    )
    await bridge.change(
        points={
            UPS_ID: {flag: reading(True), "ups.load": reading(7)},
            BRIDGE_ID: {"bridge.started": reading("2026-11-21T10:00:00+00:00")},
        }
    )
    await until(hass, shows(hass, "binary_sensor.flag", STATE_ON))
    await until(hass, shows(hass, "sensor.started", "2026-11-21T10:00:00+00:00"))
    await bridge.change(points={UPS_ID: {flag: reading("perhaps")}, BRIDGE_ID: {"bridge.started": reading(5)}})
    await until(hass, shows(hass, "binary_sensor.flag", STATE_UNKNOWN))
    await until(hass, shows(hass, "sensor.started", STATE_UNKNOWN))
    await bridge.change(
        points={UPS_ID: {"ups.beeper.enable": reading(None, "unsupported"), flag: reading(False, "lost")}}
    )
    await until(hass, shows(hass, "binary_sensor.flag", STATE_UNAVAILABLE))
