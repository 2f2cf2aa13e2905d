"""Adding, changing, removing and testing links through the API of a running bridge."""

import asyncio
import json
import os
import re
import stat
from typing import Any

import pytest

from ridethrough.assembly import trial
from ridethrough.catalogue import Role
from ridethrough.config import load
from ridethrough.links import LINKS, check_link
from ridethrough.links.base import Identity
from ridethrough.links.megatec import MegatecLink
from ridethrough.links.probe import ProbeResult, ProbeRow
from tests.bridge.links.nut.standin import StandIn
from tests.bridge.links.peers import SerialPeer, status

from .conftest import QUICK, House, Person

type Lines = tuple[SerialPeer, SerialPeer]


def megatec(peer: SerialPeer) -> str:
    return f"megatec:{peer.path}{QUICK}"


# Looking


async def test_everything_that_links_can_be_told_is_offered(bridge: House) -> None:
    async with bridge.person(Role.ENGINEER) as engineer:
        assert "configure" in engineer.ready["features"]
        data = await engineer.data("schemes")
    offered = [row["scheme"] for row in data["schemes"]]
    assert offered == [name for name in LINKS if name not in {"module_bus", "bacs", "bacs+snmp"}], "not for a UPS"
    row = next(row for row in data["schemes"] if row["scheme"] == "megatec")
    assert (row["reach"], row["example"], row["secrets"]) == ("serial", "megatec:/dev/ttyUSB0", [])
    option = next(option for option in row["options"] if option["name"] == "patience")
    assert option | {"summary": ""} == {
        "name": "patience", "summary": "", "kind": "number", "default": "1", "choices": [], "minimum": 0.05,
        "maximum": 10, "unit": "s",
    }  # fmt: skip
    assert {"test", "beeper", "shutdown", "load", "outlet"} <= set(data["groups"]["ups"])
    assert "feed" not in data["groups"]["ups"]
    assert data["groups"]["transfer_switch"] == ["transfer"]
    assert data["writable"] is True and data["reason"] is None


async def test_the_list_shows_what_is_set_and_never_a_secret(house: House) -> None:
    house.secrets.write_text("nut: hunter2\n")
    house.write(
        "  - {id: b, link: 'nut://127.0.0.1/b', enabled: no, username: me, password: !secret nut, power: 3 kVA,"
        " hold_time: 600 s, battery_installed: 2024-05-01, allow: [test, beeper]}\n"
        "transfer_switches:\n  - {id: s, link: 'nut://127.0.0.1/s', enabled: no}\n"
    )
    async with house.running(), house.person(Role.ENGINEER) as engineer:
        data = await engineer.data("list")
    first, second = data["devices"]
    assert len(first.pop("device")) == 36
    assert first == {
        "id": "b", "kind": "ups", "name": "b", "link": "nut://127.0.0.1/b", "enabled": False,
        "settings": {"power": 3000, "hold_time": 10, "battery_installed": "2024-05-01"},
        "allow": ["beeper", "test"], "secrets": ["username", "password"],
    }  # fmt: skip
    assert (second["kind"], second["settings"]) == ("transfer_switch", {})
    assert "hunter2" not in json.dumps(data)


# Who may


async def test_only_an_admin_may_change_and_only_an_engineer_may_look(bridge: House) -> None:
    async with bridge.person(Role.CUSTOMER) as customer:
        for action in ("schemes", "list", "test", "put", "remove"):
            assert (await customer.refusal(action))[0] == "forbidden"
    async with bridge.person(Role.ENGINEER) as engineer:
        for action in ("test", "put", "remove"):
            assert (await engineer.refusal(action))[0] == "forbidden"


async def test_a_secret_in_a_link_is_for_admins_only(admin: Person, bridge: House) -> None:
    link = "snmp://127.0.0.1:1?poll=60&community=geheim"
    await admin.put(id="card", link=link)
    async with bridge.person(Role.ENGINEER) as engineer:
        shown = {row["id"]: row["link"] for row in (await engineer.data("list"))["devices"]}
    assert shown["card"] == "snmp://127.0.0.1:1?poll=60"
    # Who changes the link must have the whole of it.
    assert {row["id"]: row["link"] for row in (await admin.data("list"))["devices"]}["card"] == link


