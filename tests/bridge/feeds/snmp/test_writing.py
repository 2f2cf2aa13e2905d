"""SET: who may, what it comes to, and what it answers."""

import asyncio
import socket

import pytest

from ridethrough.events import EventKind
from ridethrough.events.event import Event
from ridethrough.feeds.snmp.pdu import Status
from ridethrough.sim.snmp_message import Message, Pdu, Tag, Value, Version
from ridethrough.site import CommandError, CommandResult
from tests.bridge.feeds.rig import World

from .agents import BY_V2C, READ, UPS, V2C, WRITE, WRITER, config, credentials, oid, question, serving

QUICK = ("1.3.6.1.2.1.33.1.7.1.0", "o", "1.3.6.1.2.1.33.1.7.7.4")
LOCK = f"{UPS}.7.2.0"
COMMANDS = (
    "test.battery.start.quick",
    "test.battery.stop",
    "shutdown.return",
    "shutdown.stayoff",
    "shutdown.stop",
    "outputs.off",
    "load.off",
    "load.on",
    "beeper.mute",
)


@pytest.mark.peer
@pytest.mark.parametrize("who", [["-v1", "-c", WRITE], BY_V2C, credentials(WRITER)], ids=["v1", "v2c", "v3"])
async def test_a_test_is_begun_under_its_lock(world: World, who: list[str]) -> None:
    ups = world.ups(commands=COMMANDS)
    async with serving(world) as agent:
        code, out = await agent.set(who, LOCK, "i", "0", *QUICK)
        assert code == 0, out
        assert world.given == [(ups.id, "test.battery.start.quick", {})]
        assert (await agent.get(who, LOCK)).endswith("INTEGER: 1")
        assert (await agent.get(who, QUICK[0])).endswith(QUICK[2])
        # Somebody else has taken the lock meanwhile.
        code, out = await agent.set(who, LOCK, "i", "0", *QUICK)
        assert code
        assert ("badValue" if who[0] == "-v1" else "inconsistentValue") in out
        assert len(world.given) == 1


@pytest.mark.peer
@pytest.mark.parametrize(
    ("sets", "command", "arguments"),
    [
        ([("8.5", 1), ("8.1", 1), ("8.3", 120), ("8.2", 60)], "shutdown.return", {"delay": 60, "restore": 120}),
        ([("8.2", 60)], "shutdown.return", {"delay": 60}),
        ([("8.5", 2), ("8.2", 60)], "shutdown.stayoff", {"delay": 60}),
        ([("8.2", -1)], "shutdown.stop", {}),
        ([("8.2", 0)], "load.off", {}),
        ([("8.3", 0)], "load.on", {}),
        ([("9.8", 3)], "beeper.mute", {}),
    ],
    ids=["return", "return by itself", "stay off", "stop", "load off", "load on", "mute"],
)
@pytest.mark.parametrize("together", [True, False], ids=["at once", "one by one"])
async def test_objects_are_commands(
    world: World, sets: list[tuple[str, int]], command: str, arguments: dict[str, int], together: bool
) -> None:
    ups = world.ups(commands=COMMANDS)
    async with serving(world) as agent:
        triples = [(f"{UPS}.{name}.0", "i", str(value)) for name, value in sets]
        for one in [[word for triple in triples for word in triple]] if together else triples:
            code, out = await agent.set(BY_V2C, *one)
            assert code == 0, out
        assert world.given == [(ups.id, command, arguments)]
        assert [event.details["actor"] for event in await journalled(world)] == ["SNMP 127.0.0.1"]


async def journalled(world: World) -> list[Event]:
    """Give the commands in the journal."""
    return [event for event in await world.store.journal.after(0) if event.kind is EventKind.COMMAND]


@pytest.mark.peer
async def test_outputs_are_switched(world: World) -> None:
    ups = world.ups()
    ports = world.part(ups, "io_box", "1", commands=("output.set",))
    manager = world.part(ups, "io_box", "3", commands=("output.set",))
    world.post(ports, {"output.2": False})
    world.post(manager, {"output.4": False})
    async with serving(world) as agent:
        for name in (f"{UPS}.11.2.0", f"{UPS}.12.16.1.0"):
            code, out = await agent.set(BY_V2C, name, "i", "1")
            assert code == 0, out
        assert world.given == [
            (ports.id, "output.set", {"number": 2, "state": 1}),
            (manager.id, "output.set", {"number": 4, "state": 1}),
        ]
        # What it shows is what the box says, not what was wished.
        assert (await agent.get(BY_V2C, f"{UPS}.11.2.0")).endswith("INTEGER: 0")


@pytest.mark.parametrize(
    ("name", "value", "community", "v2c", "v1"),
    [
        ("9.8", Value(Tag.INTEGER, 3), READ, "NO_ACCESS", "NO_SUCH_NAME"),
        ("9.8", Value(Tag.INTEGER, 4), WRITE, "WRONG_VALUE", "BAD_VALUE"),
        ("9.8", Value(Tag.OCTETS, b"3"), WRITE, "WRONG_TYPE", "BAD_VALUE"),
        ("9.8", Value(Tag.INTEGER, 2), WRITE, "NOT_WRITABLE", "NO_SUCH_NAME"),
        ("2.4", Value(Tag.INTEGER, 2), WRITE, "NOT_WRITABLE", "NO_SUCH_NAME"),
        ("99.4", Value(Tag.INTEGER, 2), WRITE, "NO_CREATION", "NO_SUCH_NAME"),
        ("8.2", Value(Tag.INTEGER, 5), WRITE, "WRONG_VALUE", "BAD_VALUE"),
        ("7.2", Value(Tag.INTEGER, 5), WRITE, "INCONSISTENT_VALUE", "BAD_VALUE"),
        ("7.1", Value(Tag.OID, oid("1.3.6.1.2.1.33.1.7.7.1")), WRITE, "WRONG_VALUE", "BAD_VALUE"),
    ],
    ids=["reader", "value", "type", "not offered", "read-only", "nothing", "too soon", "lock", "no test"],
)
async def test_what_may_not_be_is_refused_and_not_done(
    world: World, name: str, value: Value, community: str, v2c: str, v1: str
) -> None:
    world.ups(commands=COMMANDS)
    async with serving(world) as agent:
        for version, status in ((Version.V2C, v2c), (Version.V1, v1)):
            asked = Message(version, community.encode(), Pdu.SET, 7, variables=((oid(f"{UPS}.{name}.0"), value),))
            answer = await agent.say(asked)
            assert Status(answer.error).name == status
            assert answer.index == 1
            assert answer.variables == asked.variables
    assert world.given == []


