"""Agents, plans and the bridge's own jobs: as devices, and what can be asked of them."""

from typing import Any

from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
import probatio
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough.actions import ACTIONS
from custom_components.ridethrough.catalogue import load_catalogue
from custom_components.ridethrough.wire import Role

from .automations import registry_id
from .bridge_peer import BRIDGE_ID, OUTLET_ID, UPS_ID, BridgePeer, Message, device, reading, state
from .conftest import DOMAIN, entry_for, shows, state_of, until
from .test_actions import act
from .test_commands import commands
from .test_triggers import settled

WEB, FILES, PLAN, STAGE = "agent-web", "agent-files", "plan-room", "stage-storage"
AGENT_COMMANDS = ["agent.message", "agent.execute", "agent.shutdown", "agent.wakeup", "agent.drill", "agent.start"]
PLAN_COMMANDS = [f"plan.{verb}" for verb in ("arm", "disarm", "run", "abort", "restart", "drill", "answer")]
_JOBS = "run log mail mail_trap datagram wake_on_lan sms syslog webhook message"
JOBS = [f"job.{job}" for job in _JOBS.split()]


def agent(key: str, name: str, **more: Any) -> Message:
    return device(key, "agent", name, BRIDGE_ID, model="Linux 6.12", firmware="0.1.0", commands=AGENT_COMMANDS, **more)


@pytest.fixture
async def site(hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry) -> MockConfigEntry:
    """Set up a bridge with two agents and a plan of one stage."""
    bridge.devices[BRIDGE_ID]["commands"] = JOBS
    bridge.devices |= {
        WEB: agent(WEB, "Web server"),
        FILES: agent(FILES, "File server"),
        PLAN: device(PLAN, "plan", "Server room plan", BRIDGE_ID, commands=PLAN_COMMANDS),
        STAGE: device(STAGE, "plan_stage", "Storage", PLAN, key="room/storage"),
    }
    for key in (WEB, FILES):
        names = ("agent_connected", "agent_lost", "agent_unpaired", "agent_shutting_down", "agent_refused")
        bridge.conditions[key] = {name: state(name == "agent_connected") for name in names}
        bridge.points[key] = {
            "agent.state": reading("up"),
            "agent.last_seen": reading("2026-11-21T08:00:00+00:00"),
            "agent.version": reading("0.1.0"),
        }
    bridge.conditions[PLAN] = {
        name: state(name == "plan_armed")
        for name in ("plan_armed", "plan_redundant", "plan_running", "plan_failed", "plan_too_long", "plan_drilling")
    }
    bridge.points[PLAN] = {"plan.state": reading("idle"), "plan.margin": reading(1200), "plan.problem": reading("")}
    bridge.conditions[STAGE] = {"stage_failed": state(False)}
    bridge.points[STAGE] = {"stage.state": reading("waiting")}
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return entry


# As devices


async def test_agents_and_plans_are_devices_and_stages_are_parts_of_their_plan(
    hass: HomeAssistant, site: MockConfigEntry
) -> None:
    registry = dr.async_get(hass)
    itself, web, plan = (
        registry.async_get_device_by_identifier((DOMAIN, key), site.entry_id) for key in (BRIDGE_ID, WEB, PLAN)
    )
    stage = registry.async_get_child_device_by_identifier((DOMAIN, STAGE), site.entry_id)
    assert itself is not None
    assert web is not None
    assert plan is not None
    assert stage is not None
    assert web.via_device_id == plan.via_device_id == itself.id
    assert stage.parent_device_id == plan.id
    assert (web.manufacturer, web.model, web.sw_version) == ("Ridethrough", "Linux 6.12", "0.1.0")
    assert (plan.manufacturer, plan.model) == ("Ridethrough", "Shutdown plan")


@pytest.mark.parametrize(
    ("entity_id", "shown", "category"),
    [
        ("binary_sensor.web_server_connection", "on", EntityCategory.DIAGNOSTIC),
        ("binary_sensor.web_server_agent_lost", "off", None),
        ("sensor.web_server_state", "up", None),
        ("sensor.web_server_last_seen", "2026-11-21T08:00:00+00:00", EntityCategory.DIAGNOSTIC),
        ("switch.server_room_plan_armed", "on", EntityCategory.CONFIG),
        ("binary_sensor.server_room_plan_supply_redundant", "off", EntityCategory.DIAGNOSTIC),
        ("sensor.server_room_plan_state", "idle", None),
        ("sensor.server_room_plan_storage_state", "waiting", None),
        ("button.server_room_plan_drill", "unknown", EntityCategory.CONFIG),
        ("button.server_room_plan_abort", "unknown", EntityCategory.CONFIG),
        ("button.web_server_start", "unknown", EntityCategory.CONFIG),
        ("event.web_server_events", "unknown", None),
    ],
)
async def test_what_matters_is_shown(
    hass: HomeAssistant, site: MockConfigEntry, entity_id: str, shown: str, category: EntityCategory | None
) -> None:
    assert state_of(hass, entity_id) == shown
    found = er.async_get(hass).async_get(entity_id)
    assert found is not None
    assert found.entity_category is category


