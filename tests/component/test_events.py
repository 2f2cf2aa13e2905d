"""Every event once and in order, whatever breaks in between."""

import asyncio
from typing import Any

from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import CoreState, Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_mock_service

from .bridge_peer import BRIDGE_ID, UPS_ID, BridgePeer, device
from .conftest import state_of, until

EVENTS = "event.rack_ups_events"
BRIDGE_EVENTS = "event.server_room_events"
STORE = f"ridethrough.{BRIDGE_ID}"


@pytest.fixture
def fired(hass: HomeAssistant) -> list[tuple[str, int]]:
    """Collect what the event entities fire, as an automation would see it."""
    seen: list[tuple[str, int]] = []

    @callback
    def changed(event: Event[EventStateChangedData]) -> None:
        old, new = event.data["old_state"], event.data["new_state"]
        if new is None or new.state in {STATE_UNAVAILABLE, STATE_UNKNOWN}:
            return
        if old is None or old.state in {STATE_UNAVAILABLE, new.state}:
            return
        seen.append((new.attributes["event_type"], new.attributes["seq"]))

    async_track_state_change_event(hass, [EVENTS, BRIDGE_EVENTS], changed)
    return seen


async def reload(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Do what a restart of Home Assistant does to the entry."""
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()


async def test_event_names_the_condition_and_its_edge(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, fired: list[tuple[str, int]]
) -> None:
    assert state_of(hass, EVENTS) == STATE_UNKNOWN
    await bridge.happen("on_battery", "raised", details={"cause": "mains"})
    await bridge.happen("on_battery", "cleared")
    await until(hass, lambda: len(fired) == 2)
    assert fired == [("on_battery_raised", 1), ("on_battery_cleared", 2)]
    shown = hass.states.get(EVENTS)
    assert shown is not None
    assert shown.attributes["severity"] == "warning"
    assert shown.attributes["key"] == "on_battery"
    assert shown.attributes["happened_at"] == "2027-01-15T08:00:01.000+00:00"
    assert "on_battery_raised" in shown.attributes["event_types"]


async def test_commands_system_events_and_unknown_conditions_are_events_too(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, fired: list[tuple[str, int]]
) -> None:
    await bridge.happen("beeper.toggle", "occurred", kind="command")
    await bridge.happen("levitating", "raised")
    await bridge.happen("started", "occurred", None, kind="system")
    await bridge.happen("journal_failed", "raised", BRIDGE_ID)
    await until(hass, lambda: len(fired) == 4)
    assert fired == [("command", 1), ("other", 2), ("system", 3), ("journal_failed_raised", 4)]


@pytest.mark.parametrize("news", [{"kind": "job"}, {"edge": "postponed"}, {"severity": "catastrophe"}])
async def test_event_of_a_sort_that_only_a_newer_bridge_knows_is_other_and_holds_up_nothing(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, fired: list[tuple[str, int]], news: dict[str, str]
) -> None:
    bridge.lawful = False
    await bridge.happen("on_battery", **{"edge": "raised"} | news)
    await bridge.happen("on_battery", "cleared")
    await until(hass, lambda: len(fired) == 2)
    assert fired[0] == ("on_battery_raised" if "severity" in news else "other", 1)
    assert fired[1] == ("on_battery_cleared", 2)
    assert loaded.runtime_data.client.counters["connections"] == 1


async def test_events_before_the_first_meeting_are_not_replayed(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry, fired: list[tuple[str, int]]
) -> None:
    await bridge.happen("on_battery", "raised")
    await hass.config_entries.async_setup(entry.entry_id)
    await bridge.happen("on_battery", "cleared")
    await until(hass, lambda: fired)
    assert fired == [("on_battery_cleared", 2)]


async def test_events_during_a_drop_come_once_and_in_order_afterwards(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, fired: list[tuple[str, int]]
) -> None:
    await bridge.happen("on_battery", "raised")
    await until(hass, lambda: fired)
    await bridge.stop()
    await bridge.happen("battery_low", "raised")
    await bridge.happen("battery_low", "cleared")
    await bridge.happen("on_battery", "cleared")
    await bridge.start()
    await until(hass, lambda: len(fired) >= 4)
    await bridge.happen("overload", "raised")
    await until(hass, lambda: len(fired) >= 5)
    assert [seq for _, seq in fired] == [1, 2, 3, 4, 5]
    assert bridge.received[-1] == {"type": "subscribe", "events_after": 1}


async def test_event_that_comes_twice_is_fired_once(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, fired: list[tuple[str, int]]
) -> None:
    await bridge.happen("on_battery", "raised")
    await bridge.tell(bridge.journal[0])
    await bridge.happen("on_battery", "cleared")
    await until(hass, lambda: len(fired) >= 2)
    assert [seq for _, seq in fired] == [1, 2]


async def test_events_while_home_assistant_is_away_come_once_when_it_is_back(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, fired: list[tuple[str, int]],
    hass_storage: dict[str, Any],
) -> None:  # fmt: skip
    await bridge.happen("on_battery", "raised")
    await until(hass, lambda: fired)
    await hass.config_entries.async_unload(loaded.entry_id)
    assert hass_storage[STORE]["data"] == {"seq": 1}
    await bridge.happen("battery_low", "raised")
    await bridge.happen("on_battery", "cleared")
    await hass.config_entries.async_setup(loaded.entry_id)
    await until(hass, lambda: len(fired) >= 3)
    assert [seq for _, seq in fired] == [1, 2, 3]
    await reload(hass, loaded)
    assert [seq for _, seq in fired] == [1, 2, 3]


async def test_what_was_seen_is_written_within_a_second(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, fired: list[tuple[str, int]],
    hass_storage: dict[str, Any],
) -> None:  # fmt: skip
    await bridge.happen("on_battery", "raised")
    await until(hass, lambda: fired)
    async with asyncio.timeout(1):
        while hass_storage.get(STORE, {}).get("data") != {"seq": 1}:
            await asyncio.sleep(0.01)


async def test_events_wait_until_home_assistant_has_started_and_automations_are_armed(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry, hass_storage: dict[str, Any]
) -> None:
    hass_storage[STORE] = {"version": 1, "key": STORE, "data": {"seq": 0}}
    await bridge.happen("on_battery", "raised")
    await bridge.happen("on_battery", "cleared")
    calls = async_mock_service(hass, "test", "alarm")
    hass.set_state(CoreState.not_running)
    await hass.config_entries.async_setup(entry.entry_id)
    trigger = {
        "trigger": "event.received",
        "target": {"entity_id": EVENTS},
        "options": {"event_type": "on_battery_raised"},
    }
    alarm = {"action": "test.alarm", "data": {"seq": "{{ trigger.to_state.attributes.seq }}"}}
    automation = {"alias": "alarm", "triggers": [trigger], "actions": [alarm]}
    assert await async_setup_component(hass, "automation", {"automation": automation})
    await hass.async_block_till_done()
    assert state_of(hass, EVENTS) == STATE_UNKNOWN
    await hass.async_start()
    await until(hass, lambda: calls)
    assert [call.data["seq"] for call in calls] == [1]


async def test_journal_restored_from_an_older_copy_is_followed(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, fired: list[tuple[str, int]]
) -> None:
    for _ in range(3):
        await bridge.happen("on_battery", "raised")
    await until(hass, lambda: len(fired) == 3)
    del bridge.journal[1:]
    await bridge.close(1001)
    await bridge.subscriptions(2)
    await bridge.happen("on_battery", "cleared")
    await until(hass, lambda: len(fired) == 4)
    assert fired[-1] == ("on_battery_cleared", 2)


async def test_event_of_a_device_that_has_just_come_is_not_lost(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.change(devices={"new": device("new", "ups", "New UPS", BRIDGE_ID)})
    await bridge.happen("on_battery", "raised", "new")
    await until(hass, lambda: state_of(hass, "event.new_ups_events") not in {None, STATE_UNKNOWN})
    shown = hass.states.get("event.new_ups_events")
    assert shown is not None
    assert shown.attributes["event_type"] == "on_battery_raised"


async def test_disabled_event_entity_does_not_hold_the_others_up(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry, fired: list[tuple[str, int]]
) -> None:
    er.async_get(hass).async_get_or_create(
        "event", "ridethrough", f"{UPS_ID}-events", config_entry=entry, disabled_by=er.RegistryEntryDisabler.USER
    )
    await hass.config_entries.async_setup(entry.entry_id)
    await bridge.happen("on_battery", "raised")
    await bridge.happen("started", "occurred", None, kind="system")
    await until(hass, lambda: fired)
    assert fired == [("system", 2)]
    assert entry.runtime_data.journal.delivered == 2


async def test_removed_entry_forgets_what_was_seen(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, hass_storage: dict[str, Any]
) -> None:
    await hass.config_entries.async_unload(loaded.entry_id)
    assert STORE in hass_storage
    await hass.config_entries.async_remove(loaded.entry_id)
    assert STORE not in hass_storage


async def test_event_that_is_not_taken_does_not_keep_the_next_ones_back(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, fired: list[tuple[str, int]],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    # No instant that a calendar knows.
    await bridge.happen("on_battery", "raised", at=1e30)
    await bridge.happen("on_battery", "cleared")
    await until(hass, lambda: fired)
    assert fired == [("on_battery_cleared", 2)]
    assert "Event 1 was not taken" in caplog.text