async def test_a_secret_in_a_link_does_not_get_into_the_journal(admin: Person) -> None:
    await admin.put(id="card", link="snmp://127.0.0.1:1?poll=60&community=geheim")
    while not admin.told or admin.told[-1]["key"] != "device_added":
        await admin.receive()
    assert admin.told[-1]["details"]["link"] == "snmp://127.0.0.1:1?poll=60"
    assert "geheim" not in str(admin.told)


async def test_nothing_is_changed_until_the_file_grants_it(house: House, lines: Lines) -> None:
    text = house.file.read_text().replace("configure: yes", "configure: no")
    house.file.write_text(text)
    async with house.running(), house.person() as admin:
        data = await admin.data("schemes")
        assert data["writable"] is False and "configure: yes" in data["reason"]
        revision = (await admin.data("list"))["revision"]
        device = {"id": "b", "link": megatec(lines[1])}
        for action, arguments in (
            ("test", {"device": device}),
            ("put", {"device": device, "revision": revision}),
            ("remove", {"id": "a", "revision": revision}),
        ):
            code, _, message = await admin.refusal(action, **arguments)
            assert code == "not_granted" and "configure: yes" in message
    assert house.file.read_text() == text


# Changing


async def test_a_device_is_added_written_down_and_read_at_once(admin: Person, bridge: House, lines: Lines) -> None:
    before = bridge.file.read_text()
    said = await admin.put(id="b", name="UPS B", link=megatec(lines[1]), settings={"power": 3000}, allow=["beeper"])
    await admin.until_value("b", "input.voltage", lambda value: value == 226.0)
    assert admin.key("b") == said["device"]
    assert "beeper.toggle" in admin.devices[said["device"]]["commands"]
    assert bridge.file.read_text() == before + (
        f"  - id: b\n    name: UPS B\n    link: {megatec(lines[1])}\n    power: 3000\n    allow: [beeper]\n"
    )
    assert (await admin.data("list"))["revision"] == said["revision"]
    assert [device.key for device in load(bridge.file, check_link).devices] == ["a", "b"]


async def test_a_device_that_is_changed_stays_who_it_is(admin: Person, bridge: House, lines: Lines) -> None:
    await admin.until_value("a", "input.voltage", lambda value: value == 226.0)
    was = admin.key("a")
    lines[1].answers[b"Q1\r"] = status(source="111.0")
    said = await admin.put(id="a", name="Moved", link=megatec(lines[1]), secrets=["password"], device="whatever")
    assert said["device"] == was
    await admin.until_value("a", "input.voltage", lambda value: value == 111.0)
    assert admin.key("a") == was
    assert admin.devices[was or ""]["name"] == "Moved"
    assert "  # the first\n  - id: a\n    name: Moved\n" in bridge.file.read_text()
    # The first line is free for another.
    await admin.put(id="b", link=megatec(lines[0]))
    await admin.until_value("b", "input.voltage", lambda value: value == 226.0)


async def test_an_outage_goes_on_while_its_ups_is_changed(admin: Person, lines: Lines) -> None:
    lines[0].answers[b"Q1\r"] = status("10001001", source="000.0")
    async with asyncio.timeout(20):
        while not admin.conditions.get(admin.key("a") or "", {}).get("on_battery", {}).get("active"):
            await admin.receive()
    identity = admin.key("a") or ""
    since = admin.conditions[identity]["on_battery"]["since"]
    await admin.put(id="a", settings={"power": 2000, "hold_time": 5})
    await admin.subscribe()
    assert admin.conditions[identity]["on_battery"]["active"]
    await admin.until_value("a", "battery.charge", lambda value: value is not None)
    assert admin.conditions[identity]["on_battery"] | {"quality": ""} == {"active": True, "quality": "", "since": since}
    await admin.until_value("a", "ups.mode", lambda value: value == "battery")
    edges = [event["edge"] for event in admin.told if event["key"] == "on_battery"]
    assert edges == ["raised"], "nothing was cleared or raised again meanwhile"