@pytest.mark.parametrize("key", ["agent.shutdown", "agent.wakeup", "agent.drill", "plan.run", "plan.restart"])
async def test_what_shuts_something_down_or_starts_it_is_no_button_at_first(
    hass: HomeAssistant, site: MockConfigEntry, key: str
) -> None:
    owner = WEB if key.startswith("agent") else PLAN
    registry = er.async_get(hass)
    found = registry.async_get_entity_id("button", DOMAIN, f"{owner}-{key}")
    assert found is not None
    described = registry.async_get(found)
    assert described is not None
    assert described.disabled_by is er.RegistryEntryDisabler.INTEGRATION
    # What needs a text is an action, and no button at all; nor is what a switch does.
    for other in ("agent.message", "agent.execute", "plan.answer", "plan.arm", "plan.disarm"):
        assert registry.async_get_entity_id("button", DOMAIN, f"{owner}-{other}") is None


async def test_plan_is_disarmed_by_its_switch(hass: HomeAssistant, bridge: BridgePeer, site: MockConfigEntry) -> None:
    await hass.services.async_call("switch", "turn_off", {"entity_id": "switch.server_room_plan_armed"}, blocking=True)
    assert commands(bridge) == [(PLAN, "plan.disarm", {})]


# What can be asked of them


@pytest.mark.parametrize(
    ("action", "target", "data", "command", "arguments"),
    [
        ("send_message", WEB, {"text": "Hello"}, "agent.message", {"text": "Hello"}),
        ("send_message", BRIDGE_ID, {"text": "Hello"}, "job.message", {"text": "Hello"}),
        ("run_program", WEB, {"program": "backup-stop"}, "agent.execute", {"program": "backup-stop"}),
        ("shutdown_agent", WEB, {}, "agent.shutdown", {}),
        ("shutdown_agent", WEB, {"delay": 60, "reason": "Heat"}, "agent.shutdown", {"delay": 60, "reason": "Heat"}),
        ("withdraw_shutdown", WEB, {}, "agent.wakeup", {}),
        ("drill_agent", WEB, {}, "agent.drill", {}),
        ("start_agent", WEB, {}, "agent.start", {}),
        ("plan_arm", PLAN, {}, "plan.arm", {}),
        ("plan_disarm", PLAN, {}, "plan.disarm", {}),
        ("plan_run", PLAN, {}, "plan.run", {}),
        ("plan_abort", PLAN, {}, "plan.abort", {}),
        ("plan_restart", PLAN, {}, "plan.restart", {}),
        ("plan_drill", PLAN, {}, "plan.drill", {}),
        ("plan_answer", PLAN, {"script": "media"}, "plan.answer", {"script": "media"}),
        ("run_job", BRIDGE_ID, {"job": "notify"}, "job.run", {"job": "notify"}),
        ("log_entry", BRIDGE_ID, {"text": "Filter"}, "job.log", {"text": "Filter"}),
        ("send_mail", BRIDGE_ID, {"subject": "Room"}, "job.mail", {"subject": "Room"}),
        (
            "send_mail",
            BRIDGE_ID,
            {"subject": "Room", "text": "Hot", "to": ["a@example.org", "b@example.org"]},
            "job.mail",
            {"subject": "Room", "text": "Hot", "to": "a@example.org, b@example.org"},
        ),
        (
            "wake_on_lan",
            BRIDGE_ID,
            {"mac": "00-11-22-33-44-55", "address": "192.0.2.255", "port": 7},
            "job.wake_on_lan",
            {"mac": "00-11-22-33-44-55", "address": "192.0.2.255", "port": 7},
        ),
        ("send_sms", BRIDGE_ID, {"to": "+491", "text": "Out"}, "job.sms", {"to": "+491", "text": "Out"}),
        ("send_syslog", BRIDGE_ID, {"text": "Out"}, "job.syslog", {"text": "Out"}),
        ("send_mail_trap", BRIDGE_ID, {"to": ["a@example.org"]}, "job.mail_trap", {"to": "a@example.org"}),
        ("send_datagram", BRIDGE_ID, {"restored": True}, "job.datagram", {"restored": 1}),
        ("call_webhook", BRIDGE_ID, {"name": "pager"}, "job.webhook", {"name": "pager"}),
    ],
)
async def test_action_becomes_the_command_that_is_meant(
    hass: HomeAssistant,
    bridge: BridgePeer,
    site: MockConfigEntry,
    action: str,
    target: str,
    data: dict[str, Any],
    command: str,
    arguments: dict[str, Any],
) -> None:
    await act(hass, action, device_id=registry_id(hass, site, target), **data)
    assert commands(bridge) == [(target, command, arguments)]


