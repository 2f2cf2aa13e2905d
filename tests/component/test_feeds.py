"""The bridge's feeds in Home Assistant: what they count, where they serve, and their switch."""

import json
from pathlib import Path
from typing import Any

from homeassistant.const import ATTR_ENTITY_ID, SERVICE_TURN_OFF, SERVICE_TURN_ON, STATE_UNAVAILABLE, EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .bridge_peer import BRIDGE_ID, BridgePeer, device, reading, state
from .conftest import DOMAIN, shows, state_of, until
from .test_commands import commands

FEED_ID = "0b1d6e0e-0000-4000-8000-0000000000f1"
GRANTED = ["feed.start", "feed.stop", "feed.test"]
TRANSLATIONS = Path(__file__).parents[2] / "custom_components" / "ridethrough" / "translations"


async def serve(hass: HomeAssistant, bridge: BridgePeer, *commands: str) -> None:
    """Let the bridge have an SNMP feed that serves."""
    await bridge.change(
        devices={FEED_ID: device(FEED_ID, "feed", "SNMP", BRIDGE_ID, commands=list(commands))},
        points={
            FEED_ID: {
                "feed.requests": reading(120),
                "feed.errors": reading(3),
                "feed.clients": reading(2),
                "feed.address": reading("0.0.0.0:161"),
                "feed.problem": reading(""),
            }
        },
        conditions={
            FEED_ID: {"feed_enabled": state(True), "feed_serving": state(True), "feed_failed": state(False)},
        },
    )
    await until(hass, shows(hass, "sensor.snmp_requests", "120"))


async def call(hass: HomeAssistant, domain: str, service: str, entity: str) -> None:
    """Call an action of an entity."""
    await hass.services.async_call(domain, service, {ATTR_ENTITY_ID: entity}, blocking=True)


