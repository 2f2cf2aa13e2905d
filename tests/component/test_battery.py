"""A battery system in Home Assistant: few entities for many blocks, and the feed of the status card."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

from homeassistant.auth.models import Group
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser, async_fire_time_changed
from pytest_homeassistant_custom_component.typing import (
    ClientSessionGenerator,
    MockHAClientWebSocket,
    WebSocketGenerator,
)

from custom_components.ridethrough import status_screen
from custom_components.ridethrough.card import CARD, SCREENS, URL

from .battery_site import SYSTEM_ID, add_battery, module_id, string_id
from .bridge_peer import BridgePeer, reading, state
from .conftest import DOMAIN, shows, state_of, until
from .test_actions import act, registered
from .test_commands import commands

type Subscribe = Callable[[], Awaitable[dict[str, Any]]]


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait a second for the next message."""
    monkeypatch.setattr(status_screen, "PACE", 0.05)


@pytest.fixture
async def battery(hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry) -> MockConfigEntry:
    """Set up a bridge with two strings of three blocks, where there is a WebSocket API."""
    assert await async_setup_component(hass, "websocket_api", {})
    add_battery(bridge, 2, 3)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return entry


@pytest.fixture
async def client(
    hass: HomeAssistant, battery: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> MockHAClientWebSocket:
    """Connect as a dashboard does."""
    return await hass_ws_client(hass)


async def look(hass: HomeAssistant, entry: MockConfigEntry, client: MockHAClientWebSocket) -> dict[str, Any]:
    """Subscribe to the battery system and return the snapshot."""
    device_id = registered(hass, entry, SYSTEM_ID)
    await client.send_json_auto_id({"type": "ridethrough/battery/subscribe", "device_id": device_id})
    assert (await client.receive_json())["success"]
    return await told(client)


async def told(client: MockHAClientWebSocket) -> dict[str, Any]:
    """Return what is told next."""
    message = await client.receive_json()
    assert message["type"] == "event"
    event: dict[str, Any] = message["event"]
    return event


async def test_snapshot_has_all_that_the_status_screen_shows(
    hass: HomeAssistant, bridge: BridgePeer, battery: MockConfigEntry, client: MockHAClientWebSocket
) -> None:
    shown = await look(hass, battery, client)
    assert (shown["type"], shown["online"]) == ("snapshot", True)
    assert [string["number"] for string in shown["strings"]] == [1, 2]
    assert [module["number"] for module in shown["modules"]] == [1, 2, 3, 4, 5, 6]
    block = shown["modules"][4]
    assert {key: block[key] for key in ("string", "position", "voltage", "impedance", "charge", "duty", "temperature")} == {
        "string": 2, "position": 2, "voltage": 13.5, "impedance": 4.61, "charge": 99.0, "duty": 12.0, "temperature": 24.1,
    }  # fmt: skip
    assert (block["state"], block["conditions"], block["stale"], block["note"]) == ("normal", {}, [], None)
    assert block["device"] == registered(hass, battery, module_id(5))
    string = shown["strings"][0]
    assert (string["name"], string["voltage"], string["target"]) == ("String 1", 40.5, 13.55)
    # M:7017 what nobody measures is not there, and no 0.
    assert string["power"] is None
    system = shown["system"]
    assert (system["name"], system["phase"], system["discharges"], system["ripple"]) == (
        "Battery",
        "floating",
        14,
        0.021,
    )
    assert system["limits"] == {
        "module.voltage.low.critical": 11.9,
        "module.voltage.high.critical": 14.8,
        "equalizing.voltage.minimum": 13.2,
    }


async def test_only_what_changed_is_told(
    hass: HomeAssistant, bridge: BridgePeer, battery: MockConfigEntry, client: MockHAClientWebSocket
) -> None:
    await look(hass, battery, client)
    await bridge.change(
        points={
            module_id(4): {"module.voltage": reading(13.612)},
            string_id(1): {"string.current": reading(-12.5)},
            SYSTEM_ID: {"battery.charger.status": reading("discharging")},
        }
    )
    assert await told(client) == {
        "type": "change",
        "modules": [{"number": 4, "voltage": 13.612}],
        "strings": [{"number": 1, "current": -12.5}],
        "system": {"phase": "discharging"},
    }
    # Less than anyone would see is no change; the next thing told is the one after.
    await bridge.change(points={module_id(4): {"module.voltage": reading(13.61201)}})
    await bridge.change(points={module_id(5): {"module.note": reading("Case: bulging")}})
    assert await told(client) == {"type": "change", "modules": [{"number": 5, "note": "Case: bulging"}]}


async def test_stale_lost_and_unknown_blocks_are_told_as_such(
    hass: HomeAssistant, bridge: BridgePeer, battery: MockConfigEntry, client: MockHAClientWebSocket
) -> None:
    await look(hass, battery, client)
    await bridge.change(points={module_id(1): {"module.voltage": reading(13.5, "stale")}})
    assert await told(client) == {"type": "change", "modules": [{"number": 1, "stale": ["voltage"]}]}
    gone = {key: reading(2, "lost") for key in ("module.voltage", "module.temperature", "module.position")}
    await bridge.change(
        points={module_id(2): gone | {"module.state": reading("lost")}},
        conditions={module_id(2): {"module.lost": state(True)}},
    )
    (row,) = (await told(client))["modules"]
    assert row == {
        "number": 2,
        "voltage": None,
        "temperature": None,
        "state": "lost",
        "conditions": {"module.lost": "alarm"},
    }
    await bridge.change(
        points={module_id(3): {"module.state": reading("normal", "stale"), "module.charge": reading(5, "unsupported")}}
    )
    (row,) = (await told(client))["modules"]
    assert row == {"number": 3, "state": None, "charge": None}


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"module.voltage_high_warning": state(True)}, "warning"),
        ({"module.voltage_high_warning": state(True), "module.voltage_high": state(True)}, "alarm"),
        ({"module.lost": state(True)}, "lost"),
        ({"module.voltage_high": state(True, "stale")}, None),
    ],
    ids=["warning", "alarm", "lost", "stale"],
)
async def test_state_follows_from_the_conditions_where_the_bridge_tells_none(
    hass: HomeAssistant, bridge: BridgePeer, battery: MockConfigEntry, client: MockHAClientWebSocket,
    conditions: dict[str, Any], expected: str | None,
) -> None:  # fmt: skip
    del bridge.points[module_id(1)]["module.state"]
    await hass.config_entries.async_reload(battery.entry_id)
    assert (await look(hass, battery, client))["modules"][0]["state"] is None
    # Something must change for the last of them too.
    await bridge.change(points={module_id(1): {"module.charge": reading(50)}}, conditions={module_id(1): conditions})
    assert (await told(client))["modules"][0].get("state") == expected


