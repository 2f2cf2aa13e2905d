"""The triggers, through outages, flaps, restarts and lost connections, in a real automation engine."""

from typing import Any

from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import area_registry as ar, device_registry as dr
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .automations import Done, automate, registry_id
from .bridge_peer import BRIDGE_ID, NOW, OUTLET_ID, UPS_ID, BridgePeer, device, reading, state
from .conftest import until

AGENT, PLAN, STAGE, MODULE = "agent-1", "plan-1", "stage-1", "module-1"


def told(done: Done, *fields: str) -> list[tuple[Any, ...]]:
    return [tuple(one["trigger"][field] for field in fields) for one in done]


async def settled(hass: HomeAssistant, bridge: BridgePeer) -> None:
    """Wait until everything the bridge has said has arrived: events are taken in order."""
    entry = hass.config_entries.async_entries("ridethrough")[0]
    seq = await bridge.happen("settled", "occurred", None, kind="system")
    await until(hass, lambda: entry.runtime_data.journal.delivered == seq)
    await hass.async_block_till_done()


async def unload(hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry) -> None:
    """Do what a stop of Home Assistant does to the entry."""
    await hass.config_entries.async_unload(entry.entry_id)
    await bridge.until(lambda: not bridge.connections)


async def outage(bridge: BridgePeer, active: bool, since: float, **points: Any) -> None:
    """Let power go or come, as the bridge tells it: the state and the event."""
    values = {key.replace("_", "."): reading(value, at=since) for key, value in points.items()}
    await bridge.change(points={UPS_ID: values}, conditions={UPS_ID: {"on_battery": state(active, since=since)}})
    await bridge.happen("on_battery", "raised" if active else "cleared", at=since)


async def power(hass: HomeAssistant, bridge: BridgePeer, active: bool, since: float, **points: Any) -> None:
    await outage(bridge, active, since, **points)
    await settled(hass, bridge)


@pytest.fixture
async def site(hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry) -> MockConfigEntry:
    """Set up a bridge with an agent, a plan of one stage, and a battery module."""
    bridge.devices |= {
        AGENT: device(AGENT, "agent", "Web server", BRIDGE_ID),
        PLAN: device(PLAN, "plan", "Room", BRIDGE_ID),
        STAGE: device(STAGE, "plan_stage", "Storage", PLAN, key="room/storage"),
        "battery": device("battery", "battery_system", "Battery", BRIDGE_ID),
        MODULE: device(MODULE, "battery_module", "Module 1", "battery"),
    }
    bridge.conditions |= {
        AGENT: {"agent_lost": state(False)},
        PLAN: {"plan_armed": state(True), "plan_running": state(False), "plan_restarting": state(False)},
        MODULE: {"module.voltage_high": state(False)},
    }
    bridge.points |= {STAGE: {"stage.state": reading("waiting")}}
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return entry


@pytest.fixture
def ups(hass: HomeAssistant, loaded: MockConfigEntry) -> dict[str, str]:
    return {"device_id": registry_id(hass, loaded, UPS_ID)}


# What the journal tells


async def test_power_is_lost_and_restored_once_each(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    done = await automate(hass, "ridethrough.power_lost", ups)
    await power(hass, bridge, True, NOW + 1)
    await power(hass, bridge, False, NOW + 5)
    (one,) = done
    assert one["trigger"] == {
        "id": "0", "idx": "0", "alias": None, "platform": "ridethrough.power_lost",
        "description": "Rack UPS: on_battery raised", "device_id": ups["device_id"], "device_name": "Rack UPS",
        "entity_id": "binary_sensor.rack_ups_on_battery", "key": "on_battery", "edge": "raised", "severity": "warning",
        "seq": 1, "happened_at": "2027-01-15T08:00:01.000+00:00", "past": False, "details": {},
    }  # fmt: skip


@pytest.mark.parametrize("chosen", ["entity", "area", "bridge", "outlet", "other"])
async def test_target_means_devices_entities_and_areas(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str], chosen: str
) -> None:
    area = ar.async_get(hass).async_create("Cellar")
    target: dict[str, Any] = {
        "entity": {"entity_id": "sensor.rack_ups_battery_charge"},
        "area": {"area_id": area.id},
        "bridge": {"device_id": registry_id(hass, loaded, BRIDGE_ID)},
        "outlet": {"device_id": registry_id(hass, loaded, OUTLET_ID)},
        "other": {"entity_id": "light.elsewhere", "device_id": "gone"},
    }[chosen]
    done = await automate(hass, "ridethrough.power_lost", target)
    await power(hass, bridge, True, NOW + 1)
    assert len(done) == (chosen == "entity")
    # What an area means may change at any time.
    dr.async_get(hass).async_update_device(ups["device_id"], area_id=area.id)
    await hass.async_block_till_done()
    await power(hass, bridge, False, NOW + 5)
    await power(hass, bridge, True, NOW + 9)
    assert len(done) == {"entity": 2, "area": 1}.get(chosen, 0)