def test_every_command_of_agents_plans_and_the_bridge_has_an_action() -> None:
    catalogue = load_catalogue()
    everything = {"text", "program", "script", "job", "to", "subject", "mac", "name", "number", "state", "mode", "type"}
    everything.add("restored")
    data: dict[str, Any] = dict.fromkeys(everything, "1") | {"number": 1, "restart": True, "mode": "quick"}
    asked = {command: arguments for action in ACTIONS for command, arguments in action.asked(data)}
    for kind, known in (("agent", AGENT_COMMANDS), ("plan", PLAN_COMMANDS), ("bridge", JOBS)):
        for command in known:
            row = catalogue.command(kind, command)
            assert row is not None
            assert row.role.may(Role.ENGINEER)
            needed = {argument.name for argument in row.arguments if argument.default is None}
            assert needed <= set(asked[command]), command


async def test_several_targets_are_asked_each_once(
    hass: HomeAssistant, bridge: BridgePeer, site: MockConfigEntry
) -> None:
    area = ar.async_get(hass).async_create("Cellar")
    for key in (WEB, FILES, PLAN, UPS_ID):
        dr.async_get(hass).async_update_device(registry_id(hass, site, key), area_id=area.id)
    await act(hass, "shutdown_agent", area_id=area.id, device_id=registry_id(hass, site, WEB), delay=5)
    assert sorted(commands(bridge)) == [(key, "agent.shutdown", {"delay": 5}) for key in (FILES, WEB)]


async def test_bridge_that_tells_its_agents_leaves_none_to_be_told_again(
    hass: HomeAssistant, bridge: BridgePeer, site: MockConfigEntry
) -> None:
    everybody = [registry_id(hass, site, key) for key in (BRIDGE_ID, WEB, FILES)]
    await act(hass, "send_message", device_id=everybody, text="Hello")
    assert commands(bridge) == [(BRIDGE_ID, "job.message", {"text": "Hello"})]


async def test_only_bridge_need_not_be_named(hass: HomeAssistant, bridge: BridgePeer, site: MockConfigEntry) -> None:
    await act(hass, "log_entry", text="Filter")
    assert commands(bridge) == [(BRIDGE_ID, "job.log", {"text": "Filter"})]


async def test_of_two_bridges_one_must_be_named(
    hass: HomeAssistant, bridge: BridgePeer, site: MockConfigEntry, socket_enabled: None
) -> None:
    other = BridgePeer(id="0b1d6e0e-0000-4000-8000-0000000000ff", name="Cellar")
    await other.start()
    try:
        known = entry_for(other)
        second = MockConfigEntry(domain=DOMAIN, title=other.name, unique_id=other.id, data=dict(known.data))
        second.add_to_hass(hass)
        assert await hass.config_entries.async_setup(second.entry_id)
        with pytest.raises(ServiceValidationError) as error:
            await act(hass, "log_entry", text="Filter")
        assert error.value.translation_key == "which_bridge"
        await act(hass, "log_entry", text="Filter", device_id=registry_id(hass, site, BRIDGE_ID))
        assert len(commands(bridge)) == 1
        assert commands(other) == []
    finally:
        await hass.config_entries.async_unload(second.entry_id)
        await other.stop()


async def test_without_a_bridge_nothing_can_be_asked(hass: HomeAssistant, site: MockConfigEntry) -> None:
    await hass.config_entries.async_unload(site.entry_id)
    with pytest.raises(ServiceValidationError) as error:
        await act(hass, "log_entry", text="Filter")
    assert error.value.translation_key == "no_target"