async def test_a_removed_device_ends_with_what_was_raised(admin: Person, bridge: House, lines: Lines) -> None:
    lines[0].answers[b"Q1\r"] = status("10001001", source="000.0")
    async with asyncio.timeout(20):
        while not admin.conditions.get(admin.key("a") or "", {}).get("on_battery", {}).get("active"):
            await admin.receive()
    said = await admin.data("remove", id="a", revision=(await admin.data("list"))["revision"])
    async with asyncio.timeout(20):
        while admin.told[-1]["key"] != "device_removed":
            await admin.receive()
    assert ("on_battery", "cleared") in [(event["key"], event["edge"]) for event in admin.told]
    assert admin.told[-1]["details"]["actor"] == "the admin"
    assert admin.told[-1]["details"]["device"] == "a"
    await admin.subscribe()
    assert admin.key("a") is None
    assert said["revision"] == (await admin.data("list"))["revision"]
    assert (await admin.data("list"))["devices"] == []
    lines[0].heard.clear()
    await asyncio.sleep(0.5)
    assert lines[0].heard == []


async def test_switching_off_and_on(admin: Person, lines: Lines) -> None:
    await admin.until_value("a", "input.voltage", lambda value: value == 226.0)
    await admin.put(id="a", enabled=False)
    await admin.until_value("a", "link.state", lambda value: value == "disabled")
    await admin.put(id="a", enabled=True)
    await admin.until_value("a", "input.voltage", lambda value: value == 226.0)


async def test_secrets_are_written_apart_and_privately(admin: Person, bridge: House) -> None:
    async with StandIn() as upsd:
        link = f"nut://127.0.0.1:{upsd.port}/ups1?poll=1"
        await admin.put(id="n", link=link, secrets={"username": "me", "password": "s3cret"})
        await upsd.until_heard("PASSWORD s3cret")
        assert stat.S_IMODE(bridge.secrets.stat().st_mode) == 0o600
        assert "s3cret" not in bridge.file.read_text()
        device = (await admin.data("list"))["devices"][1]
        assert device["secrets"] == ["username", "password"]
        # What list says may be sent back as it is.
        await admin.put(**device)
        await admin.put(id="n", secrets={"username": None, "password": None})
        assert (await admin.data("list"))["devices"][1]["secrets"] == []
        assert bridge.secrets.read_text() == ""


async def test_a_change_that_changes_nothing_leaves_the_link_alone(admin: Person, lines: Lines) -> None:
    await admin.until_value("a", "input.voltage", lambda value: value == 226.0)
    asked = lines[0].heard.count(b"I\r")
    (device,) = (await admin.data("list"))["devices"]
    await admin.put(**device)
    await lines[0].until_heard(b"Q1\r", lines[0].heard.count(b"Q1\r") + 3)
    assert lines[0].heard.count(b"I\r") == asked


# What is wrong is told