async def test_outage_and_flap_while_the_connection_is_broken_are_told_by_their_end(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    lost = await automate(hass, "ridethrough.power_lost", ups)
    await bridge.stop()
    await until(hass, lambda: not loaded.runtime_data.online)
    for begin in (NOW + 10, NOW + 20):
        await outage(bridge, True, begin)
        await outage(bridge, False, begin + 5)
    await outage(bridge, True, NOW + 30)
    await bridge.start()
    await until(hass, lambda: loaded.runtime_data.online)
    await settled(hass, bridge)
    assert told(lost, "seq", "past") == [(5, True)]


@pytest.mark.parametrize(("options", "returns"), [("{}", [4]), ("{include_past: true}", [2, 4])])
async def test_return_of_power_that_has_been_undone_is_told_only_if_asked(
    hass: HomeAssistant,
    bridge: BridgePeer,
    loaded: MockConfigEntry,
    ups: dict[str, str],
    options: str,
    returns: list[int],
) -> None:
    done = await automate(hass, "ridethrough.power_restored", ups, options)
    await power(hass, bridge, True, NOW + 10)
    await unload(hass, bridge, loaded)
    for second, active in ((2, False), (3, True), (4, False)):
        await outage(bridge, active, NOW + 10 * second)
    await hass.config_entries.async_setup(loaded.entry_id)
    await settled(hass, bridge)
    assert told(done, "happened_at", "past") == [(f"2027-01-15T08:00:{second}0.000+00:00", True) for second in returns]


async def test_outage_that_was_over_before_home_assistant_was_back_is_no_reason_to_act(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    lost = await automate(hass, "ridethrough.power_lost", ups)
    await settled(hass, bridge)
    await unload(hass, bridge, loaded)
    await outage(bridge, True, NOW + 2)
    await outage(bridge, False, NOW + 3)
    await hass.config_entries.async_setup(loaded.entry_id)
    await settled(hass, bridge)
    assert lost == []


async def test_what_is_so_when_the_bridge_is_first_met_triggers_nothing(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry
) -> None:
    bridge.conditions[UPS_ID] |= {"on_battery": state(True), "battery_low": state(True)}
    await bridge.happen("on_battery", "raised")
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    target = {"device_id": registry_id(hass, entry, UPS_ID)}
    done = await automate(hass, "ridethrough.event", target)
    await settled(hass, bridge)
    await bridge.change(conditions={UPS_ID: {"on_battery": state(True, "stale")}})
    await bridge.change(conditions={UPS_ID: {"on_battery": state(True)}})
    await settled(hass, bridge)
    assert done == []


async def test_automation_that_is_armed_as_home_assistant_starts_hears_of_the_outage(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    await settled(hass, bridge)
    await unload(hass, bridge, loaded)
    await outage(bridge, True, NOW + 7, battery_runtime=200)
    hass.set_state(CoreState.not_running)
    await hass.config_entries.async_setup(loaded.entry_id)
    lost = await automate(hass, "ridethrough.power_lost", ups)
    assert lost == []
    await hass.async_start()
    await settled(hass, bridge)
    assert told(lost, "past", "edge") == [(True, "raised")]


@pytest.mark.parametrize(
    ("trigger", "options", "event", "fires"),
    [
        ("battery_low", "{}", ("battery_low", "raised", UPS_ID), True),
        ("battery_low", "{}", ("battery_low", "cleared", UPS_ID), False),
        ("battery_low", "{}", ("battery_low", "raised", OUTLET_ID), False),
        ("threshold", "{}", ("threshold.ups.load.warning", "raised", UPS_ID), True),
        ("threshold", "{}", ("threshold.ups.load.alarm", "cleared", UPS_ID), False),
        ("threshold", "{edge: cleared}", ("threshold.ups.load.alarm", "cleared", UPS_ID), True),
        ("threshold", "{severity: alarm}", ("threshold.ups.load.warning", "raised", UPS_ID), False),
        ("threshold", "{severity: alarm, name: ups.load}", ("threshold.ups.load.alarm", "raised", UPS_ID), True),
        ("threshold", "{name: ups.load}", ("threshold.battery.charge.alarm", "raised", UPS_ID), False),
        ("threshold", "{}", ("threshold_alarm", "raised", UPS_ID), False),
        ("module_alarm", "{}", ("module.voltage_high", "raised", MODULE), True),
        ("module_alarm", "{severity: warning}", ("module.voltage_high", "raised", MODULE), False),
        ("module_alarm", "{edge: cleared}", ("module.voltage_high", "cleared", MODULE), True),
        ("module_alarm", "{}", ("module.voltage_high", "raised", "battery"), False),
        ("agent_lost", "{}", ("agent_lost", "raised", AGENT), True),
        ("agent_lost", "{edge: cleared}", ("agent_lost", "cleared", AGENT), True),
        ("event", "{condition: overload}", ("overload", "cleared", UPS_ID), True),
        ("event", "{condition: [overload, on_battery], edge: raised}", ("overload", "cleared", UPS_ID), False),
        ("event", "{severity: alarm}", ("on_battery", "raised", UPS_ID), False),
        ("event", "{severity: warning}", ("levitating", "raised", UPS_ID), True),
        ("event", "{condition: on_battery}", ("overload", "raised", UPS_ID), False),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else str(value),
)
async def test_trigger_fires_for_what_is_meant(
    hass: HomeAssistant,
    bridge: BridgePeer,
    site: MockConfigEntry,
    trigger: str,
    options: str,
    event: tuple[str, str, str],
    fires: bool,
) -> None:
    everything = [registry_id(hass, site, key) for key in (UPS_ID, AGENT, MODULE, "battery")]
    done = await automate(hass, f"ridethrough.{trigger}", {"device_id": everything}, options)
    await bridge.happen(*event)
    await bridge.happen(event[0], "occurred", event[2], kind="command")
    await settled(hass, bridge)
    assert told(done, "key", "edge") == ([event[:2]] if fires else [])


@pytest.mark.parametrize(
    ("trigger", "options", "details", "fires"),
    [
        ("plan_stage", "{}", {"stage": "storage", "state": "running"}, True),
        ("plan_stage", "{stage: storage, state: [done, running]}", {"stage": "storage", "state": "running"}, True),
        ("plan_stage", "{state: done}", {"stage": "storage", "state": "running"}, False),
        ("plan_stage", "{stage: clients}", {"stage": "storage", "state": "running"}, False),
        ("plan_script", "{script: media}", {"stage": "storage", "script": "media", "order": "start"}, True),
        ("plan_script", "{order: shutdown}", {"stage": "storage", "script": "media", "order": "start"}, False),
        ("plan_script", "{script: other}", {"stage": "storage", "script": "media", "order": "start"}, False),
    ],
)
async def test_plan_tells_of_its_stages_and_scripts(
    hass: HomeAssistant,
    bridge: BridgePeer,
    site: MockConfigEntry,
    trigger: str,
    options: str,
    details: dict[str, str],
    fires: bool,
) -> None:
    done = await automate(hass, f"ridethrough.{trigger}", {"device_id": registry_id(hass, site, PLAN)}, options)
    await bridge.happen(trigger, "occurred", PLAN, kind="system", details=details)
    await bridge.happen("plan_started", "occurred", PLAN, kind="system")
    await settled(hass, bridge)
    assert told(done, *details) == ([tuple(details.values())] if fires else [])


@pytest.mark.parametrize(
    ("trigger", "details", "fires"),
    [
        ("plan_stage", {"stage": "storage", "state": "waiting"}, True),
        ("plan_stage", {"stage": "storage", "state": "running"}, False),
        ("plan_stage", {"stage": "unheard-of", "state": "running"}, True),
        ("plan_script", {"stage": "storage", "script": "media", "order": "shutdown"}, False),
        ("plan_script", {"stage": "storage", "script": "media", "order": "withdraw"}, True),
    ],
)
async def test_what_a_plan_did_while_nobody_listened_counts_if_it_is_still_so(
    hass: HomeAssistant, bridge: BridgePeer, site: MockConfigEntry, trigger: str, details: dict[str, str], fires: bool
) -> None:
    done = await automate(hass, f"ridethrough.{trigger}", {"device_id": registry_id(hass, site, PLAN)})
    await settled(hass, bridge)
    await unload(hass, bridge, site)
    await bridge.happen(trigger, "occurred", PLAN, kind="system", details=details)
    await hass.config_entries.async_setup(site.entry_id)
    await settled(hass, bridge)
    assert len(done) == fires


async def test_listener_that_is_gone_hears_nothing(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    done = await automate(hass, "ridethrough.power_lost", ups)
    await hass.services.async_call("automation", "turn_off", {"entity_id": "automation.one"}, blocking=True)
    await power(hass, bridge, True, NOW + 1)
    assert done == []


@pytest.mark.parametrize(
    ("trigger", "options"),
    [
        ("power_lost", "{colour: red}"),
        ("threshold", "{severity: terrible}"),
        ("runtime_below", "{}"),
        ("runtime_below", "{seconds: -1}"),
        ("on_battery_for", "{}"),
        ("plan_stage", "{state: exploded}"),
        ("unheard_of", "{}"),
    ],
)
async def test_wrong_options_are_refused(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str], trigger: str, options: str
) -> None:
    with pytest.raises(AssertionError):
        await automate(hass, f"ridethrough.{trigger}", ups, options)


async def test_target_must_be_named(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    with pytest.raises(AssertionError):
        await automate(hass, "ridethrough.power_lost", {})