@pytest.mark.parametrize(
    ("action", "key", "data"),
    [
        ("shutdown_agent", PLAN, {}),
        ("plan_drill", STAGE, {}),
        ("send_message", OUTLET_ID, {"text": "Hello"}),
        ("log_entry", WEB, {"text": "Filter"}),
    ],
)
async def test_target_of_another_kind_is_told_so(
    hass: HomeAssistant, bridge: BridgePeer, site: MockConfigEntry, action: str, key: str, data: dict[str, Any]
) -> None:
    with pytest.raises(ServiceValidationError) as error:
        await act(hass, action, device_id=registry_id(hass, site, key), **data)
    assert error.value.translation_key == "no_target"
    assert commands(bridge) == []


@pytest.mark.parametrize(
    ("action", "data"),
    [
        ("send_message", {}),
        ("shutdown_agent", {"delay": "soon"}),
        ("shutdown_agent", {"force": True}),
        ("send_mail", {"text": "Hot"}),
        ("wake_on_lan", {"mac": "00-11-22-33-44-55", "port": 70000}),
    ],
)
async def test_wrong_fields_are_refused_at_once(
    hass: HomeAssistant, bridge: BridgePeer, site: MockConfigEntry, action: str, data: dict[str, Any]
) -> None:
    with pytest.raises(probatio.Invalid):
        await act(hass, action, device_id=registry_id(hass, site, WEB), **data)
    assert commands(bridge) == []


@pytest.mark.parametrize(("code", "kind"), [("bad_argument", ServiceValidationError), ("refused", HomeAssistantError)])
async def test_what_the_bridge_refuses_is_told_in_its_words(
    hass: HomeAssistant, bridge: BridgePeer, site: MockConfigEntry, code: str, kind: type[HomeAssistantError]
) -> None:
    bridge.answer = lambda _: {"ok": False, "error": {"code": code, "message": "backup-stop is not on its list."}}
    with pytest.raises(HomeAssistantError) as error:
        await act(hass, "run_program", device_id=registry_id(hass, site, WEB), program="backup-stop")
    assert type(error.value) is kind
    assert "backup-stop is not on its list." in str(error.value)


async def test_lost_agent_is_shown_as_lost_and_its_values_are_not(
    hass: HomeAssistant, bridge: BridgePeer, site: MockConfigEntry
) -> None:
    await bridge.change(
        conditions={WEB: {"agent_connected": state(False), "agent_lost": state(True)}},
        points={WEB: {"agent.version": reading("0.1.0", "lost"), "agent.state": reading("lost")}},
    )
    await until(hass, shows(hass, "binary_sensor.web_server_agent_lost", "on"))
    await until(hass, shows(hass, "sensor.web_server_state", "lost"))
    assert state_of(hass, "binary_sensor.web_server_connection") == "off"


# What a person should put right


def issue(hass: HomeAssistant, site: MockConfigEntry, key: str, device_id: str) -> ir.IssueEntry | None:
    return ir.async_get(hass).async_get_issue(DOMAIN, f"{key}_{site.entry_id}_{device_id}")


@pytest.mark.parametrize(("key", "owner"), [("agent_unpaired", WEB), ("plan_too_long", PLAN)])
@pytest.mark.parametrize("end", ["put right", "device gone", "entry gone"])
async def test_what_would_go_wrong_in_an_outage_is_a_repair_until_it_is_put_right(
    hass: HomeAssistant, bridge: BridgePeer, site: MockConfigEntry, key: str, owner: str, end: str
) -> None:
    assert issue(hass, site, key, owner) is None
    await bridge.change(
        conditions={owner: {key: state(True)}}, points={PLAN: {"plan.problem": reading("Storage begins too late.")}}
    )
    await settled(hass, bridge)
    found = issue(hass, site, key, owner)
    assert found is not None
    assert found.translation_placeholders == {
        "entry": "Server room",
        "name": bridge.devices[owner]["name"],
        "key": bridge.devices[owner]["key"],
        "message": "Storage begins too late." if owner == PLAN else "",
    }
    # What is not known any more is no news.
    await bridge.change(conditions={owner: {key: state(False, "stale")}})
    await settled(hass, bridge)
    assert issue(hass, site, key, owner) is not None
    match end:
        case "put right":
            await bridge.change(conditions={owner: {key: state(False)}})
        case "device gone":
            await bridge.change(devices={STAGE: None, owner: None})
        case _:
            await hass.config_entries.async_remove(site.entry_id)
    if end != "entry gone":
        await settled(hass, bridge)
    assert issue(hass, site, key, owner) is None