@pytest.mark.parametrize(
    ("device", "field", "words"),
    [
        ({"id": "b"}, "link", "needs a link"),
        ({"id": "B", "link": "nut://h/u"}, "id", "small letters"),
        ({"id": "b\n  - id: c", "link": "nut://h/u"}, "id", "small letters"),
        ({"id": "bridge", "link": "nut://h/u"}, "id", "own"),
        ({"id": "b", "link": "pigeon:/loft"}, "link", "no link called pigeon"),
        ({"id": "b", "link": "megatec:/dev/ttyS0?patience=99"}, "option.patience", "permitted"),
        ({"id": "b", "link": "megatec:/dev/ttyS0?colour=red"}, "option.colour", "no option colour"),
        ({"id": "b", "link": "nut://h/u", "name": "two\nlines"}, "name", "one line"),
        ({"id": "b", "link": "nut://h/u", "name": 5}, "name", "text"),
        ({"id": "b", "link": "nut://h/u", "name": "x" * 1001}, "name", "1000"),
        ({"id": "b", "link": "nut://h/u", "enabled": 1}, "enabled", "true or false"),
        ({"id": "b", "link": "nut://h/u", "settings": {"power": "5 apples"}}, "power", "unit"),
        ({"id": "b", "link": "nut://h/u", "settings": {"power": True}}, "power", "number"),
        ({"id": "b", "link": "nut://h/u", "settings": {"power": 10, "load": 20}}, "load", "exceed"),
        ({"id": "b", "link": "nut://h/u", "settings": {"colour": "red"}}, "settings", "colour"),
        ({"id": "b", "link": "nut://h/u", "settings": []}, "settings", "object"),
        ({"id": "b", "link": "nut://h/u", "kind": "transfer_switch", "settings": {"load": 1}}, "load", "unknown"),
        ({"id": "b", "link": "nut://h/u", "kind": "toaster"}, "kind", "transfer_switch"),
        ({"id": "a", "kind": "transfer_switch"}, "kind", "remove it first"),
        ({"id": "b", "link": "nut://h/u", "allow": ["everything"]}, "allow", "everything"),
        ({"id": "b", "link": "nut://h/u", "allow": "test"}, "allow", "list"),
        ({"id": "b", "link": "nut://h/u", "secrets": {"password": 1}}, "password", "text"),
        ({"id": "b", "link": "nut://h/u", "secrets": {"pin": "1"}}, "secrets", "pin"),
        ({"id": "b", "link": "nut://h/u", "colour": 1}, "colour", "no 'colour'"),
        ([], None, "object"),
    ],
)
async def test_what_is_wrong_is_told_with_its_field_and_nothing_is_written(
    admin: Person, bridge: House, device: Any, field: str | None, words: str
) -> None:
    before = bridge.file.read_text()
    revision = (await admin.data("list"))["revision"]
    code, told, message = await admin.refusal("put", device=device, revision=revision)
    assert (code, told) == ("invalid", field), message
    assert words in message
    assert bridge.file.read_text() == before
    assert not bridge.secrets.exists()


async def test_a_message_of_a_megabyte_ends_its_conversation_and_nothing_else(admin: Person, bridge: House) -> None:
    before = bridge.file.read_text()
    async with bridge.person() as flood:
        text = json.dumps({"id": "b", "link": "nut://h/u", "name": "x" * 1_000_000})
        await flood.socket.send_str(
            f'{{"type":"configure","id":1,"action":"put","arguments":{{"revision":"x","device":{text}}}}}'
        )
        assert await flood.close_code() is not None
    assert (await admin.ask("list"))["ok"]
    assert bridge.file.read_text() == before


async def test_arguments_that_make_no_sense_are_told(admin: Person) -> None:
    for action, arguments in (
        ("schemes", {"more": 1}),
        ("put", {"device": {"id": "a"}}),
        ("put", {"device": {"id": "a"}, "revision": "x" * 129}),
        ("remove", {"id": 5, "revision": "x"}),
    ):
        assert (await admin.refusal(action, **arguments))[0] == "invalid"
    code, _, _ = await admin.refusal("remove", id="nobody", revision=(await admin.data("list"))["revision"])
    assert code == "unknown_device"


async def test_a_file_edited_meanwhile_is_a_conflict(admin: Person, bridge: House, lines: Lines) -> None:
    revision = (await admin.data("list"))["revision"]
    bridge.file.write_text(bridge.file.read_text().replace("# we are", "# and there"))
    for action, arguments in (
        ("put", {"device": {"id": "b", "link": megatec(lines[1])}}),
        ("remove", {"id": "a"}),
    ):
        assert (await admin.refusal(action, revision=revision, **arguments))[0] == "conflict"
    revision = (await admin.data("list"))["revision"]
    bridge.secrets.write_text("new: 1\n")
    assert (await admin.refusal("remove", id="a", revision=revision))[0] == "conflict"
    await admin.put(id="b", link=megatec(lines[1]))
    assert "# and there" in bridge.file.read_text()


