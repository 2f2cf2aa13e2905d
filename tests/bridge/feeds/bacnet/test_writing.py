"""What a client may write, and what becomes of it."""

import asyncio
from typing import Any

from bac_py.encoding.primitives import encode_application_enumerated, encode_application_null, encode_application_real
from bac_py.services.errors import BACnetError
from bac_py.types.enums import ErrorCode
import pytest

from ridethrough.site import Arguments, CommandError, CommandResult, Device
from tests.bridge.feeds.rig import World

from .rig import Stranger, a_stranger, serving, until

ON, OFF, NULL = encode_application_enumerated(1), encode_application_enumerated(0), encode_application_null()
SWITCH = ("outlet.on", "outlet.off")


def an_outlet(world: World, *, on: bool = True) -> Device:
    """Add a UPS with an outlet that can be switched."""
    outlet = world.part(world.ups(), "outlet", "1", commands=SWITCH)
    world.post(outlet, conditions={"outlet_on": on})
    return outlet


async def write(stranger: Stranger, which: str, value: bytes, priority: int | None = 8, what: str = "pv") -> None:
    """Write a property."""
    await stranger.client.write_property(stranger.server, which, what, value, priority=priority)


async def refused(code: ErrorCode, writing: Any) -> None:
    """Expect an error."""
    with pytest.raises(BACnetError) as failed:
        await writing
    assert failed.value.error_code == code


async def test_an_outlet_is_switched(world: World) -> None:
    outlet = an_outlet(world)
    async with serving(world, allow=frozenset({"outlet"})) as served, a_stranger(served) as stranger:
        which = await stranger.named("ups-1/outlet-1.command.outlet")
        assert which.startswith("binary-output")
        assert await stranger.read(which, "present-value") == 1
        await write(stranger, which, OFF)
        assert world.given == [(outlet.id, "outlet.off", {})]
        assert await stranger.read(which, "present-value") == 0
        assert await stranger.read(which, "feedback-value") == 1
        assert await stranger.client.read_property(served.place, which, "priority-array", 8) is not None
        world.post(outlet, conditions={"outlet_on": False})
        await until(lambda: stranger.read(which, "feedback-value"), lambda value: value == 0)


async def test_giving_a_command_up_switches_nothing_unless_another_counts_then(world: World) -> None:
    outlet = an_outlet(world)
    async with serving(world, allow=frozenset({"outlet"})) as served, a_stranger(served) as stranger:
        which = await stranger.named("ups-1/outlet-1.command.outlet")
        await write(stranger, which, ON, 12)
        await write(stranger, which, OFF, 5)
        await write(stranger, which, ON, 12)
        assert [command for _, command, _ in world.given] == ["outlet.on", "outlet.off"]
        world.post(outlet, conditions={"outlet_on": False})
        await write(stranger, which, NULL, 5)
        assert [command for _, command, _ in world.given] == ["outlet.on", "outlet.off", "outlet.on"]
        await write(stranger, which, NULL, 12)
        assert len(world.given) == 3
        assert await stranger.read(which, "present-value") == 0


async def test_an_output_of_an_io_box_is_set_by_its_number(world: World) -> None:
    box = world.part(world.ups(), "io_box", "1", commands=("output.set",))
    world.post(box, {"output.1": False, "output.2": False})
    async with serving(world, allow=frozenset({"output"})) as served, a_stranger(served) as stranger:
        which = await stranger.named("ups-1/io_box-1.command.output.2")
        await write(stranger, which, ON, None)
        assert world.given == [(box.id, "output.set", {"number": 2, "state": 1})]
        world.post(box, {"output.3": True})
        third = await until(stranger.objects, lambda found: "ups-1/io_box-1.command.output.3" in found)
        assert await stranger.read(third["ups-1/io_box-1.command.output.3"], "present-value") == 1


async def test_a_battery_test_is_started_and_stopped(world: World) -> None:
    ups = world.ups(commands=("test.battery.start.quick", "test.battery.stop"))
    async with serving(world, allow=frozenset({"test"})) as served, a_stranger(served) as stranger:
        which = await stranger.named("ups-1.command.test.battery.quick")
        assert which.startswith("binary-value")
        await write(stranger, which, ON)
        world.post(ups, conditions={"test_in_progress": True})
        await until(lambda: stranger.read(which, "present-value"), lambda value: value == 1)
        await write(stranger, which, OFF, None)
        assert [command for _, command, _ in world.given] == ["test.battery.start.quick", "test.battery.stop"]


async def test_nothing_is_written_without_a_grant(world: World) -> None:
    an_outlet(world)
    async with serving(world, allow=frozenset({"test"})) as served, a_stranger(served) as stranger:
        objects = await stranger.objects()
        outlet = objects["ups-1/outlet-1.command.outlet"]
        await refused(ErrorCode.WRITE_ACCESS_DENIED, write(stranger, outlet, OFF))
        await refused(ErrorCode.WRITE_ACCESS_DENIED, write(stranger, outlet, NULL))
        charge = objects["ups-1.battery.charge"]
        await refused(ErrorCode.WRITE_ACCESS_DENIED, write(stranger, charge, encode_application_real(1.0)))
        await refused(ErrorCode.WRITE_ACCESS_DENIED, write(stranger, outlet, ON, what="out-of-service"))
        await refused(ErrorCode.UNKNOWN_OBJECT, write(stranger, "binary-output,999", ON))
        await refused(ErrorCode.UNKNOWN_PROPERTY, write(stranger, outlet, ON, what="units"))
        assert await stranger.read(outlet, "present-value") == 1
        assert not world.given


