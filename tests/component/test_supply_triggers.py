"""The triggers by time on battery and by runtime, in a real automation engine.

The bridge's clock is months ahead of ours: only differences of its own times may count.
"""

import asyncio
from datetime import timedelta
from typing import Any

from homeassistant.core import CoreState, HomeAssistant
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from .automations import Done, automate, registry_id
from .bridge_peer import NOW, OUTLET_ID, UPS_ID, BridgePeer, reading, state
from .conftest import until
from .test_triggers import outage, power, settled, unload

FIVE_MINUTES = "{for: '00:05:00'}"
FLAPS = "{for: '00:05:00', ignore_returns: '00:01:00'}"


@pytest.fixture
def ups(hass: HomeAssistant, loaded: MockConfigEntry) -> dict[str, str]:
    return {"device_id": registry_id(hass, loaded, UPS_ID)}


async def later(hass: HomeAssistant, seconds: float) -> None:
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))
    await hass.async_block_till_done()


async def runtime(hass: HomeAssistant, bridge: BridgePeer, value: float | None, quality: str = "good") -> None:
    await bridge.change(points={UPS_ID: {"battery.runtime": reading(value, quality)}})
    await settled(hass, bridge)


def runtimes(done: Done) -> list[Any]:
    return [one["trigger"]["runtime"] for one in done]


async def restart(hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry, **automation: Any) -> Done:
    """Stop Home Assistant's side and start it again: automations are armed before it says that it has started."""
    hass.set_state(CoreState.not_running)
    assert await hass.config_entries.async_setup(entry.entry_id)
    done = await automate(hass, **automation)
    await hass.async_start()
    await settled(hass, bridge)
    return done


# Runtime


