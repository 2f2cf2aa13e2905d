"""Adding and changing devices from Home Assistant: every way through the forms, and what can go wrong."""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER, ConfigSubentry, SubentryFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers.entity_registry import async_get as entities_of
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough import client as client_module, device_flow

from .bridge_peer import BRIDGE_ID, UPS_ID, BridgePeer, device, in_file, reading
from .conftest import shows, until
from .test_subentries import asked, listed

SERIAL = {"serial_port": "/dev/serial/by-id/usb-one", "baud": "9600", "advanced": {"packs": 20}}
NAMED: dict[str, Any] = {"name": "Cellar UPS", "battery": {}}


@pytest.fixture
def bridge(bridge: BridgePeer) -> BridgePeer:
    """Let the bridge be configured from here."""
    bridge.features = ["configure"]
    bridge.configured = {"rack-ups": in_file("rack-ups", UPS_ID, settings={"power": 1500}, secrets=[])}
    return bridge


async def begin(hass: HomeAssistant, entry: MockConfigEntry, kind: str = "ups") -> SubentryFlowResult:
    return await hass.config_entries.subentries.async_init((entry.entry_id, kind), context={"source": SOURCE_USER})


async def change(hass: HomeAssistant, entry: MockConfigEntry) -> SubentryFlowResult:
    return await hass.config_entries.subentries.async_init(
        (entry.entry_id, "ups"),
        context={"source": SOURCE_RECONFIGURE, "subentry_id": only(entry).subentry_id},
    )


async def answer(hass: HomeAssistant, flow: SubentryFlowResult, data: Mapping[str, Any]) -> SubentryFlowResult:
    """Answer a form, and wait out the test if one follows."""
    flows = hass.config_entries.subentries
    result = await flows.async_configure(flow["flow_id"], dict(data))
    while result["type"] is FlowResultType.SHOW_PROGRESS:
        await hass.async_block_till_done()
        result = await flows.async_configure(flow["flow_id"])
    return result


async def choose(hass: HomeAssistant, flow: SubentryFlowResult, step: str) -> SubentryFlowResult:
    assert flow["type"] is FlowResultType.MENU
    assert step in flow["menu_options"]
    return await answer(hass, flow, {"next_step_id": step})


def only(entry: MockConfigEntry) -> ConfigSubentry:
    found: list[ConfigSubentry] = [item for item in entry.subentries.values() if item.unique_id == UPS_ID]
    return found[0]


def step(flow: SubentryFlowResult) -> tuple[str | None, dict[str, str] | None]:
    return flow.get("step_id"), flow.get("errors")


def stopped(flow: SubentryFlowResult) -> str | None:
    assert flow["type"] is FlowResultType.ABORT
    return flow["reason"]


def suggested(flow: SubentryFlowResult) -> dict[str, Any]:
    schema = flow["data_schema"]
    assert schema is not None
    return {
        str(marker): (marker.description or {}).get("suggested_value")
        for marker in schema.schema
        if isinstance(marker.description, dict)
    }


async def to_settings(hass: HomeAssistant, entry: MockConfigEntry) -> SubentryFlowResult:
    flow = await answer(hass, await begin(hass, entry), {"protocol": "megatec"})
    return await choose(hass, await answer(hass, flow, SERIAL), "settings")


# A new device


