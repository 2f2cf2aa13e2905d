"""The conditions, in a real automation engine: what is not known for certain is not so."""

from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import parse_yaml
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .automations import notes, registry_id
from .bridge_peer import BRIDGE_ID, OUTLET_ID, UPS_ID, BridgePeer, Message, device, reading, state
from .conftest import until
from .test_triggers import settled

SECOND, PLAN, STAGE = "second", "plan-1", "stage-1"


@pytest.fixture
async def site(hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry) -> MockConfigEntry:
    """Set up a bridge with two UPSes and a plan of one stage."""
    bridge.devices |= {
        SECOND: device(SECOND, "ups", "Second UPS", BRIDGE_ID),
        PLAN: device(PLAN, "plan", "Room", BRIDGE_ID),
        STAGE: device(STAGE, "plan_stage", "Storage", PLAN, key="room/storage"),
    }
    bridge.conditions |= {
        SECOND: {"on_battery": state(False)},
        PLAN: {"plan_armed": state(True), "plan_redundant": state(True)},
    }
    bridge.points |= {STAGE: {"stage.state": reading("waiting")}, SECOND: {"battery.charge": reading(100)}}
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return entry


async def met(hass: HomeAssistant, condition: str, target: dict[str, Any], options: str = "{}") -> bool:
    """Ask a condition as an automation asks it when it is run."""
    done = notes(hass)
    text = f"""
    automation:
      - alias: one
        triggers: [{{trigger: event, event_type: ask}}]
        conditions:
          - condition: ridethrough.{condition}
            target: {target}
            options: {options}
        actions: [{{action: test.note}}]
    """
    assert await async_setup_component(hass, "automation", parse_yaml(text))  # type: ignore[arg-type]  # an object
    found = hass.states.get("automation.one")
    assert found is not None
    assert found.state == "on"
    hass.bus.async_fire("ask")
    await hass.async_block_till_done()
    return bool(done)


async def now(hass: HomeAssistant, bridge: BridgePeer, **states: dict[str, Message]) -> None:
    """Let conditions of devices be so, and wait until that has arrived."""
    names = {"ups": UPS_ID, "second": SECOND, "plan": PLAN}
    await bridge.change(conditions={names[name]: values for name, values in states.items()})
    await settled(hass, bridge)


BOTH = (UPS_ID, SECOND)


@pytest.mark.parametrize(
    ("ups", "second", "options", "so"),
    [
        (state(False), state(False), "{}", False),
        (state(True), state(False), "{}", True),
        (state(True), state(False), "{behavior: all}", False),
        (state(True), state(True), "{behavior: all}", True),
        (state(True, "stale"), state(False), "{}", False),
        (state(True), state(True, "lost"), "{behavior: all}", False),
    ],
)
async def test_on_battery(
    hass: HomeAssistant,
    bridge: BridgePeer,
    site: MockConfigEntry,
    ups: Message,
    second: Message,
    options: str,
    so: bool,
) -> None:
    await now(hass, bridge, ups={"on_battery": ups}, second={"on_battery": second})
    assert await met(hass, "on_battery", {"device_id": [registry_id(hass, site, key) for key in BOTH]}, options) is so


@pytest.mark.parametrize(
    ("devices", "states", "options", "so"),
    [
        (BOTH, {}, "{at_least: 2}", True),
        (BOTH, {"ups": {"on_battery": state(True)}}, "{at_least: 2}", False),
        (BOTH, {"ups": {"on_battery": state(True)}}, "{}", True),
        (BOTH, {"ups": {"on_battery": state(False, "stale")}}, "{at_least: 2}", False),
        ((UPS_ID,), {"ups": {"on_battery": state(False, "lost")}}, "{}", False),
        ((PLAN,), {}, "{at_least: 5}", True),
        ((PLAN,), {"plan": {"plan_redundant": state(False)}}, "{}", False),
        ((PLAN,), {"plan": {"plan_redundant": state(True, "stale")}}, "{}", False),
        ((PLAN, *BOTH), {"ups": {"on_battery": state(True)}}, "{at_least: 2}", False),
        ((OUTLET_ID,), {}, "{}", False),
    ],
)
async def test_is_redundant(
    hass: HomeAssistant,
    bridge: BridgePeer,
    site: MockConfigEntry,
    devices: tuple[str, ...],
    states: dict[str, dict[str, Message]],
    options: str,
    so: bool,
) -> None:
    await now(hass, bridge, **states)
    target = {"device_id": [registry_id(hass, site, key) for key in devices]}
    assert await met(hass, "is_redundant", target, options) is so