async def test_what_a_device_does_not_offer_has_no_object(world: World) -> None:
    world.part(world.ups(), "outlet", "1")
    async with serving(world, allow=frozenset({"outlet"})) as served, a_stranger(served) as stranger:
        assert not any("command" in name for name in await stranger.objects())


async def test_wrong_values_are_refused(world: World) -> None:
    world.ups(commands=("beeper.mute",))
    an = an_outlet(world)
    async with serving(world, allow=frozenset({"outlet", "beeper"})) as served, a_stranger(served) as stranger:
        objects = await stranger.objects()
        outlet = objects[f"{an.key}.command.outlet"]
        await refused(ErrorCode.INVALID_DATA_TYPE, write(stranger, outlet, encode_application_real(1.0)))
        await refused(ErrorCode.VALUE_OUT_OF_RANGE, write(stranger, outlet, encode_application_enumerated(2)))
        assert not world.given


async def test_a_command_that_fails_is_taken_back(world: World) -> None:
    outlet = an_outlet(world)

    async def perform(command: str, arguments: Arguments) -> CommandResult:
        raise CommandError("refused", "Not now.")

    world.commands.offer(outlet.id, perform)
    async with serving(world, allow=frozenset({"outlet"})) as served, a_stranger(served) as stranger:
        which = await stranger.named("ups-1/outlet-1.command.outlet")
        await refused(ErrorCode.OPERATIONAL_PROBLEM, write(stranger, which, OFF))
        assert await stranger.read(which, "present-value") == 1


async def test_a_slow_command_is_accepted_and_others_are_answered_meanwhile(world: World) -> None:
    outlet = an_outlet(world)
    go_on = asyncio.Event()

    async def perform(command: str, arguments: Arguments) -> CommandResult:
        await go_on.wait()
        raise CommandError("no_answer", "Too late for anybody to hear.")

    world.commands.offer(outlet.id, perform)
    async with serving(world, allow=frozenset({"outlet"})) as served, a_stranger(served) as stranger:
        which = await stranger.named("ups-1/outlet-1.command.outlet")
        writing = asyncio.create_task(write(stranger, which, OFF))
        assert await stranger.read("analog-input,1", "present-value") is not None
        assert not writing.done()
        await writing
        go_on.set()
        await asyncio.sleep(0.05)


async def test_several_are_written_until_one_fails(world: World) -> None:
    an_outlet(world)
    second = world.part(world.ups(), "outlet", "2", commands=SWITCH)
    world.post(second, conditions={"outlet_on": True})
    async with serving(world, allow=frozenset({"outlet"})) as served, a_stranger(served) as stranger:
        objects = await stranger.objects()
        first, other = objects["ups-1/outlet-1.command.outlet"], objects["ups-1/outlet-2.command.outlet"]
        await stranger.client.write_multiple(served.place, {first: {"pv": 0}, other: {"pv": 0}})
        assert [command for _, command, _ in world.given] == ["outlet.off", "outlet.off"]
        with pytest.raises(BACnetError):
            await stranger.client.write_multiple(served.place, {"analog-input,1": {"pv": 0.0}, first: {"pv": 1}})
        assert len(world.given) == 2


async def test_who_writes_is_in_the_journal(world: World) -> None:
    an_outlet(world)
    heard: list[str] = []
    world.recorder.subscribe(lambda event: heard.append(str(event)))
    async with serving(world, allow=frozenset({"outlet"})) as served, a_stranger(served) as stranger:
        await write(stranger, await stranger.named("ups-1/outlet-1.command.outlet"), OFF)
        await until(lambda: [one for one in heard if "BACnet 127.0.0.1" in one], bool)


async def test_two_who_command_at_once_have_their_turns(world: World) -> None:
    outlet = an_outlet(world)
    given: list[str] = []

    async def perform(command: str, arguments: Arguments) -> CommandResult:
        given.append(command)
        await asyncio.sleep(0.2)
        if command == "outlet.off":
            raise CommandError("refused", "Not now.")
        return CommandResult("Done.")

    world.commands.offer(outlet.id, perform)
    async with (
        serving(world, allow=frozenset({"outlet"})) as served,
        a_stranger(served) as one,
        a_stranger(served) as other,
    ):
        which = await one.named("ups-1/outlet-1.command.outlet")
        first = asyncio.create_task(write(one, which, OFF, 8))
        await until(lambda: given, lambda given: given == ["outlet.off"])
        await write(other, which, ON, 8)
        await refused(ErrorCode.OPERATIONAL_PROBLEM, first)
        assert given == ["outlet.off", "outlet.on"]
        assert (await one.client.read_property(served.place, which, "priority-array", 8)).property_value == ON