async def test_ups_on_a_serial_port_is_tried_and_added(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    runtime = loaded.runtime_data
    flow = await begin(hass, loaded)
    assert step(flow) == ("user", None)
    flow = await answer(hass, flow, {"protocol": "megatec"})
    assert step(flow) == ("serial", {})
    assert suggested(flow)["baud"] == "2400"
    assert flow["description_placeholders"] is not None
    assert flow["description_placeholders"]["option_packs"] == "What packs is."
    assert flow["description_placeholders"]["options"] == "colour: What colour is."
    flow = await answer(hass, flow, SERIAL)
    assert flow["step_id"] == "found"
    assert flow["description_placeholders"] == {
        "manufacturer": "Acme", "model": "Model 3", "serial": "SERIAL-2", "firmware": "–", "count": "2",
        "values": "- Mode: line\n- Battery charge: 97.5 %",
    }  # fmt: skip
    flow = await choose(hass, flow, "settings")
    assert step(flow) == ("settings", {})
    assert suggested(flow)["name"] == "Acme Model 3"
    done = await answer(
        hass,
        flow,
        {"name": "Cellar UPS", "power": 3000, "allow": ["test"], "battery": {"battery_installed": "2025-03-01"}},
    )
    assert done["type"] is FlowResultType.CREATE_ENTRY
    (tested,), (put,) = asked(bridge, "test"), asked(bridge, "put")
    link = "megatec:/dev/serial/by-id/usb-one?baud=9600&packs=20"
    assert tested["device"]["link"] == link
    assert put["revision"] == "file-1"
    assert put["device"].items() >= {"id": "cellar-ups", "kind": "ups", "name": "Cellar UPS", "link": link}.items()
    assert put["device"]["settings"] == {"power": 3000, "battery_installed": "2025-03-01"}
    assert put["device"]["allow"] == ["test"]
    uuid = bridge.configured["cellar-ups"]["device"]
    (new,) = [item for item in loaded.subentries.values() if item.unique_id == uuid]
    assert (new.title, dict(new.data)) == ("Cellar UPS", {"key": "cellar-ups", "kind": "ups", "link": link})
    # The comparison that follows finds nothing to do, and nothing was reloaded.
    await bridge.until(listed(bridge, 3))
    await hass.async_block_till_done()
    assert new.subentry_id in loaded.subentries
    assert len(loaded.subentries) == 2
    assert loaded.runtime_data is runtime
    assert bridge.attempts == 1


async def test_entities_that_are_there_before_the_form_is_answered_belong_to_the_new_subentry(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    async def appear(uuid: str) -> None:
        await bridge.change(
            devices={uuid: device(uuid, "ups", "Cellar UPS", BRIDGE_ID)}, points={uuid: {"ups.load": reading(7)}}
        )

    bridge.after_put = appear
    flow = await to_settings(hass, loaded)
    done = await answer(hass, flow, NAMED)
    assert done["type"] is FlowResultType.CREATE_ENTRY
    await until(hass, shows(hass, "sensor.cellar_ups_load", "7"))
    (new,) = [item for item in loaded.subentries.values() if item.title == "Cellar UPS"]
    entity = entities_of(hass).async_get("sensor.cellar_ups_load")
    assert entity is not None
    assert entity.config_subentry_id == new.subentry_id


async def test_ups_on_a_host_is_added_with_its_secrets_and_they_are_not_kept_here(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    flow = await answer(hass, await begin(hass, loaded), {"protocol": "nut"})
    assert step(flow) == ("host", {})
    assert suggested(flow)["port"] == 3493
    where = {"host": " nas ", "port": 3493, "path": "ups1", "username": "monitor", "password": "geheim"}
    flow = await answer(hass, flow, where | {"advanced": {"tls": "no"}})
    flow = await choose(hass, flow, "settings")
    await answer(hass, flow, NAMED | {"id": "nas"})
    assert asked(bridge, "test")[0]["device"]["secrets"] == {"username": "monitor", "password": "geheim"}
    for action in ("test", "put"):
        (said,) = asked(bridge, action)
        assert said["device"]["link"] == "nut://nas/ups1?tls=no"
    assert bridge.configured["nas"]["secrets"] == ["password", "username"]
    assert "geheim" not in repr([dict(item.data) for item in loaded.subentries.values()])


async def test_way_to_the_device_is_asked_where_there_are_two(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    for way, where, link in (
        ("serial", {"serial_port": "/dev/ttyUSB0"}, "modbus:/dev/ttyUSB0?profile=cs141"),
        ("host", {"host": "192.0.2.7"}, "modbus://192.0.2.7?profile=cs141"),
    ):
        flow = await answer(hass, await begin(hass, loaded), {"protocol": "modbus"})
        assert flow["step_id"] == "connection"
        flow = await answer(hass, await choose(hass, flow, way), where | {"profile": "cs141"})
        assert flow["step_id"] == "found"
        assert asked(bridge, "test")[-1]["device"]["link"] == link


async def test_transfer_switch_is_added(hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry) -> None:
    flow = await answer(hass, await begin(hass, loaded, "transfer_switch"), {"protocol": "nut"})
    flow = await answer(hass, flow, {"host": "sts", "path": "sts", "advanced": {}})
    flow = await choose(hass, flow, "settings")
    done = await answer(hass, flow, {"name": "Switch", "allow": ["transfer"]})
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert bridge.configured["switch"]["kind"] == "transfer_switch"


# The test


async def test_device_that_does_not_answer_can_be_tried_again_changed_or_saved(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    bridge.obstacles["test"] = {"code": "unreachable", "message": "Nothing answers at 9600 baud."}
    flow = await answer(hass, await begin(hass, loaded), {"protocol": "megatec"})
    flow = await answer(hass, flow, SERIAL)
    assert flow["step_id"] == "not_found"
    assert flow["description_placeholders"] is not None
    assert flow["description_placeholders"]["message"] == "Nothing answers at 9600 baud."
    flow = await choose(hass, flow, "test")
    assert flow["step_id"] == "not_found"
    flow = await choose(hass, flow, "connection")
    assert step(flow) == ("serial", {})
    assert suggested(flow) | {"advanced": None} == {
        "serial_port": SERIAL["serial_port"], "baud": "9600", "advanced": None
    }  # fmt: skip
    flow = await answer(hass, flow, SERIAL)
    flow = await choose(hass, flow, "settings")
    assert suggested(flow)["name"] == "Megatec on a serial line"
    assert (await answer(hass, flow, NAMED))["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("field", "shown"), [("link", "serial_port"), ("option.packs", "advanced"), ("option.baud", "baud")]
)
async def test_what_the_bridge_finds_invalid_is_shown_at_its_field(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, field: str, shown: str
) -> None:
    bridge.obstacles["test"] = {"code": "invalid", "message": "That is not possible.", "field": field}
    flow = await answer(hass, await begin(hass, loaded), {"protocol": "megatec"})
    flow = await answer(hass, flow, SERIAL)
    assert step(flow) == ("serial", {shown: "invalid"})
    assert flow["description_placeholders"] is not None
    assert flow["description_placeholders"]["message"] == "That is not possible."
    bridge.obstacles.clear()
    assert (await answer(hass, flow, SERIAL))["step_id"] == "found"


async def test_test_that_ends_at_once_shows_no_progress(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    flow = await answer(hass, await begin(hass, loaded), {"protocol": "megatec"})
    # Not by `answer`: the frontend hears nothing of a progress that ends before it has subscribed.
    assert step(await hass.config_entries.subentries.async_configure(flow["flow_id"], SERIAL))[0] == "found"


async def test_progress_lasts_until_the_frontend_has_subscribed_to_its_end(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "TEST_TIMEOUT", 0.05)
    monkeypatch.setattr(device_flow, "AT_ONCE", 0.0)
    monkeypatch.setattr(device_flow, "SUBSCRIBED", 0.3)
    bridge.obstacles["test"] = None
    flow = await answer(hass, await begin(hass, loaded), {"protocol": "megatec"})
    begun = hass.loop.time()
    flow = await hass.config_entries.subentries.async_configure(flow["flow_id"], SERIAL)
    assert flow.get("progress_action")
    while flow["type"] is FlowResultType.SHOW_PROGRESS:
        await hass.async_block_till_done()
        flow = await hass.config_entries.subentries.async_configure(flow["flow_id"])
    assert flow["step_id"] == "not_found"
    assert hass.loop.time() - begun >= 0.3


async def test_test_without_an_answer_is_told(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "TEST_TIMEOUT", 0.05)
    bridge.obstacles["test"] = None
    flow = await answer(hass, await begin(hass, loaded), {"protocol": "megatec"})
    assert (await answer(hass, flow, SERIAL))["step_id"] == "not_found"


async def test_malformed_finding_is_told(hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry) -> None:
    bridge.lawful = False
    bridge.found = {"identity": "somebody"}
    flow = await answer(hass, await begin(hass, loaded), {"protocol": "megatec"})
    assert (await answer(hass, flow, SERIAL))["step_id"] == "not_found"


@pytest.mark.parametrize("code", ["forbidden", "not_granted", "not_writable"])
async def test_test_that_is_not_allowed_ends_it(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, code: str
) -> None:
    bridge.obstacles["test"] = {"code": code, "message": "No."}
    flow = await answer(hass, await begin(hass, loaded), {"protocol": "megatec"})
    assert stopped(await answer(hass, flow, SERIAL)) == code


# Saving


async def test_conflict_is_told_and_the_second_attempt_is_made_on_what_there_is_now(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    flow = await to_settings(hass, loaded)
    bridge.writing += 1
    flow = await answer(hass, flow, NAMED | {"power": 700})
    assert step(flow) == ("settings", {"base": "conflict"})
    assert suggested(flow) == {"name": "Cellar UPS", "power": 700, "allow": []}
    assert (await answer(hass, flow, NAMED))["type"] is FlowResultType.CREATE_ENTRY
    assert [said["revision"] for said in asked(bridge, "put")] == ["file-1", "file-2"]


async def test_conflict_after_which_the_list_fails_stays_a_conflict(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    flow = await to_settings(hass, loaded)
    bridge.writing += 1
    bridge.obstacles["list"] = {"code": "busy", "message": "Later."}
    for _ in range(2):
        flow = await answer(hass, flow, NAMED)
        assert step(flow) == ("settings", {"base": "conflict"})


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ({"code": "busy", "message": "Later."}, {"base": "busy"}),
        ({"code": "moonshine", "message": "?"}, {"base": "refused"}),
        ({"code": "invalid", "message": "It is taken.", "field": "id"}, {"id": "invalid"}),
        ({"code": "invalid", "message": "Too much.", "field": "power"}, {"power": "invalid"}),
        ({"code": "invalid", "message": "Too old.", "field": "battery_installed"}, {"battery": "invalid"}),
        ({"code": "invalid", "message": "Somehow."}, {"base": "invalid"}),
    ],
)
async def test_error_in_saving_is_told_and_can_be_put_right(
    hass: HomeAssistant,
    bridge: BridgePeer,
    loaded: MockConfigEntry,
    error: dict[str, str],
    shown: dict[str, str],
) -> None:
    bridge.lawful = error["code"] != "moonshine"
    flow = await to_settings(hass, loaded)
    bridge.obstacles["put"] = error
    flow = await answer(hass, flow, NAMED)
    assert step(flow) == ("settings", shown)
    bridge.obstacles.clear()
    assert (await answer(hass, flow, NAMED))["type"] is FlowResultType.CREATE_ENTRY


async def test_id_of_another_device_is_not_taken_over(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    flow = await to_settings(hass, loaded)
    flow = await answer(hass, flow, NAMED | {"id": "rack-ups"})
    assert step(flow) == ("settings", {"id": "taken"})
    assert asked(bridge, "put") == []
    # Left empty, the id is made of the name, and free.
    assert (await answer(hass, flow, {"name": "Rack UPS", "battery": {}}))["type"] is FlowResultType.CREATE_ENTRY
    assert set(bridge.configured) == {"rack-ups", "rack-ups-2"}


async def test_link_that_is_only_found_wrong_in_saving_leads_back_to_the_connection(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    flow = await to_settings(hass, loaded)
    bridge.obstacles["put"] = {"code": "invalid", "message": "That port is in use.", "field": "link"}
    flow = await answer(hass, flow, NAMED | {"power": 700})
    assert step(flow) == ("serial", {"serial_port": "invalid"})
    bridge.obstacles.clear()
    flow = await choose(hass, await answer(hass, flow, SERIAL), "settings")
    assert suggested(flow)["name"] == "Cellar UPS"
    assert suggested(flow)["power"] == 700


@pytest.mark.parametrize("code", ["forbidden", "not_granted", "not_writable"])
async def test_saving_that_is_not_allowed_ends_it(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, code: str
) -> None:
    flow = await to_settings(hass, loaded)
    bridge.obstacles["put"] = {"code": code, "message": "No."}
    assert stopped(await answer(hass, flow, NAMED)) == code


async def test_bridge_that_goes_meanwhile_is_told_and_nothing_entered_is_lost(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    flow = await to_settings(hass, loaded)
    await bridge.stop()
    await until(hass, shows(hass, "sensor.rack_ups_battery_charge", "unavailable"))
    flow = await answer(hass, flow, NAMED)
    assert step(flow) == ("settings", {"base": "offline"})
    await bridge.start()
    await until(hass, shows(hass, "sensor.rack_ups_battery_charge", "97.6"))
    assert (await answer(hass, flow, NAMED))["type"] is FlowResultType.CREATE_ENTRY


# Why it does not begin


async def test_bridge_that_is_not_connected_cannot_be_configured(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.stop()
    await until(hass, shows(hass, "sensor.rack_ups_battery_charge", "unavailable"))
    assert stopped(await begin(hass, loaded)) == "offline"
    await hass.config_entries.async_unload(loaded.entry_id)
    assert stopped(await begin(hass, loaded)) == "offline"


async def test_bridge_without_the_feature_cannot_be_configured(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry
) -> None:
    bridge.features = []
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert stopped(await begin(hass, entry)) == "not_supported"


@pytest.mark.parametrize("role", ["guest", "customer", "engineer"])
async def test_token_that_is_not_an_admins_cannot_configure(
    hass: HomeAssistant, bridge: BridgePeer, entry: MockConfigEntry, role: str
) -> None:
    bridge.tokens["good-token"] = role
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert stopped(await begin(hass, entry)) == "forbidden"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({"code": "not_granted", "message": "No."}, "not_granted"),
        ({"code": "busy", "message": "Later."}, "refused"),
    ],
)
async def test_bridge_that_does_not_let_itself_be_configured_says_why(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry, error: dict[str, str], reason: str
) -> None:
    bridge.obstacles["schemes"] = error
    flow = await begin(hass, loaded)
    assert stopped(flow) == reason
    assert flow["description_placeholders"] == {"message": error["message"]}


async def test_file_that_cannot_be_written_is_told_before_anything_is_asked(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    bridge.schemes |= {"writable": False, "reason": "The file belongs to root."}
    flow = await begin(hass, loaded)
    assert stopped(flow) == "not_writable"
    assert flow["description_placeholders"] == {"message": "The file belongs to root."}


async def test_malformed_possibilities_are_told(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    bridge.lawful = False
    bridge.schemes = {"schemes": "many"}
    assert stopped(await begin(hass, loaded)) == "refused"


# Changing what there is


async def test_name_and_ratings_are_changed_and_the_rest_stays(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    before = only(loaded).subentry_id
    flow = await choose(hass, await change(hass, loaded), "settings")
    assert suggested(flow)["power"] == 1500
    done = await answer(hass, flow, {"name": "Big UPS", "enabled": True, "allow": ["test", "beeper"], "battery": {}})
    assert stopped(done) == "reconfigure_successful"
    (put,) = asked(bridge, "put")
    wanted = in_file("rack-ups", UPS_ID, name="Big UPS", settings={"power": None}, allow=["test", "beeper"])
    assert put["device"] == {key: value for key, value in wanted.items() if key != "secrets"}
    assert (only(loaded).title, only(loaded).subentry_id) == ("Big UPS", before)
    assert bridge.attempts == 1


async def test_connection_is_changed_and_a_secret_left_empty_is_kept(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    bridge.configured["rack-ups"] |= {"link": "nut://nas/ups1", "secrets": ["password", "username"]}
    flow = await choose(hass, await change(hass, loaded), "connection")
    assert step(flow) == ("host", {})
    assert "password" not in suggested(flow)
    flow = await answer(hass, flow, {"host": "nas2", "port": 3493, "path": "ups1", "advanced": {}})
    flow = await choose(hass, flow, "settings")
    assert stopped(await answer(hass, flow, {"name": "Rack UPS", "battery": {}})) == "reconfigure_successful"
    (put,) = asked(bridge, "put")
    assert put["device"]["link"] == "nut://nas2/ups1"
    assert bridge.configured["rack-ups"]["secrets"] == ["password", "username"]
    assert only(loaded).data["link"] == "nut://nas2/ups1"


async def test_protocol_is_changed_and_the_secrets_of_the_old_one_are_forgotten(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    bridge.configured["rack-ups"]["secrets"] = ["community", "password"]
    flow = await choose(hass, await change(hass, loaded), "protocol")
    assert step(flow) == ("protocol", None)
    assert suggested(flow) == {"protocol": "megatec"}
    flow = await answer(hass, flow, {"protocol": "nut"})
    assert step(flow) == ("host", {})
    flow = await answer(hass, flow, {"host": "nas", "password": "new", "advanced": {}})
    (tested,) = asked(bridge, "test")
    assert tested["device"]["link"] == "nut://nas"
    assert tested["device"]["secrets"] == {"community": None, "password": "new"}


async def test_protocol_that_the_bridge_no_longer_speaks_is_replaced(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    bridge.configured["rack-ups"]["link"] = "telex:/dev/ttyS9"
    assert step(await change(hass, loaded)) == ("protocol", None)


async def test_device_that_the_bridge_lost_cannot_be_changed(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    bridge.configured.clear()
    assert stopped(await change(hass, loaded)) == "unknown_device"


async def test_change_of_a_device_of_an_absent_bridge_is_told(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.stop()
    await until(hass, shows(hass, "sensor.rack_ups_battery_charge", "unavailable"))
    assert stopped(await change(hass, loaded)) == "offline"