async def test_a_group_that_is_not_granted_cannot_be_used(world: World) -> None:
    world.ups(commands=COMMANDS)
    async with serving(world, config(allow=frozenset({"beeper"}))) as agent:
        asked = Message(
            Version.V2C, WRITE.encode(), Pdu.SET, 7, variables=((oid(f"{UPS}.8.2.0"), Value(Tag.INTEGER, 60)),)
        )
        assert (await agent.say(asked)).error == 6  # noAccess
    assert world.given == []


async def test_a_command_that_takes_long_stops_nobody_and_is_given_once(world: World) -> None:
    ups = world.ups(commands=COMMANDS)
    begun, ended = asyncio.Event(), asyncio.Event()

    async def perform(command: str, arguments: object) -> CommandResult:
        world.given.append((ups.id, command, {}))
        begun.set()
        await ended.wait()
        return CommandResult("done")

    world.commands.offer(ups.id, perform)
    async with serving(world) as agent:
        asked = Message(
            Version.V2C, WRITE.encode(), Pdu.SET, 7, variables=((oid(f"{UPS}.9.8.0"), Value(Tag.INTEGER, 3)),)
        )
        setting = asyncio.create_task(agent.say(asked))
        await asyncio.wait_for(begun.wait(), 5)
        for _ in range(3):
            assert (await agent.say(question(Pdu.GET, f"{UPS}.2.4.0"))).variables[0][1].content == 100
        assert not setting.done()
        ended.set()
        assert (await setting).error == 0
    assert len(world.given) == 1


async def test_a_set_that_is_sent_again_is_the_same_one(world: World) -> None:
    ups = world.ups(commands=COMMANDS)
    async with serving(world) as agent:
        asked = Message(
            Version.V2C, WRITE.encode(), Pdu.SET, 7, variables=((oid(f"{UPS}.9.8.0"), Value(Tag.INTEGER, 3)),)
        ).encode()
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.setblocking(False)
            asker.connect(("127.0.0.1", agent.port))
            for _ in range(3):
                await loop.sock_sendall(asker, asked)
            assert Message.decode(await asyncio.wait_for(loop.sock_recv(asker, 2000), 5)).error == 0
            # Its answer was lost: the same answer again, and not the same command.
            await loop.sock_sendall(asker, asked)
            assert Message.decode(await asyncio.wait_for(loop.sock_recv(asker, 2000), 5)).error == 0
    assert world.given == [(ups.id, "beeper.mute", {})]


@pytest.mark.parametrize(
    ("code", "status"),
    [("refused", 14), ("offline", 13), ("bad_argument", 10), ("no_answer", 14)],
    ids=["refused", "offline", "argument", "silent"],
)
async def test_what_the_ups_refuses_is_refused(world: World, code: str, status: int) -> None:
    ups = world.ups(commands=COMMANDS)

    async def perform(command: str, arguments: object) -> CommandResult:
        raise CommandError(code, "No.")

    world.commands.offer(ups.id, perform)
    async with serving(world) as agent:
        asked = Message(
            Version.V2C, WRITE.encode(), Pdu.SET, 7, variables=((oid(f"{UPS}.9.8.0"), Value(Tag.INTEGER, 3)),)
        )
        assert (await agent.say(asked)).error == status


@pytest.mark.parametrize(
    ("sets", "given"),
    [
        ([("8.2", 60)], ["outputs.off"]),
        ([("8.5", 2), ("8.2", 60)], []),
        ([("8.5", 1), ("8.2", 60)], []),
        ([("8.2", 60), ("9.8", 3)], []),
    ],
    ids=["what it can", "stay off", "come back", "two things at once"],
)
async def test_nothing_is_done_that_was_not_meant(world: World, sets: list[tuple[str, int]], given: list[str]) -> None:
    ups = world.ups(commands=("outputs.off", "beeper.mute"))
    async with serving(world) as agent:
        variables = tuple((oid(f"{UPS}.{name}.0"), Value(Tag.INTEGER, value)) for name, value in sets)
        answer = await agent.say(Message(Version.V2C, WRITE.encode(), Pdu.SET, 7, variables=variables))
        assert (answer.error == 0) == bool(given)
    assert [command for device, command, _ in world.given if device == ups.id] == given


@pytest.mark.peer
async def test_nobody_writes_without_a_grant(world: World) -> None:
    world.ups(commands=COMMANDS)
    async with serving(world, config(allow=frozenset())) as agent:
        for who in (V2C, BY_V2C, credentials(WRITER)):
            code, out = await agent.set(who, f"{UPS}.9.8.0", "i", "3")
            assert code
            assert "noAccess" in out
    assert world.given == []