async def test_runtime_is_reached_once_in_an_outage(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    done = await automate(hass, "ridethrough.runtime_below", ups, "{seconds: 600}")
    await power(hass, bridge, True, NOW + 1, battery_runtime=1700)
    for value in (601, 600, 590, 580):
        await runtime(hass, bridge, value)
    assert runtimes(done) == [600]
    assert done[0]["trigger"]["device_name"] == "Rack UPS"
    assert done[0]["trigger"]["seconds"] == 600


async def test_runtime_that_is_too_short_already_counts_when_the_outage_begins(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    done = await automate(hass, "ridethrough.runtime_below", ups, "{seconds: 3600}")
    await runtime(hass, bridge, 1700)
    await runtime(hass, bridge, 3700)
    await runtime(hass, bridge, 1700)
    assert done == []
    await power(hass, bridge, True, NOW + 1)
    assert runtimes(done) == [1700]


async def test_runtime_that_was_not_known_meanwhile_triggers_when_it_is(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    done = await automate(hass, "ridethrough.runtime_below", ups, "{seconds: 600}")
    await power(hass, bridge, True, NOW + 1, battery_runtime=900)
    await runtime(hass, bridge, 300, "stale")
    await runtime(hass, bridge, None, "lost")
    assert done == []
    await runtime(hass, bridge, 280)
    await runtime(hass, bridge, 280, "stale")
    await runtime(hass, bridge, 270)
    assert runtimes(done) == [280]


async def test_ups_that_tells_its_runtime_on_battery_only_is_heard_in_every_outage(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    done = await automate(hass, "ridethrough.runtime_below", ups, "{seconds: 600}")
    for begin in (NOW + 10, NOW + 100):
        await runtime(hass, bridge, None, "lost")
        await power(hass, bridge, True, begin)
        await runtime(hass, bridge, 500)
        await runtime(hass, bridge, None, "lost")
        await power(hass, bridge, False, begin + 50)
    assert runtimes(done) == [500, 500]


async def test_runtime_below_when_an_automation_is_armed_is_no_news(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    await power(hass, bridge, True, NOW + 1, battery_runtime=300)
    done = await automate(hass, "ridethrough.runtime_below", ups, "{seconds: 600}")
    await runtime(hass, bridge, 290)
    assert done == []


async def test_runtime_reached_while_the_connection_was_broken_triggers_when_it_is_back(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    done = await automate(hass, "ridethrough.runtime_below", ups, "{seconds: 600}")
    await power(hass, bridge, True, NOW + 1, battery_runtime=900)
    await bridge.stop()
    await until(hass, lambda: not loaded.runtime_data.online)
    await bridge.change(points={UPS_ID: {"battery.runtime": reading(450)}})
    await bridge.start()
    await until(hass, lambda: loaded.runtime_data.online)
    await settled(hass, bridge)
    assert runtimes(done) == [450]
    bridge.cut()
    await until(hass, lambda: loaded.runtime_data.client.counters["connections"] == 3 and loaded.runtime_data.online)
    await settled(hass, bridge)
    assert runtimes(done) == [450]


@pytest.mark.parametrize(("before", "fires"), [(900, True), (550, False)], ids=["above", "below"])
async def test_runtime_reached_while_home_assistant_was_stopped_triggers_when_it_starts(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str], before: float, fires: bool
) -> None:
    await power(hass, bridge, True, NOW + 1, battery_runtime=before)
    await unload(hass, bridge, loaded)
    await bridge.change(points={UPS_ID: {"battery.runtime": reading(450)}})
    done = await restart(
        hass, bridge, loaded, trigger="ridethrough.runtime_below", target=ups, options="{seconds: 600}"
    )
    assert runtimes(done) == ([450] if fires else [])


async def test_nothing_is_reached_when_the_bridge_is_first_met(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry
) -> None:
    bridge.conditions[UPS_ID]["on_battery"] = state(True)
    bridge.points[UPS_ID]["battery.runtime"] = reading(None, "lost")
    await hass.config_entries.async_setup(entry.entry_id)
    done = await automate(
        hass, "ridethrough.runtime_below", {"device_id": registry_id(hass, entry, UPS_ID)}, "{seconds: 600}"
    )
    await runtime(hass, bridge, 300)
    await runtime(hass, bridge, 290)
    assert done == []


# Time on battery


async def test_time_on_battery_triggers_once_in_an_outage(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    done = await automate(hass, "ridethrough.on_battery_for", ups, FIVE_MINUTES)
    await power(hass, bridge, True, NOW + 10, battery_charge=97)
    await later(hass, 298)
    assert done == []
    await later(hass, 301)
    (one,) = done
    assert one["trigger"]["for"] == 300
    assert one["trigger"]["since"] == "2027-01-15T08:00:10.000+00:00"
    await bridge.change(points={UPS_ID: {"battery.runtime": reading(1000)}})
    await later(hass, 900)
    assert len(done) == 1


async def test_time_on_battery_is_dropped_when_power_returns(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    done = await automate(hass, "ridethrough.on_battery_for", ups, FIVE_MINUTES)
    await power(hass, bridge, True, NOW + 10)
    await power(hass, bridge, False, NOW + 200)
    await later(hass, 301)
    assert done == []


@pytest.mark.parametrize(
    ("options", "back", "at"),
    [(FIVE_MINUTES, 30, 300), (FLAPS, 30, 70), (FLAPS, 90, 300)],
    ids=["not ignored", "short return", "long return"],
)
async def test_short_return_of_power_does_not_begin_the_time_anew(
    hass: HomeAssistant,
    bridge: BridgePeer,
    loaded: MockConfigEntry,
    ups: dict[str, str],
    options: str,
    back: int,
    at: int,
) -> None:
    done = await automate(hass, "ridethrough.on_battery_for", ups, options)
    await power(hass, bridge, True, NOW)
    await power(hass, bridge, False, NOW + 200)
    await power(hass, bridge, True, NOW + 200 + back)
    await later(hass, at - 2)
    assert done == []
    await later(hass, at + 1)
    assert [one["trigger"]["since"] for one in done] == [
        "2027-01-15T08:00:00.000+00:00" if at == 70 else f"2027-01-15T08:0{3 + (back == 90)}:50.000+00:00"
    ]


async def test_time_that_passes_during_a_short_return_triggers_when_power_is_out_again(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    done = await automate(hass, "ridethrough.on_battery_for", ups, FLAPS)
    await power(hass, bridge, True, NOW)
    await power(hass, bridge, False, NOW + 290)
    await later(hass, 301)
    assert done == []
    await power(hass, bridge, True, NOW + 320)
    assert len(done) == 1
    for flap in range(4):
        await power(hass, bridge, False, NOW + 330 + 20 * flap)
        await power(hass, bridge, True, NOW + 340 + 20 * flap)
    await later(hass, 900)
    assert len(done) == 1


async def test_time_on_battery_goes_on_over_a_reload_of_the_automation(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    await power(hass, bridge, True, NOW)
    await bridge.change(points={UPS_ID: {"battery.charge": reading(90, at=NOW + 240)}})
    await unload(hass, bridge, loaded)
    await hass.config_entries.async_setup(loaded.entry_id)
    await settled(hass, bridge)
    done = await automate(hass, "ridethrough.on_battery_for", ups, FIVE_MINUTES)
    await later(hass, 58)
    assert done == []
    await later(hass, 61)
    assert len(done) == 1


async def test_time_that_had_passed_when_an_automation_is_armed_is_no_news(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry
) -> None:
    bridge.conditions[UPS_ID]["on_battery"] = state(True, since=NOW)
    bridge.points[UPS_ID]["battery.charge"] = reading(90, at=NOW + 400)
    await hass.config_entries.async_setup(entry.entry_id)
    target = {"device_id": registry_id(hass, entry, UPS_ID)}
    done = await automate(hass, "ridethrough.on_battery_for", target, FIVE_MINUTES)
    await bridge.change(points={UPS_ID: {"battery.charge": reading(80, at=NOW + 401)}})
    await settled(hass, bridge)
    await later(hass, 400)
    assert done == []


@pytest.mark.parametrize("passed", [True, False], ids=["passed before", "passes while away"])
async def test_time_that_passed_while_home_assistant_was_stopped_triggers_when_it_starts(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str], passed: bool
) -> None:
    bridge.points[UPS_ID]["battery.charge"] = reading(90)
    await power(hass, bridge, True, NOW)
    await unload(hass, bridge, loaded)
    if passed:
        # A first restart when the time has passed already: then somebody has acted.
        bridge.points[UPS_ID]["battery.charge"] = reading(80, at=NOW + 400)
        await hass.config_entries.async_setup(loaded.entry_id)
        await settled(hass, bridge)
        await unload(hass, bridge, loaded)
    bridge.points[UPS_ID]["battery.charge"] = reading(70, at=NOW + 500)
    done = await restart(hass, bridge, loaded, trigger="ridethrough.on_battery_for", target=ups, options=FIVE_MINUTES)
    assert len(done) == (not passed)
    await later(hass, 600)
    assert len(done) == (not passed)


async def test_what_was_done_before_home_assistant_stopped_is_not_done_again(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    soon = "{for: {milliseconds: 300}}"
    done = await automate(hass, "ridethrough.on_battery_for", ups, soon)
    await outage(bridge, True, NOW)
    async with asyncio.timeout(5):
        while not done:
            await asyncio.sleep(0.05)
    await unload(hass, bridge, loaded)
    bridge.points[UPS_ID]["battery.charge"] = reading(70, at=NOW + 500)
    await hass.services.async_call("automation", "turn_off", {"entity_id": "automation.one"}, blocking=True)
    hass.set_state(CoreState.not_running)
    await hass.config_entries.async_setup(loaded.entry_id)
    await hass.services.async_call("automation", "turn_on", {"entity_id": "automation.one"}, blocking=True)
    await hass.async_start()
    await settled(hass, bridge)
    assert len(done) == 1


async def test_return_of_power_that_nobody_saw_is_measured_by_the_journal(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    done = await automate(hass, "ridethrough.on_battery_for", ups, FLAPS)
    await power(hass, bridge, True, NOW)
    await bridge.stop()
    await until(hass, lambda: not loaded.runtime_data.online)
    for begin in (NOW + 100, NOW + 150):
        await outage(bridge, False, begin)
        await outage(bridge, True, begin + 20)
    await bridge.start()
    await until(hass, lambda: loaded.runtime_data.online)
    await settled(hass, bridge)
    await later(hass, 128)
    assert done == []
    await later(hass, 131)
    assert [one["trigger"]["since"] for one in done] == ["2027-01-15T08:00:00.000+00:00"]


async def test_time_that_passes_while_nothing_is_known_triggers_when_it_is(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    done = await automate(hass, "ridethrough.on_battery_for", ups, "{for: {milliseconds: 300}}")
    await outage(bridge, True, NOW)
    await bridge.change(conditions={UPS_ID: {"on_battery": state(True, "stale", since=NOW)}})
    await settled(hass, bridge)
    async with asyncio.timeout(5):
        while hass.loop.time() < loaded.runtime_data.outages._began[UPS_ID][1] + 0.4:
            await asyncio.sleep(0.05)
    assert done == []
    await bridge.change(conditions={UPS_ID: {"on_battery": state(True, since=NOW)}})
    await settled(hass, bridge)
    assert len(done) == 1


async def test_reload_of_the_entry_loses_and_doubles_nothing(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    done = await automate(hass, "ridethrough.on_battery_for", ups, FIVE_MINUTES)
    await power(hass, bridge, True, NOW, battery_charge=90)
    await unload(hass, bridge, loaded)
    await later(hass, 301)
    assert done == []
    bridge.points[UPS_ID]["battery.charge"] = reading(70, at=NOW + 310)
    for _ in range(2):
        await hass.config_entries.async_setup(loaded.entry_id)
        await settled(hass, bridge)
        assert len(done) == 1
        await unload(hass, bridge, loaded)


async def test_ups_that_is_taken_away_is_forgotten(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, ups: dict[str, str]
) -> None:
    done = await automate(hass, "ridethrough.on_battery_for", ups, FIVE_MINUTES)
    await power(hass, bridge, True, NOW)
    await bridge.change(devices=dict.fromkeys([OUTLET_ID, UPS_ID]))
    await settled(hass, bridge)
    await later(hass, 301)
    assert done == []
    assert loaded.runtime_data.outages.supply(UPS_ID) is None
