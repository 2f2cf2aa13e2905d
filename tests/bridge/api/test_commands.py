"""Commands: who may give them, what comes back, what the journal keeps."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ridethrough.catalogue import Severity
from ridethrough.events.event import EventKind
from ridethrough.site import CommandError, CommandResult, Value

from .harness import LIMITS, UPS, Client, World, running


class Machine:
    """Something that performs, when it is allowed to."""

    def __init__(self, world: World) -> None:
        self.done: list[tuple[str, Mapping[str, Value]]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.error: Exception | None = None
        world.commands.offer(UPS.id, self.perform)

    async def perform(self, command: str, arguments: Mapping[str, Value]) -> CommandResult:
        self.done.append((command, arguments))
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return CommandResult("The battery is being tested.", confirmed=False)


async def result(client: Client) -> dict[str, Any]:
    """Hear on until a result comes."""
    while (raw := await client.receive())["type"] != "result":
        pass
    return raw


async def refusal(client: Client) -> str:
    """Hear on until a command is refused, and why."""
    raw = await result(client)
    assert raw["ok"] is False
    return str(raw["error"]["code"])


async def test_command_is_performed_recorded_and_answered(world: World) -> None:
    machine = Machine(world)
    async with world.subscriber(token="engineer") as client:
        await client.command(17, "test.battery.start", duration=15)
        assert await result(client) == {
            "type": "result", "id": 17, "ok": True, "message": "The battery is being tested.", "confirmed": False
        }  # fmt: skip
    assert machine.done == [("test.battery.start", {"duration": 15})]
    (recorded,) = world.journal.events
    assert recorded.kind is EventKind.COMMAND
    assert (recorded.device, recorded.key) == (UPS.id, "test.battery.start")
    assert recorded.details == {
        "actor": "the engineer",
        "outcome": "ok",
        "message": "The battery is being tested.",
        "confirmed": False,
        "argument.duration": 15,
    }


async def test_command_needs_no_subscription(world: World) -> None:
    Machine(world)
    async with world.client("customer") as client:
        await client.command(1, "beeper.toggle")
        assert (await client.receive("result"))["ok"] is True


@pytest.mark.parametrize(
    ("role", "command", "permitted"),
    [
        ("guest", "beeper.toggle", False),
        ("customer", "beeper.toggle", True),
        ("customer", "test.battery.start.quick", False),
        ("engineer", "test.battery.start.quick", True),
        ("engineer", "load.off", False),
        ("admin", "load.off", True),
    ],
)
async def test_role_of_the_token_decides(world: World, role: str, command: str, permitted: bool) -> None:
    machine = Machine(world)
    async with world.client(role) as client:
        await client.command(1, command)
        raw = await result(client)
    assert raw["ok"] is permitted
    assert bool(machine.done) is permitted
    (recorded,) = world.journal.events
    assert recorded.details["outcome"] == ("ok" if permitted else "forbidden")
    if not permitted:
        assert raw["error"]["code"] == "forbidden"


async def test_each_reason_not_to_perform_has_its_code(world: World) -> None:
    async with world.client() as client:
        await client.command(1, "beeper.toggle", device="nobody")
        assert await refusal(client) == "unknown_device"
        await client.command(2, "make.coffee")
        assert await refusal(client) == "unknown_command"
        assert world.journal.events == []
        await client.command(3, "test.battery.start", duration=1000)
        assert await refusal(client) == "bad_argument"
        await client.command(4, "test.battery.stop")
        assert await refusal(client) == "not_granted"
        await client.command(5, "beeper.toggle")
        assert await refusal(client) == "offline"
        machine = Machine(world)
        machine.error = CommandError("no_answer", "The UPS did not answer.")
        await client.command(6, "beeper.toggle")
        assert await refusal(client) == "no_answer"
    outcomes = [event.details["outcome"] for event in world.journal.events]
    assert outcomes == ["bad_argument", "not_granted", "offline", "no_answer"]


async def test_long_complaint_about_an_argument_is_cut(world: World) -> None:
    async with world.client() as client:
        await client.command(1, "test.battery.start", duration="x" * 1000)
        raw = await result(client)
    assert len(raw["error"]["message"]) <= 501
    (recorded,) = world.journal.events
    assert len(str(recorded.details)) < 700


async def test_fault_inside_a_link_is_an_answer_too(world: World, caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(world)
    machine.error = ZeroDivisionError()
    async with world.client() as client:
        await client.command(1, "beeper.toggle")
        assert await refusal(client) == "no_answer"
        await client.command(2, "make.coffee")
        assert await refusal(client) == "unknown_command"
    assert "ZeroDivisionError" in caplog.text


async def test_commands_are_performed_side_by_side_and_answered_by_number(world: World) -> None:
    machine = Machine(world)
    machine.go.clear()
    async with world.subscriber() as client:
        await client.command(1, "beeper.toggle")
        await client.command(2, "make.coffee")
        assert (await result(client))["id"] == 2
        world.lane.post({"battery.charge": 3.0})
        await client.receive("delta")
        machine.go.set()
        assert (await result(client))["id"] == 1


async def test_more_commands_than_may_be_pending_are_refused(world: World) -> None:
    machine = Machine(world)
    machine.go.clear()
    async with world.client() as client:
        for number in range(20):
            await client.command(number, "beeper.toggle")
        refused = [await client.receive("result") for _ in range(4)]
        assert [raw["id"] for raw in refused] == [16, 17, 18, 19]
        assert {raw["error"]["code"] for raw in refused} == {"refused"}
        machine.go.set()
        assert {(await result(client))["id"] for _ in range(16)} == set(range(16))
        await client.command(99, "beeper.toggle")
        assert (await result(client))["ok"] is True


async def test_all_clients_together_have_a_limit_too(tmp_path: Path) -> None:
    async with running(tmp_path, limits=replace(LIMITS, pending_total=2)) as world:
        machine = Machine(world)
        machine.go.clear()
        async with world.client() as one, world.client() as two:
            await one.command(1, "beeper.toggle")
            await one.command(2, "beeper.toggle")
            while len(machine.done) < 2:
                await asyncio.sleep(0)
            await two.command(3, "beeper.toggle")
            assert await refusal(two) == "refused"
            machine.go.set()


async def test_command_goes_on_when_its_client_hangs_up(world: World) -> None:
    machine = Machine(world)
    machine.go.clear()
    async with world.client() as client:
        await client.command(1, "beeper.toggle")
        while not machine.done:
            await asyncio.sleep(0)
    machine.go.set()
    async with world.subscriber(0) as other:
        await other.until(lambda: bool(other.events))
    assert world.journal.events[0].details["outcome"] == "ok"


async def test_command_under_way_when_the_bridge_stops_is_recorded_as_such(world: World) -> None:
    machine = Machine(world)
    machine.go.clear()
    async with world.client() as client:
        await client.command(1, "beeper.toggle")
        while not machine.done:
            await asyncio.sleep(0)
        await world.server.stop()
    (recorded,) = world.journal.events
    assert recorded.details["outcome"] == "no_answer"


async def test_full_disk_does_not_keep_the_result_from_the_client(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    Machine(world)
    world.journal.broken = True
    async with world.client() as client:
        await client.command(1, "beeper.toggle")
        assert (await result(client))["ok"] is True
    assert "beeper.toggle by the admin (ok) is not in the journal: the disk is full" in caplog.text


async def test_journal_that_hangs_does_not_keep_the_result_from_the_client(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    Machine(world)
    world.journal.writable.clear()
    async with world.client() as client:
        await client.command(1, "beeper.toggle")
        assert (await result(client))["ok"] is True
    assert "beeper.toggle by the admin (ok) waits for the journal" in caplog.text


# What shows after the link has said all that it can say


async def test_status_that_shows_the_effect_confirms_the_command(world: World) -> None:
    machine = Machine(world)
    machine.go.clear()
    world.lane.post(conditions={"test_in_progress": False})
    async with world.client() as client:
        await client.command(1, "test.battery.start.quick")
        while not machine.done:
            await asyncio.sleep(0)
        world.lane.post(conditions={"test_in_progress": True})
        machine.go.set()
        raw = await result(client)
    assert (raw["confirmed"], raw["message"]) == (True, "The battery is being tested. Its status shows it.")
    (recorded,) = world.journal.events
    assert recorded.details["confirmed"] is True


async def test_late_effect_is_a_further_event(world: World) -> None:
    Machine(world)
    world.lane.post(conditions={"test_in_progress": False})
    async with world.subscriber(0) as client:
        await client.command(1, "test.battery.start", duration=2)
        assert (await result(client))["confirmed"] is False
        world.lane.post(conditions={"test_in_progress": True})
        await client.until(lambda: len(client.events) == 2)
    given, late = world.journal.events
    assert (given.details["confirmed"], late.details["confirmed"]) == (False, True)
    assert late.details["outcome"] == "ok"
    assert (late.details["actor"], late.details["argument.duration"]) == ("the admin", 2)
    assert float(late.details["late"]) >= 0.0
    assert "UPS 1 shows test.battery.start" in str(late.details["message"])


async def test_command_that_was_ignored_is_said_to_be(tmp_path: Path) -> None:
    async with running(tmp_path, limits=replace(LIMITS, follow=0.1)) as world:
        Machine(world)
        world.lane.post(conditions={"test_in_progress": False})
        async with world.subscriber(0) as client:
            await client.command(1, "test.battery.start.quick")
            assert (await result(client))["confirmed"] is False
            await client.until(lambda: len(client.events) == 2)
        ignored = world.journal.events[1]
        assert ignored.details["outcome"] == "ignored"
        assert "seems to have ignored it" in str(ignored.details["message"])
        assert ignored.severity is Severity.WARNING


@pytest.mark.parametrize("limit", [{"follow": 0.05}, {"followed": 0}])
async def test_ups_that_does_not_tell_is_not_accused(tmp_path: Path, limit: dict[str, float]) -> None:
    async with running(tmp_path, limits=replace(LIMITS, **limit)) as world:  # type: ignore[arg-type]  # a field's name
        Machine(world)
        if "followed" in limit:
            world.lane.post(conditions={"test_in_progress": False})
        async with world.client() as client:
            await client.command(1, "test.battery.start.quick")
            await result(client)
            world.lane.lost()
            await asyncio.sleep(0.1)
    assert len(world.journal.events) == 1


async def test_device_that_is_removed_is_not_followed(tmp_path: Path) -> None:
    async with running(tmp_path, limits=replace(LIMITS, follow=0.05)) as world:
        Machine(world)
        world.lane.post(conditions={"test_in_progress": False})
        async with world.client() as client:
            await client.command(1, "test.battery.start.quick")
            await result(client)
            world.site.remove(UPS.id)
            await asyncio.sleep(0.1)
    assert len(world.journal.events) == 1


# What is left of a command when the bridge is killed


async def test_command_is_noted_before_it_is_carried_out_until_its_end_is_in_the_journal(world: World) -> None:
    machine = Machine(world)
    machine.go.clear()
    async with world.client() as client:
        await client.command(1, "test.battery.start", duration=2)
        while not machine.done:
            await asyncio.sleep(0)
        (note,) = await world.pending.unfinished()
        assert (note.device, note.key) == (UPS.id, "test.battery.start")
        assert note.details == {"actor": "the admin", "argument.duration": 2}
        assert world.journal.events == []
        machine.go.set()
        await result(client)
    assert await world.pending.unfinished() == []
    assert len(world.journal.events) == 1


async def test_what_does_not_exist_is_not_noted(world: World) -> None:
    async with world.client() as client:
        await client.command(1, "make.coffee")
        await result(client)
        await client.command(2, "beeper.toggle", device="nobody")
        await result(client)
    assert world.pending.noted == []


async def test_note_stays_when_the_journal_could_not_be_written(world: World, caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(world)
    machine.go.clear()
    async with world.client() as client:
        await client.command(1, "beeper.toggle")
        while not machine.done:
            await asyncio.sleep(0)
        world.journal.broken = True
        machine.go.set()
        assert (await result(client))["ok"] is True
        assert len(world.pending.notes) == 1
        await client.command(2, "beeper.toggle")
        assert (await result(client))["ok"] is True
    assert "is carried out without a note of it" in caplog.text


async def test_note_that_cannot_be_forgotten_is_said(world: World, caplog: pytest.LogCaptureFixture) -> None:
    Machine(world)
    world.recorder.subscribe(lambda _event: setattr(world.journal, "broken", True))
    async with world.client() as client:
        await client.command(1, "beeper.toggle")
        assert (await result(client))["ok"] is True
    assert "still noted as under way" in caplog.text