async def test_a_feed_is_a_device_of_the_bridge_with_what_it_counts(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await serve(hass, bridge, *GRANTED)
    devices = dr.async_get(hass)
    whole = devices.async_get_device_by_identifier((DOMAIN, BRIDGE_ID), loaded.entry_id)
    feed = devices.async_get_device_by_identifier((DOMAIN, FEED_ID), loaded.entry_id)
    assert whole is not None
    assert feed is not None
    assert (feed.name, feed.manufacturer, feed.model, feed.via_device_id) == ("SNMP", "Ridethrough", "Feed", whole.id)
    for entity, value in (("requests", "120"), ("errors", "3"), ("clients", "2"), ("address", "0.0.0.0:161")):
        assert state_of(hass, f"sensor.snmp_{entity}") == value
    assert state_of(hass, "binary_sensor.snmp_serving") == "on"
    assert state_of(hass, "binary_sensor.snmp_fault") == "off"
    requests = hass.states.get("sensor.snmp_requests")
    assert requests is not None
    assert requests.attributes["state_class"] == "total_increasing"
    registered = er.async_entries_for_device(er.async_get(hass), feed.id, include_disabled_entities=True)
    categories = {entity.entity_id: entity.entity_category for entity in registered}
    assert categories.pop("switch.snmp") is EntityCategory.CONFIG
    assert categories.pop("button.snmp_send_a_test") is EntityCategory.CONFIG
    categories = {name: category for name, category in categories.items() if not name.startswith("event.")}
    assert set(categories.values()) == {EntityCategory.DIAGNOSTIC}
    assert not [name for name in categories if name.startswith("button.")], "the switch gives start and stop"


async def test_counters_follow(hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry) -> None:
    await serve(hass, bridge)
    await bridge.change(points={FEED_ID: {"feed.requests": reading(121), "feed.clients": reading(0)}})
    await until(hass, shows(hass, "sensor.snmp_requests", "121"))
    assert state_of(hass, "sensor.snmp_clients") == "0"


async def test_the_switch_starts_and_stops_the_feed(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await serve(hass, bridge, *GRANTED)
    await until(hass, shows(hass, "switch.snmp", "on"))
    await call(hass, "switch", SERVICE_TURN_OFF, "switch.snmp")
    assert commands(bridge)[-1] == (FEED_ID, "feed.stop", {})
    # It shows how things stand, not what was asked for.
    assert state_of(hass, "switch.snmp") == "on"
    await bridge.change(
        points={FEED_ID: {"feed.address": reading("")}},
        conditions={FEED_ID: {"feed_enabled": state(False), "feed_serving": state(False)}},
    )
    await until(hass, shows(hass, "switch.snmp", "off"))
    assert state_of(hass, "sensor.snmp_address") == ""
    await call(hass, "switch", SERVICE_TURN_ON, "switch.snmp")
    assert commands(bridge)[-1] == (FEED_ID, "feed.start", {})


async def test_a_test_can_be_sent(hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry) -> None:
    await serve(hass, bridge, *GRANTED)
    await until(hass, lambda: state_of(hass, "button.snmp_send_a_test") is not None)
    await call(hass, "button", "press", "button.snmp_send_a_test")
    assert commands(bridge)[-1] == (FEED_ID, "feed.test", {})


async def test_without_a_grant_there_is_no_switch(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await serve(hass, bridge)
    assert not [item.entity_id for item in hass.states.async_all(("switch", "button")) if "snmp" in item.entity_id]
    # What a switch would show is there as it is.
    entities = er.async_get(hass)
    enabled = entities.async_get_entity_id("binary_sensor", DOMAIN, f"{FEED_ID}-feed_enabled")
    assert enabled is not None


async def test_a_grant_that_is_withdrawn_makes_the_switch_unavailable(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await serve(hass, bridge, *GRANTED)
    await until(hass, shows(hass, "switch.snmp", "on"))
    await bridge.change(devices={FEED_ID: device(FEED_ID, "feed", "SNMP", BRIDGE_ID)})
    await until(hass, shows(hass, "switch.snmp", STATE_UNAVAILABLE))


async def test_a_feed_that_cannot_serve_shows_it(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await serve(hass, bridge)
    await bridge.change(
        points={FEED_ID: {"feed.problem": reading("Port 161 is taken.")}},
        conditions={FEED_ID: {"feed_serving": state(False), "feed_failed": state(True)}},
    )
    await until(hass, shows(hass, "binary_sensor.snmp_fault", "on"))
    assert state_of(hass, "binary_sensor.snmp_serving") == "off"


async def test_what_the_bridge_refuses_is_told(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await serve(hass, bridge, *GRANTED)
    await until(hass, shows(hass, "switch.snmp", "on"))
    offline = {"ok": False, "error": {"code": "offline", "message": "SNMP does not serve at the moment."}}
    bridge.answer = lambda _: offline
    with pytest.raises(HomeAssistantError) as told:
        await call(hass, "button", "press", "button.snmp_send_a_test")
    assert told.value.translation_key == "command_offline"


async def test_a_feed_that_is_gone_takes_its_entities_along(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await serve(hass, bridge, *GRANTED)
    await bridge.change(devices={FEED_ID: None})
    await until(hass, lambda: state_of(hass, "sensor.snmp_requests") is None)
    assert dr.async_get(hass).async_get_device_by_identifier((DOMAIN, FEED_ID), loaded.entry_id) is None


@pytest.mark.parametrize("language", ["en", "de"])
def test_everything_about_feeds_has_its_name(language: str) -> None:
    entity: dict[str, Any] = json.loads((TRANSLATIONS / f"{language}.json").read_text())["entity"]
    for key in ("feed_requests", "feed_errors", "feed_clients", "feed_address", "feed_problem"):
        assert entity["sensor"][key]["name"]
    for key in ("feed_enabled", "feed_serving", "feed_failed"):
        assert entity["binary_sensor"][key]["name"]
    assert entity["switch"]["feed"]["name"]
    assert entity["button"]["feed_test"]["name"] == {"en": "Send a test", "de": "Test senden"}[language]