async def test_new_blocks_and_those_taken_out_make_a_new_snapshot(
    hass: HomeAssistant, bridge: BridgePeer, battery: MockConfigEntry, client: MockHAClientWebSocket
) -> None:
    await look(hass, battery, client)
    await bridge.change(devices={module_id(6): None})
    assert len((await told(client))["modules"]) == 5
    await bridge.change(devices={string_id(1): bridge.devices[string_id(1)] | {"name": "Left"}})
    assert await told(client) == {"type": "change", "strings": [{"number": 1, "name": "Left"}]}


async def test_connection_that_is_lost_and_entry_that_is_unloaded_are_told(
    hass: HomeAssistant, bridge: BridgePeer, battery: MockConfigEntry, client: MockHAClientWebSocket
) -> None:
    await look(hass, battery, client)
    await bridge.stop()
    assert not (await told(client))["online"]
    await bridge.start()
    assert (await told(client))["online"]
    await hass.config_entries.async_unload(battery.entry_id)
    while (message := await told(client))["type"] != "ended":
        assert message["type"] == "snapshot"
    assert hass.data[SCREENS] == {}
    await client.send_json_auto_id({"type": "ridethrough/battery/subscribe", "device_id": "x"})
    assert (await client.receive_json())["error"]["code"] == "not_found"
    await client.send_json_auto_id({"type": "ridethrough/battery/list"})
    assert (await client.receive_json())["result"] == {"systems": []}


async def test_nobody_looking_costs_nothing(
    hass: HomeAssistant, bridge: BridgePeer, battery: MockConfigEntry, client: MockHAClientWebSocket
) -> None:
    mirror = battery.runtime_data.mirror
    await look(hass, battery, client)
    await look(hass, battery, client)
    assert len(hass.data[SCREENS]) == len(mirror._changes) == 1
    for number in (1, 2):
        await client.send_json_auto_id({"type": "unsubscribe_events", "subscription": number})
        assert (await client.receive_json())["success"]
    assert len(hass.data[SCREENS]) == len(mirror._changes) == 0


