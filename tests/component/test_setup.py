"""Setting up, and why it may not work."""

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .bridge_peer import BridgePeer
from .conftest import DOMAIN, entry_for, state_of, status


async def test_bridge_is_set_up_with_its_first_snapshot(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    assert status(loaded) is ConfigEntryState.LOADED
    assert state_of(hass, "sensor.rack_ups_battery_charge") == "97.6"
    assert [message["type"] for message in bridge.received] == ["auth", "subscribe"]


async def test_unloading_closes_the_connection(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    assert await hass.config_entries.async_unload(loaded.entry_id)
    await bridge.until(lambda: not bridge.connections)
    assert status(loaded) is ConfigEntryState.NOT_LOADED
    assert state_of(hass, "sensor.rack_ups_battery_charge") == STATE_UNAVAILABLE


async def test_stopping_home_assistant_closes_the_connection(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await hass.async_stop(force=True)
    await bridge.until(lambda: not bridge.connections)


async def test_absent_bridge_is_tried_again_later(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry
) -> None:
    await bridge.stop()
    await hass.config_entries.async_setup(entry.entry_id)
    assert status(entry) is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "cannot_connect"


async def test_wrong_token_starts_reauthentication(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry
) -> None:
    bridge.tokens.clear()
    await hass.config_entries.async_setup(entry.entry_id)
    assert status(entry) is ConfigEntryState.SETUP_ERROR
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH


@pytest.mark.parametrize(("api_min", "api_max", "issue"), [(2, 3, "update_integration"), (0, 0, "update_bridge")])
async def test_bridge_of_another_age_is_a_repair_issue_until_it_is_updated(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry, api_min: int, api_max: int, issue: str
) -> None:
    bridge.api_min, bridge.api_max = api_min, api_max
    await hass.config_entries.async_setup(entry.entry_id)
    assert status(entry) is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "version_not_supported"
    registry = ir.async_get(hass)
    assert registry.async_get_issue(DOMAIN, f"{issue}_{entry.entry_id}")

    bridge.api_min = bridge.api_max = 1
    await hass.config_entries.async_reload(entry.entry_id)
    assert status(entry) is ConfigEntryState.LOADED
    assert not registry.async_get_issue(DOMAIN, f"{issue}_{entry.entry_id}")


@pytest.mark.parametrize(("version", "expected"), [("0.2.0", True), ("0.1.9", False), ("what?", False)])
async def test_bridge_of_a_newer_release_is_a_repair_issue(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry, version: str, expected: bool
) -> None:
    bridge.version = version
    await hass.config_entries.async_setup(entry.entry_id)
    issue = ir.async_get(hass).async_get_issue(DOMAIN, f"bridge_newer_{entry.entry_id}")
    assert (issue is not None) is expected
    await hass.config_entries.async_remove(entry.entry_id)
    assert not ir.async_get(hass).async_get_issue(DOMAIN, f"bridge_newer_{entry.entry_id}")


async def test_token_is_not_sent_to_another_bridge(hass: HomeAssistant, socket_enabled: None) -> None:
    other = BridgePeer(id="0b1d6e0e-0000-4000-8000-00000000ffff")
    await other.start()
    entry = entry_for(other)
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    assert status(entry) is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "different_bridge"
    assert other.received == []
    assert ir.async_get(hass).async_get_issue(DOMAIN, f"different_bridge_{entry.entry_id}")
    await other.stop()


async def test_bridge_that_says_nothing_sensible_is_tried_again_later(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry
) -> None:
    bridge.lawful = False
    del bridge.devices[next(iter(bridge.devices))]["kind"]
    await hass.config_entries.async_setup(entry.entry_id)
    assert status(entry) is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "cannot_connect"
