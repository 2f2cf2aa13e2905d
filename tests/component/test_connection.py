"""Connections that break, lie, lag and come back."""

import asyncio
from unittest.mock import patch

from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough import client as client_module
from custom_components.ridethrough.client import LAST_DELAY, STEADY, Backoff

from .bridge_peer import OUTLET_ID, UPS_ID, BridgePeer, reading, state
from .conftest import DOMAIN, shows, state_of, until

CHARGE = "sensor.rack_ups_battery_charge"
OUTLET = "switch.rack_ups_outlet_1"


@pytest.mark.parametrize("code", [1001, 1013, 4400, 4408, 4429, 1006])
async def test_dropped_bridge_makes_entities_unavailable_and_never_reloads_the_entry(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, code: int
) -> None:
    runtime = loaded.runtime_data
    if code == 1006:
        bridge.cut()
    else:
        await bridge.close(code)
    await until(hass, shows(hass, CHARGE, STATE_UNAVAILABLE))
    await until(hass, shows(hass, CHARGE, "97.6"))
    assert loaded.runtime_data is runtime
    assert bridge.attempts == 2


async def test_what_changed_meanwhile_is_shown_after_reconnection(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    await bridge.stop()
    await until(hass, shows(hass, CHARGE, STATE_UNAVAILABLE))
    del bridge.points[UPS_ID]["input.voltage"]
    del bridge.conditions[UPS_ID]["battery_low"]
    await bridge.change(
        points={UPS_ID: {"battery.charge": reading(12)}}, conditions={UPS_ID: {"on_battery": state(True)}}
    )
    await bridge.start()
    await until(hass, shows(hass, CHARGE, "12"))
    assert state_of(hass, "binary_sensor.rack_ups_on_battery") == STATE_ON
    assert state_of(hass, "sensor.rack_ups_input_voltage") == STATE_UNAVAILABLE
    assert state_of(hass, "binary_sensor.rack_ups_battery_low") == STATE_UNAVAILABLE
    ours = [record.message for record in caplog.records if record.name.startswith("custom_components.ridethrough")]
    assert len([message for message in ours if "is lost" in message]) == 1
    assert len([message for message in ours if "again" in message]) == 1


async def test_gap_leads_to_a_new_snapshot_on_the_same_connection(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.change(points={UPS_ID: {"battery.charge": reading(60)}}, tell=False)
    await bridge.change(points={UPS_ID: {"input.voltage": reading(1)}})
    await until(hass, shows(hass, CHARGE, "60"))
    assert bridge.attempts == 1
    assert [message["type"] for message in bridge.received] == ["auth", "subscribe", "subscribe"]
    assert loaded.runtime_data.client.counters["gaps"] == 1
    await bridge.change(points={UPS_ID: {"battery.charge": reading(61)}})
    await until(hass, shows(hass, CHARGE, "61"))


async def test_deltas_before_the_new_snapshot_do_not_ask_again(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.change(points={UPS_ID: {"battery.charge": reading(60)}}, tell=False)
    for volts in range(3):
        await bridge.change(points={UPS_ID: {"input.voltage": reading(volts)}})
    await until(hass, shows(hass, CHARGE, "60"))
    assert loaded.runtime_data.client.counters["gaps"] == 1


@pytest.mark.parametrize(
    "rubbish", ["{", "[]", '{"no": "type"}', '{"type": "delta", "since": true}', '{"type": "event"}']
)
async def test_malformed_message_ends_the_connection_and_a_new_one_begins(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, rubbish: str
) -> None:
    await bridge.say(rubbish)
    await until(hass, shows(hass, CHARGE, STATE_UNAVAILABLE))
    await until(hass, shows(hass, CHARGE, "97.6"))


async def test_message_of_a_kind_not_known_yet_is_ignored(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.say('{"type": "weather", "sun": true}')
    await bridge.say('{"type": "result", "id": 77, "ok": true, "message": "?", "confirmed": true}')
    await bridge.change(points={UPS_ID: {"battery.charge": reading(5)}})
    await until(hass, shows(hass, CHARGE, "5"))
    assert bridge.attempts == 1


async def test_one_faulty_listener_does_not_keep_the_news_from_the_others(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty() -> None:
        raise RuntimeError("out of order")

    loaded.runtime_data.mirror.on_point(UPS_ID, "battery.charge", faulty)
    await bridge.change(points={UPS_ID: {"battery.charge": reading(5), "input.voltage": reading(6)}})
    await until(hass, shows(hass, CHARGE, "5"))
    await until(hass, shows(hass, "sensor.rack_ups_input_voltage", "6"))
    assert "out of order" in caplog.text


async def test_fault_of_our_own_ends_the_connection_but_not_the_client(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    with patch.object(loaded.runtime_data.journal, "receive", side_effect=RuntimeError("out of order")):
        await bridge.happen("on_battery", "raised")
        await until(hass, shows(hass, CHARGE, STATE_UNAVAILABLE))
    await until(hass, shows(hass, CHARGE, "97.6"))
    assert "out of order" in caplog.text


async def test_revoked_token_starts_reauthentication_and_no_further_attempts_for_a_while(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    bridge.tokens.clear()
    await bridge.close(4401)
    await until(hass, hass.config_entries.flow.async_progress)
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    assert state_of(hass, CHARGE) == STATE_UNAVAILABLE
    assert bridge.attempts == 1


async def test_refused_token_is_tried_again_slowly_and_asked_for_no_more_once_it_is_accepted(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "REFUSED_DELAY", 0.05)
    bridge.tokens.clear()
    await bridge.close(4401)
    await bridge.until(lambda: bridge.attempts >= 3)
    assert len(hass.config_entries.flow.async_progress()) == 1
    bridge.tokens["good-token"] = "engineer"
    await until(hass, shows(hass, CHARGE, "97.6"))
    assert hass.config_entries.flow.async_progress() == []


async def test_version_that_changes_in_between_is_a_repair_issue_until_it_changes_back(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    issue = f"update_integration_{loaded.entry_id}"
    bridge.api_min = bridge.api_max = 2
    await bridge.close(1001)
    await until(hass, lambda: ir.async_get(hass).async_get_issue(DOMAIN, issue))
    assert state_of(hass, CHARGE) == STATE_UNAVAILABLE
    bridge.api_min = bridge.api_max = 1
    await until(hass, shows(hass, CHARGE, "97.6"))
    assert not ir.async_get(hass).async_get_issue(DOMAIN, issue)


async def test_version_refused_by_the_bridge_is_told_from_other_ends(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry
) -> None:
    bridge.refuse_with = 4406
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.error_reason_translation_key == "version_not_supported"


async def test_silent_bridge_is_given_up_after_a_while(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "CONNECT_TIMEOUT", 0.1)
    bridge.silent = True
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.error_reason_translation_key == "cannot_connect"


async def test_message_out_of_turn_is_malformed(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry
) -> None:
    bridge.greeting = {"type": "ready", "role": "admin", "api": 1}
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.error_reason_translation_key == "cannot_connect"


async def test_token_with_another_role_brings_and_takes_commands(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry
) -> None:
    bridge.tokens["good-token"] = "guest"
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert state_of(hass, OUTLET) is None
    bridge.tokens["good-token"] = "engineer"
    await bridge.close(1001)
    await until(hass, shows(hass, OUTLET, STATE_ON))
    await bridge.change(conditions={OUTLET_ID: {"outlet_on": state(False)}})
    await until(hass, shows(hass, OUTLET, STATE_OFF))
    bridge.tokens["good-token"] = "guest"
    await bridge.close(1001)
    await until(hass, shows(hass, CHARGE, STATE_UNAVAILABLE))
    await until(hass, shows(hass, CHARGE, "97.6"))
    assert state_of(hass, OUTLET) == STATE_UNAVAILABLE


def test_first_attempt_is_immediate_and_later_ones_back_off_up_to_a_limit() -> None:
    backoff = Backoff()
    delays = [backoff.next() for _ in range(20)]
    assert delays[0] == 0
    for count, delay in enumerate(delays[1:]):
        assert 0.5 <= delay / min(LAST_DELAY, 0.5 * 2**count) <= 1


def test_only_a_connection_that_lasted_begins_the_back_off_anew() -> None:
    backoff = Backoff()
    backoff.next()
    backoff.lasted(STEADY / 2)
    assert backoff.next() > 0
    backoff.lasted(STEADY)
    assert backoff.next() == 0


async def test_stopping_before_the_first_snapshot_leaves_nothing_behind(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry
) -> None:
    bridge.silent = True
    setup = hass.async_create_task(hass.config_entries.async_setup(entry.entry_id))
    await bridge.until(lambda: bool(bridge.received))
    setup.cancel()
    await asyncio.wait([setup])
    await bridge.until(lambda: not bridge.connections)


async def test_news_of_a_device_that_nobody_named_are_left_out(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.change(points={"nobody": {"battery.charge": reading(1)}, UPS_ID: {"battery.charge": reading(2)}})
    await until(hass, shows(hass, CHARGE, "2"))
    assert loaded.runtime_data.mirror.points("nobody") == {}


async def test_snapshot_that_does_not_come_after_a_gap_ends_the_connection(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "CONNECT_TIMEOUT", 0.1)
    bridge.silent = True
    await bridge.change(points={UPS_ID: {"battery.charge": reading(60)}}, tell=False)
    await bridge.change(points={UPS_ID: {"input.voltage": reading(1)}})
    await until(hass, shows(hass, CHARGE, STATE_UNAVAILABLE))
    bridge.silent = False
    await until(hass, shows(hass, CHARGE, "60"))