@pytest.mark.parametrize(
    ("points", "conditions", "so"),
    [
        ({}, {}, True),
        ({"battery.charge": reading(90, "stale")}, {}, False),
        ({"battery.charge": reading(90, "lost")}, {}, False),
        ({"ups.temperature": reading(None, "unsupported")}, {}, True),
        ({}, {"battery_low": state(False, "stale")}, False),
        ({"link.state": reading("lost")}, {}, False),
        ({"link.state": reading("connected", "stale")}, {}, False),
    ],
)
async def test_data_is_fresh(
    hass: HomeAssistant,
    bridge: BridgePeer,
    site: MockConfigEntry,
    points: dict[str, Message],
    conditions: dict[str, Message],
    so: bool,
) -> None:
    await bridge.change(points={UPS_ID: points}, conditions={UPS_ID: conditions})
    await now(hass, bridge)
    target = {"device_id": [registry_id(hass, site, key) for key in (BRIDGE_ID, *BOTH)]}
    assert await met(hass, "data_is_fresh", target) is so


async def test_of_what_nothing_has_been_read_nothing_is_fresh(
    hass: HomeAssistant, bridge: BridgePeer, site: MockConfigEntry
) -> None:
    await bridge.change(devices={"third": device("third", "ups", "Third UPS", BRIDGE_ID)})
    await now(hass, bridge)
    assert not await met(hass, "data_is_fresh", {"device_id": registry_id(hass, site, "third")})


@pytest.mark.parametrize(("armed", "so"), [(state(True), True), (state(False), False), (state(True, "stale"), False)])
async def test_plan_is_armed(
    hass: HomeAssistant, bridge: BridgePeer, site: MockConfigEntry, armed: Message, so: bool
) -> None:
    await now(hass, bridge, plan={"plan_armed": armed})
    target = {"device_id": registry_id(hass, site, PLAN)}
    assert await met(hass, "plan_armed", target) is so


@pytest.mark.parametrize("condition", ["on_battery", "is_redundant", "data_is_fresh", "plan_armed"])
@pytest.mark.parametrize("away", ["offline", "unloaded", "no target"])
async def test_nothing_is_so_without_the_bridge(
    hass: HomeAssistant, bridge: BridgePeer, site: MockConfigEntry, condition: str, away: str
) -> None:
    await now(hass, bridge, ups={"on_battery": state(True)})
    target: dict[str, Any] = {"device_id": [registry_id(hass, site, key) for key in (UPS_ID, SECOND, PLAN)]}
    match away:
        case "offline":
            await bridge.stop()
            await until(hass, lambda: not site.runtime_data.online)
        case "unloaded":
            await hass.config_entries.async_unload(site.entry_id)
        case _:
            target = {"label_id": "nothing"}
    assert not await met(hass, condition, target)


@pytest.mark.parametrize(
    ("condition", "options"),
    [("on_battery", "{behavior: most}"), ("is_redundant", "{at_least: 0}"), ("levitating", "{}")],
)
async def test_wrong_options_are_refused(
    hass: HomeAssistant, site: MockConfigEntry, condition: str, options: str
) -> None:
    with pytest.raises(AssertionError):
        await met(hass, condition, {"device_id": registry_id(hass, site, UPS_ID)}, options)