async def test_of_two_who_change_at_once_one_is_told_to_look_again(admin: Person, bridge: House, lines: Lines) -> None:
    revision = (await admin.data("list"))["revision"]
    async with bridge.person() as other:
        first, second = await asyncio.gather(
            admin.ask("put", device={"id": "b", "link": megatec(lines[1])}, revision=revision),
            other.ask("put", device={"id": "c", "link": "nut://127.0.0.1:1/c"}, revision=revision),
        )
    assert sorted([first["ok"], second["ok"]]) == [False, True]
    assert next(said for said in (first, second) if not said["ok"])["error"]["code"] == "conflict"
    assert len(load(bridge.file, check_link).devices) == 2


async def test_a_file_with_mistakes_is_not_touched(admin: Person, bridge: House) -> None:
    revision = (await admin.data("list"))["revision"]
    bridge.file.write_text(text := bridge.file.read_text() + "colour: red\n")
    for action, arguments in (("list", {}), ("put", {"device": {"id": "a"}, "revision": revision})):
        code, _, message = await admin.refusal(action, **arguments)
        assert code == "invalid" and "colour" in message
    assert bridge.file.read_text() == text


async def test_a_file_that_cannot_be_written_is_told(
    admin: Person, bridge: House, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bridge.file.read_text()

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    revision = (await admin.data("list"))["revision"]
    with monkeypatch.context() as patch:
        # A disk that is full when the data are to be on it.
        patch.setattr(os, "fsync", full)
        code, _, message = await admin.refusal("put", device={"id": "b", "link": megatec(lines[1])}, revision=revision)
    assert code == "not_writable" and "No space left" in message
    assert bridge.file.read_text() == before
    assert sorted(path.name for path in bridge.folder.iterdir() if path.name.startswith(".")) == []
    assert [device["id"] for device in (await admin.data("list"))["devices"]] == ["a"]


async def test_a_symbolic_link_and_the_file_s_mode_stay(admin: Person, bridge: House) -> None:
    real = bridge.folder / "elsewhere" / "bridge.yaml"
    real.parent.mkdir()
    bridge.file.rename(real)
    real.chmod(0o604)
    bridge.file.symlink_to(real)
    await admin.put(id="a", name="Renamed")
    assert bridge.file.is_symlink()
    assert "Renamed" in real.read_text()
    assert stat.S_IMODE(real.stat().st_mode) == 0o604


async def test_a_device_with_a_shared_line_keeps_to_links_that_have_one(admin: Person, bridge: House) -> None:
    class Shared(MegatecLink):
        def pipe(self, path: str, granted: frozenset[str]) -> None:
            """As links with a line do."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LINKS, "megatec", Shared)
        text = bridge.file.read_text()
        bridge.file.write_text(f"{text}    pipe:\n      port: /dev/ttyS9\n")
        await admin.put(id="a", name="Shared")
        revision = (await admin.data("list"))["revision"]
        device = {"id": "a", "link": "nut://127.0.0.1/a"}
        code, field, message = await admin.refusal("put", device=device, revision=revision)
    assert (code, field) == ("invalid", "link")
    assert "no serial line" in message


# Testing


async def test_a_connection_is_tested_without_a_trace_in_the_file(admin: Person, bridge: House, lines: Lines) -> None:
    before = bridge.file.read_text()
    data = await admin.data("test", device={"id": "new", "link": megatec(lines[1])})
    assert data["running"] is False and data["complete"] is True
    assert data["identity"]["model"] == "MT1000"
    values = {row["key"]: (row["value"], row["unit"], row["name"]) for row in data["values"]}
    assert values["input.voltage"] == (226.0, "V", "Input voltage")
    assert {"device": "", "key": "on_battery", "active": False} in data["conditions"]
    assert "test.battery.start.quick" in data["commands"]
    assert bridge.file.read_text() == before
    assert admin.key("new") is None


async def test_a_test_names_what_it_found_by_points_whatever_the_device_calls_it(
    admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = (
        ProbeRow("", "upsInputVoltage.1", 231.0, "V", "good", "Input voltage", "231", "input.voltage"),
        ProbeRow("", "vendorSecret.0", "7", "", "not catalogued", "", "7"),
    )

    async def answers(url: str, *_: object, **__: object) -> ProbeResult:
        return ProbeResult(url, Identity(), rows, (), (), {}, complete=True)

    monkeypatch.setattr(trial, "probe", answers)
    data = await admin.data("test", device={"id": "new", "link": "snmp://127.0.0.1"})
    assert [row["key"] for row in data["values"]] == ["input.voltage", "vendorSecret.0"]


async def test_a_device_that_answers_already_is_not_asked_twice(admin: Person, lines: Lines) -> None:
    await admin.until_value("a", "input.voltage", lambda value: value == 226.0)
    data = await admin.data("test", device={"id": "a", "name": "Other"})
    assert data["running"] is True
    assert {row["key"]: row["value"] for row in data["values"]}["input.voltage"] == 226.0
    assert "test.battery.start.quick" in data["commands"], "also what is not granted"
    code, field, message = await admin.refusal("test", device={"id": "b", "link": megatec(lines[0])})
    assert (code, field) == ("invalid", "link") and "already used by a" in message


async def test_a_device_that_does_not_answer_leaves_its_port_to_the_test(
    admin: Person, bridge: House, lines: Lines
) -> None:
    lines[1].answers.clear()
    await admin.put(id="b", link=megatec(lines[1]))
    await admin.until_value("b", "link.state", lambda value: value == "never_connected")
    code, _, message = await admin.refusal("test", device={"id": "b"})
    assert code == "unreachable" and lines[1].path in message
    lines[1].answers.update({b"Q1\r": status(source="200.0"), b"F\r": b"#220.0 003 024.0 50.0\r"})
    data = await admin.data("test", device={"id": "b", "link": f"megatec:{lines[1].path}?patience=0.4&dialect=megatec"})
    assert {row["key"]: row["value"] for row in data["values"]}["input.voltage"] == 200.0
    await admin.until_value("b", "input.voltage", lambda value: value == 200.0)


async def test_a_test_uses_the_stored_secret_unless_it_is_told_another(admin: Person) -> None:
    async with StandIn() as upsd:
        link = f"nut://127.0.0.1:{upsd.port}/ups1"
        await admin.put(id="n", link=link, enabled=False, secrets={"username": "me", "password": "stored"})
        await admin.data("test", device={"id": "n"})
        assert "PASSWORD stored" in upsd.heard
        await admin.data("test", device={"id": "n", "secrets": {"password": "other"}})
        assert "PASSWORD other" in upsd.heard
    code, _, message = await admin.refusal("test", device={"id": "n"})
    assert code == "unreachable" and message


async def test_two_tests_of_a_device_that_does_not_answer_leave_it_running_once(admin: Person, lines: Lines) -> None:
    lines[1].answers.clear()
    await admin.put(id="b", link=megatec(lines[1]))
    await admin.until_value("b", "link.state", lambda value: value == "never_connected")
    numbers = {await admin.begin("test", device={"id": "b"}) for _ in range(2)}
    while numbers:
        said = await admin.receive()
        if said["type"] == "configured":
            numbers.remove(said["id"])
            assert said["error"]["code"] == "unreachable"
    lines[1].answers[b"Q1\r"] = status(source="200.0")
    await admin.until_value("b", "input.voltage", lambda value: value == 200.0)
    links = [task for task in asyncio.all_tasks() if task.get_name() == "The link of b"]
    assert len(links) == 1


async def test_a_link_that_fails_in_an_unforeseen_way_is_told(
    admin: Person, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    device = {"id": "b", "link": megatec(lines[1])}
    with monkeypatch.context() as patch:
        patch.setattr(MegatecLink, "run", broken)
        code, _, message = await admin.refusal("test", device=device)
    assert (code, message) == ("unreachable", "The test failed inside the bridge; its log says more.")


async def test_a_client_that_leaves_ends_its_test(bridge: House, lines: Lines) -> None:
    lines[1].answers.clear()
    async with bridge.person() as leaving:
        await leaving.begin("test", device={"id": "x", "link": megatec(lines[1])})
        await lines[1].until_heard(b"Q1\r")
    async with bridge.person() as admin:
        lines[1].answers[b"Q1\r"] = status()
        async with asyncio.timeout(10):
            # The port is free again as soon as the first test has ended.
            while not (await admin.ask("test", device={"id": "x", "link": megatec(lines[1])}))["ok"]:
                pass


async def test_only_so_many_tests_run_at_once(admin: Person, bridge: House) -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    silent = await asyncio.start_server(silence, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    device = {"id": "x", "link": f"nut://127.0.0.1:{port}/x"}
    for _ in range(3):
        await admin.begin("test", device=device)
    async with bridge.person() as other:
        assert (await other.refusal("test", device=device))[0] == "busy"
        assert (await other.ask("list"))["ok"], "but other things can be asked"
    for _ in range(2):
        await admin.begin("test", device=device)
    while (said := await admin.receive())["type"] != "configured":
        pass
    assert said["error"]["code"] == "busy"
    silent.close()


# Reading the file again


async def test_a_device_that_only_the_file_knows_yet_can_be_removed_from_it(admin: Person, bridge: House) -> None:
    text = bridge.file.read_text()
    bridge.file.write_text(f"{text}  - id: b\n    link: nut://127.0.0.1/b\n")
    assert [device["id"] for device in (await admin.data("list"))["devices"]] == ["a", "b"]
    await admin.data("remove", id="b", revision=(await admin.data("list"))["revision"])
    assert bridge.file.read_text() == text


async def test_what_is_edited_by_hand_comes_into_force_on_demand(admin: Person, bridge: House, lines: Lines) -> None:
    await admin.until_value("a", "input.voltage", lambda value: value == 226.0)
    asked = lines[0].heard.count(b"I\r")
    text = bridge.file.read_text()
    bridge.file.write_text(f"{text}  - id: b\n    link: {megatec(lines[1])}\n")
    bridge.reread.set()
    await admin.until_value("b", "input.voltage", lambda value: value == 226.0)
    assert lines[0].heard.count(b"I\r") == asked, "the other one was left alone"
    bridge.file.write_text(f"{text}  - id: b\n    name: Bee\n    link: {megatec(lines[1])}\n".replace("Here", "There"))
    bridge.reread.set()
    async with asyncio.timeout(20):
        while (await admin.subscribe()) and admin.devices[admin.key("b") or ""]["name"] != "Bee":
            await asyncio.sleep(0.02)
    bridge.file.write_text(text)
    bridge.reread.set()
    async with asyncio.timeout(20):
        while (await admin.subscribe()) and admin.key("b") is not None:
            await asyncio.sleep(0.02)


async def test_a_ups_that_turns_out_to_be_a_transfer_switch_is_one_after_reading_again(
    admin: Person, bridge: House
) -> None:
    await admin.until_value("a", "input.voltage", lambda value: value == 226.0)
    identity = admin.key("a")
    # Of a device behind upsd only upsd knows what it is.
    text = bridge.file.read_text().replace("ups:\n", "transfer_switches:\n")
    bridge.file.write_text(re.sub(r"link: (['\"]?)megatec:[^\s'\"]+", r"link: \1nut://127.0.0.1:1/a", text))
    bridge.reread.set()
    async with asyncio.timeout(20):
        while (await admin.subscribe()) and admin.devices.get(identity or "", {}).get("kind") != "transfer_switch":
            await asyncio.sleep(0.02)


async def test_a_file_that_cannot_be_used_changes_nothing(
    admin: Person, bridge: House, caplog: pytest.LogCaptureFixture
) -> None:
    await admin.until_value("a", "input.voltage", lambda value: value == 226.0)
    text = bridge.file.read_text()
    no_line = "  - {id: b, link: 'nut://127.0.0.1/b', pipe: {port: /dev/ttyS9}}\n"
    for wrong in ("ups: [", text + "colour: red\n", text.replace("patience=0.3", "patience=99"), text + no_line):
        caplog.clear()
        bridge.file.write_text(wrong)
        bridge.reread.set()
        async with asyncio.timeout(20):
            while "everything stays as it was" not in caplog.text:
                await asyncio.sleep(0.02)
        assert admin.key("a") is not None
    bridge.file.write_text(text.replace("Here", "There"))
    bridge.reread.set()
    async with asyncio.timeout(20):
        while "Restart the bridge for what has changed under: name" not in caplog.text:
            await asyncio.sleep(0.02)