async def test_late_comer_and_first_are_told_the_same(
    hass: HomeAssistant, bridge: BridgePeer, battery: MockConfigEntry, client: MockHAClientWebSocket,
    hass_ws_client: WebSocketGenerator, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(status_screen, "PACE", 600)
    await look(hass, battery, client)
    await bridge.change(points={module_id(1): {"module.voltage": reading(12.5), "module.state": reading("alarm")}})
    await until(hass, shows(hass, "sensor.battery_block_1_state", "alarm"))
    other = await hass_ws_client(hass)
    assert (await look(hass, battery, other))["modules"][0]["voltage"] == 12.5
    # What the first had waited for came with it.
    assert (await told(client))["modules"] == [{"number": 1, "voltage": 12.5, "state": "alarm"}]


async def test_too_many_dashboards_are_refused(
    hass: HomeAssistant, battery: MockConfigEntry, client: MockHAClientWebSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_screen, "SUBSCRIBERS", 1)
    await look(hass, battery, client)
    device_id = registered(hass, battery, SYSTEM_ID)
    await client.send_json_auto_id({"type": "ridethrough/battery/subscribe", "device_id": device_id})
    assert (await client.receive_json())["error"]["code"] == "too_many"


async def test_only_battery_systems_are_subscribed_to_and_listed(
    hass: HomeAssistant, battery: MockConfigEntry, client: MockHAClientWebSocket
) -> None:
    for other in (registered(hass, battery), registered(hass, battery, module_id(1))):
        await client.send_json_auto_id({"type": "ridethrough/battery/subscribe", "device_id": other})
        assert (await client.receive_json())["error"]["code"] == "not_found"
    device_id = registered(hass, battery, SYSTEM_ID)
    dr.async_get(hass).async_update_device(device_id, name_by_user="Cellar")
    await client.send_json_auto_id({"type": "ridethrough/battery/list"})
    assert (await client.receive_json())["result"] == {"systems": [{"device_id": device_id, "name": "Cellar"}]}


async def test_battery_system_is_found_by_its_name_if_only_one_is_called_so(
    hass: HomeAssistant, battery: MockConfigEntry, client: MockHAClientWebSocket
) -> None:
    dr.async_get(hass).async_update_device(registered(hass, battery, SYSTEM_ID), name_by_user="Cellar")

    async def subscribe(**wanted: str) -> str | None:
        await client.send_json_auto_id({"type": "ridethrough/battery/subscribe"} | wanted)
        answer = await client.receive_json()
        if answer["success"]:
            assert (await told(client))["type"] == "snapshot"
            return None
        code: str = answer["error"]["code"]
        return code

    assert await subscribe(device="Cellar") is None
    assert await subscribe(device="Attic") == "not_found"
    assert await subscribe() == "not_found"
    assert await subscribe(device="Cellar", device_id="x") == "invalid_format"


@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        ({"entities": {"all": {"read": True}}}, True),
        ({"entities": {"domains": {"sensor": True, "binary_sensor": True, "button": True, "event": True}}}, True),
        ({"entities": {"domains": {"sensor": True}}}, False),
        ({}, False),
    ],
    ids=["reader", "its-domains", "some-domains", "nothing"],
)
async def test_user_sees_it_who_may_read_all_its_entities(
    hass: HomeAssistant, battery: MockConfigEntry, client: MockHAClientWebSocket, hass_admin_user: MockUser,
    policy: dict[str, Any], allowed: bool,
) -> None:  # fmt: skip
    hass_admin_user.groups = [Group(name="Some", policy=policy)]
    await client.send_json_auto_id({"type": "ridethrough/battery/list"})
    assert bool((await client.receive_json())["result"]["systems"]) is allowed
    device_id = registered(hass, battery, SYSTEM_ID)
    await client.send_json_auto_id({"type": "ridethrough/battery/subscribe", "device_id": device_id})
    answer = await client.receive_json()
    assert answer["success"] is allowed
    if not allowed:
        assert answer["error"]["code"] == "unauthorized"


# The card's file


async def test_card_is_served_and_loaded_where_there_is_a_frontend(
    hass: HomeAssistant, hass_client: ClientSessionGenerator
) -> None:
    added: list[str] = []
    assert await async_setup_component(hass, "http", {})
    hass.config.components.add("frontend")
    with pytest.MonkeyPatch.context() as patch:
        # The frontend itself is a package of its own, which an installation need not have.
        patch.setattr("homeassistant.components.frontend.add_extra_js_url", lambda _, url: added.append(url))
        assert await async_setup_component(hass, DOMAIN, {})
    assert added == [f"{URL}?v={sha256(CARD.read_bytes()).hexdigest()[:12]}"]
    response = await (await hass_client()).get(added[0])
    assert await response.read() == CARD.read_bytes()
    assert "javascript" in response.headers["Content-Type"]
    assert "max-age" in response.headers["Cache-Control"]


