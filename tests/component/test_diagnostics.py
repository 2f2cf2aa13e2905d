"""What can be shown to a maintainer."""

import json

from homeassistant.components.diagnostics import REDACTED
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, get_system_health_info
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
    get_diagnostics_for_device,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from .bridge_peer import BRIDGE_ID, UPS_ID, BridgePeer, reading
from .conftest import DOMAIN


async def test_diagnostics_show_everything_but_secrets(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    bridge.points[UPS_ID] |= {"ups.serial": reading("SERIAL-1"), "quantum.flux": reading(1)}
    await hass.config_entries.async_setup(entry.entry_id)
    shown = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    text = json.dumps(shown)
    assert "good-token" not in text
    assert "SERIAL-1" not in text
    assert "127.0.0.1" not in text
    assert shown["connection"]["state"] == "live"
    assert shown["connection"]["bridge"]["id"] == BRIDGE_ID
    ups = next(device for device in shown["devices"] if device["id"] == UPS_ID)
    assert ups["serial"] == REDACTED
    assert ups["points"]["battery.charge"]["value"] == 97.6
    assert ups["unknown"] == ["quantum.flux"]
    assert shown["supplies"][UPS_ID]["runtime"] == 1800


@pytest.mark.parametrize(
    "key",
    [
        *("ups.serial", "ups.serial.internal", "ambient.parent.serial", "device.macaddr", "device.contact"),
        *("device.location", "driver.parameter.port", "driver.parameter.community", "driver.parameter.privPassword"),
        *("agent.address", "agent.last_command"),
    ],
)
async def test_diagnostics_keep_private_points_to_themselves(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry, hass_client: ClientSessionGenerator, key: str
) -> None:
    bridge.points[UPS_ID] |= {key: reading("PRIVATE"), "ups.contacts": reading("F0")}
    await hass.config_entries.async_setup(entry.entry_id)
    shown = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert "PRIVATE" not in json.dumps(shown)
    ups = next(device for device in shown["devices"] if device["id"] == UPS_ID)
    assert ups["points"][key] == REDACTED
    assert ups["points"]["ups.contacts"]["value"] == "F0"


async def test_diagnostics_of_a_device_show_it_alone(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    ups = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, UPS_ID), loaded.entry_id)
    assert ups is not None
    shown = await get_diagnostics_for_device(hass, hass_client, loaded, ups)
    assert [device["id"] for device in shown["devices"]] == [UPS_ID]
    assert "SERIAL-1" not in json.dumps(shown)


async def test_system_health_counts(hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry) -> None:
    assert await async_setup_component(hass, "system_health", {})
    await hass.async_block_till_done()
    assert await get_system_health_info(hass, DOMAIN) == {"bridges": 1, "connected": 1, "devices": 3}