async def test_without_a_frontend_all_else_works(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    assert "frontend" not in hass.config.components
    assert state_of(hass, "sensor.rack_ups_battery_charge") == "97.6"


# Entities


async def test_entities_of_a_block_are_few(hass: HomeAssistant, battery: MockConfigEntry) -> None:
    found = er.async_entries_for_device(
        er.async_get(hass), registered(hass, battery, module_id(1)), include_disabled_entities=True
    )
    assert {entity.entity_id: entity.disabled for entity in found} == {
        "sensor.battery_block_1_voltage": False,
        "sensor.battery_block_1_temperature": False,
        "sensor.battery_block_1_impedance": False,
        "sensor.battery_block_1_state": False,
        "sensor.battery_block_1_charge": True,
        "sensor.battery_block_1_equalizing": True,
        "sensor.battery_block_1_impedance_when_new": True,
        "button.battery_block_1_find_blink": True,
    }


async def test_values_of_a_block_come_at_their_pace_but_their_loss_at_once(
    hass: HomeAssistant, bridge: BridgePeer, battery: MockConfigEntry
) -> None:
    voltage, mark = "sensor.battery_block_1_voltage", "sensor.battery_block_1_state"

    async def change(value: float, quality: str, mark_of_it: str) -> None:
        points = {"module.voltage": reading(value, quality), "module.state": reading(mark_of_it)}
        await bridge.change(points={module_id(1): points})
        await until(hass, shows(hass, mark, mark_of_it))

    await change(13.6, "good", "warning")
    assert state_of(hass, voltage) == "13.6"
    await change(13.7, "good", "alarm")
    assert state_of(hass, voltage) == "13.6"
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=11))
    await hass.async_block_till_done()
    assert state_of(hass, voltage) == "13.7"
    await change(13.8, "lost", "lost")
    assert state_of(hass, voltage) == "unavailable"
    await change(13.9, "good", "normal")
    assert state_of(hass, voltage) == "13.9"
    # A timer that is still running goes with the entity.
    await change(14.0, "good", "alarm")


# Actions


@pytest.mark.parametrize(
    ("action", "target", "data", "command", "arguments"),
    [
        ("find_block", module_id(5), {}, "module.find", {}),
        ("stop_blinking", module_id(5), {}, "module.release", {}),
        ("measure_impedance", module_id(5), {}, "impedance.measure", {}),
        ("measure_impedance", SYSTEM_ID, {}, "impedance.measure", {}),
        ("set_baseline", module_id(2), {}, "baseline.set", {}),
        ("clear_baseline", module_id(2), {}, "baseline.clear", {}),
        ("pause_equalizing", SYSTEM_ID, {"duration": 6}, "equalizing.pause", {"duration": 6}),
        ("resume_equalizing", SYSTEM_ID, {}, "equalizing.resume", {}),
        ("test_breaker", string_id(2), {}, "breaker.test", {}),
        ("release_breaker", SYSTEM_ID, {}, "breaker.reset", {}),
        (
            "note_block",
            module_id(3),
            {"column": 2, "text": "Bulging"},
            "inventory.note",
            {"column": 2, "text": "Bulging"},
        ),
    ],
)
async def test_action_of_a_battery_becomes_its_command_once(
    hass: HomeAssistant, bridge: BridgePeer, battery: MockConfigEntry, action: str, target: str, data: dict[str, Any],
    command: str, arguments: dict[str, Any],
) -> None:  # fmt: skip
    await act(hass, action, device_id=registered(hass, battery, target), **data)
    assert commands(bridge) == [(target, command, arguments)]


async def test_strings_and_blocks_that_are_named_are_asked_where_the_system_is_not(
    hass: HomeAssistant, bridge: BridgePeer, battery: MockConfigEntry
) -> None:
    blocks = [registered(hass, battery, module_id(number)) for number in (1, 2)]
    await act(hass, "measure_impedance", device_id=blocks)
    assert sorted(commands(bridge)) == [(module_id(number), "impedance.measure", {}) for number in (1, 2)]


async def test_note_is_for_one_block_and_overwrites_no_others(
    hass: HomeAssistant, bridge: BridgePeer, battery: MockConfigEntry
) -> None:
    with pytest.raises(ServiceValidationError) as error:
        await act(hass, "note_block", device_id=registered(hass, battery, SYSTEM_ID), column=1, text="Good")
    assert error.value.translation_key == "one_target"
    assert commands(bridge) == []
