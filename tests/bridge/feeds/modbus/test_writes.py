"""Writing: what is granted, by whom, and what a master hears when the device takes its time or refuses."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.config.feeds import ModbusConfig, ModbusUnitConfig
from ridethrough.events.event import Event, EventKind
from ridethrough.feeds.modbus import writes
from ridethrough.feeds.modbus.writes import writable
from ridethrough.maps.registers import load_profile, profile_names
from ridethrough.site import Arguments, CommandError, CommandResult
from tests.bridge.feeds.rig import World

from .masters import READ_WORD, Master, served, until

OUTPUT_2_ON = bytes.fromhex("05 c391 ff00")
OUTPUT_3_OFF = bytes.fromhex("06 c392 0000")
OUTPUTS = frozenset({"output"})

type Serving = Callable[..., AbstractAsyncContextManager[Master]]


@pytest.fixture
def serving(world: World) -> Serving:
    """Serve a UPS with an I/O box, as a configuration grants it, to one master."""

    @asynccontextmanager
    async def run(
        *,
        feed: frozenset[str] = OUTPUTS,
        unit: frozenset[str] | None = None,
        commands: tuple[str, ...] = ("output.set",),
        profile: str = "default",
    ) -> AsyncIterator[Master]:
        ups = world.ups(commands=("load.on", "shutdown.stayoff"))
        world.part(ups, "io_box", "1", commands=commands)
        config = ModbusConfig(port=0, allow=feed, units=(ModbusUnitConfig(1, "ups-1", profile, allow=unit),))
        async with served(world, config) as running, Master(running.port) as master:
            yield master

    return run


def obey(world: World, performer: Callable[[str, Arguments], object]) -> None:
    """Let the I/O box answer otherwise."""

    async def perform(command: str, arguments: Arguments) -> CommandResult:
        result = performer(command, arguments)
        return await result if asyncio.iscoroutine(result) else CommandResult(f"{command} was given.")

    box = world.context.directory.find("ups-1/io_box-1")
    assert box is not None
    world.commands.offer(box.id, perform)


async def test_an_output_is_switched_and_the_journal_says_by_whom(serving: Serving, world: World) -> None:
    heard: list[Event] = []
    world.recorder.subscribe(heard.append)
    async with serving() as master:
        assert await master.ask(OUTPUT_2_ON) == OUTPUT_2_ON
        assert await master.ask(OUTPUT_3_OFF) == OUTPUT_3_OFF
    assert world.given == [
        ("ups-1/io_box-1", "output.set", {"number": 2, "state": 1}),
        ("ups-1/io_box-1", "output.set", {"number": 3, "state": 0}),
    ]
    commands = [event for event in heard if event.kind is EventKind.COMMAND]
    assert [event.details["actor"] for event in commands] == ["Modbus 127.0.0.1"] * 2
    assert commands[0].details["argument.number"] == 2


async def test_several_at_once_are_switched_in_their_order(serving: Serving, world: World) -> None:
    async with serving() as master:
        assert await master.ask(bytes.fromhex("0f c390 0008 01 a1")) == bytes.fromhex("0f c390 0008")
        assert await master.ask(bytes.fromhex("10 c396 0002 04 0001 0000")) == bytes.fromhex("10 c396 0002")
    given = [(arguments["number"], arguments["state"]) for _, _, arguments in world.given]
    assert given == [(1, 1), (2, 0), (3, 0), (4, 0), (5, 0), (6, 1), (7, 0), (8, 1), (7, 1), (8, 0)]


@pytest.mark.parametrize(
    ("grants", "code"),
    [
        pytest.param({}, None, id="feed and device"),
        pytest.param({"unit": OUTPUTS, "feed": frozenset()}, None, id="unit and device"),
        pytest.param({"feed": frozenset()}, 2, id="not the feed"),
        pytest.param({"feed": frozenset({"load", "shutdown"})}, 2, id="the feed, but other groups"),
        pytest.param({"unit": frozenset()}, 2, id="not the unit"),
        pytest.param({"commands": ()}, 2, id="not the device"),
    ],
)
async def test_it_is_written_only_what_both_grant(
    serving: Serving, world: World, grants: dict[str, frozenset[str] | tuple[str, ...]], code: int | None
) -> None:
    async with serving(**grants) as master:
        expected = OUTPUT_2_ON if code is None else bytes((0x85, code))
        assert await master.ask(OUTPUT_2_ON) == expected
    assert len(world.given) == (code is None)


async def test_coils_of_a_map_that_has_them(serving: Serving, world: World) -> None:
    async with serving(feed=frozenset({"load", "shutdown"}), profile="rittal") as master:
        assert await master.ask(bytes.fromhex("05 0000 ff00")) == bytes.fromhex("05 0000 ff00")
        assert await master.ask(bytes.fromhex("05 0000 0000")) == bytes.fromhex("85 03")
        assert await master.ask(bytes.fromhex("05 0001 ff00")) == bytes.fromhex("05 0001 ff00")
        assert await master.ask(bytes.fromhex("05 0002 ff00")) == bytes.fromhex("85 02")
        assert await master.ask(bytes.fromhex("06 0000 0001")) == bytes.fromhex("86 02")
        assert await master.ask(bytes.fromhex("0f 0000 0002 01 03")) == bytes.fromhex("0f 0000 0002")
    assert [command for _, command, _ in world.given] == ["load.on", "shutdown.stayoff", "load.on", "shutdown.stayoff"]


@pytest.mark.parametrize(
    ("code", "answer"),
    [("refused", 4), ("no_answer", 4), ("offline", 4), ("bad_argument", 3), ("not_granted", 2), ("unknown_command", 2)],
    ids=str,
)
async def test_a_device_that_does_not_obey(serving: Serving, world: World, code: str, answer: int) -> None:
    def fail(command: str, arguments: Arguments) -> None:
        raise CommandError(code, "It will not be.")

    async with serving() as master:
        obey(world, fail)
        assert await master.ask(OUTPUT_2_ON) == bytes((0x85, answer))
        assert await master.ask(bytes.fromhex("0f c390 0002 01 03")) == bytes((0x8F, answer))


async def test_what_nobody_foresaw_is_a_failure_of_the_device(serving: Serving, world: World) -> None:
    def fail(command: str, arguments: Arguments) -> None:
        raise ZeroDivisionError

    async with serving() as master:
        obey(world, fail)
        assert await master.ask(OUTPUT_2_ON) == bytes.fromhex("85 04")


async def test_a_slow_device_is_acknowledged_and_others_are_busy_meanwhile(
    serving: Serving, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the master's patience ends it hears 5; 6 until the device is done; then it may write again."""
    monkeypatch.setattr(writes, "PATIENCE", 0.1)
    done = asyncio.Event()
    begun = []

    async def slow(command: str, arguments: Arguments) -> CommandResult:
        begun.append(arguments["number"])
        await done.wait()
        return CommandResult("Done.")

    async with serving() as master:
        obey(world, slow)
        assert await master.ask(OUTPUT_2_ON) == bytes.fromhex("85 05")
        assert await master.ask(OUTPUT_3_OFF) == bytes.fromhex("86 06")
        assert await master.ask(READ_WORD) == bytes.fromhex("03 02 0004")
        await until(lambda: begun == [2])
        monkeypatch.setattr(writes, "PATIENCE", 5.0)
        done.set()
        async with asyncio.timeout(5):
            while await master.ask(OUTPUT_3_OFF) != OUTPUT_3_OFF:
                await asyncio.sleep(0.01)
    assert begun == [2, 3]


async def test_what_was_begun_goes_on_when_the_master_hangs_up(serving: Serving, world: World) -> None:
    may, done = asyncio.Event(), asyncio.Event()

    async def slow(command: str, arguments: Arguments) -> CommandResult:
        await may.wait()
        done.set()
        return CommandResult("Done.")

    async with serving() as master:
        obey(world, slow)
        master.send(bytes.fromhex("0001 0000 0006 01") + OUTPUT_2_ON)
        await master.drain()
        await asyncio.sleep(0.05)
    may.set()
    async with asyncio.timeout(5):
        await done.wait()


async def test_a_device_that_is_not_there_cannot_be_written(serving: Serving, world: World) -> None:
    async with serving() as master:
        box = world.context.directory.find("ups-1/io_box-1")
        assert box is not None
        world.site.remove(box.id)
        assert await master.ask(OUTPUT_2_ON) == bytes.fromhex("85 02")


def test_the_table_names_what_exists() -> None:
    catalogue = load_catalogue()
    count = 0
    for name in profile_names():
        profile = load_profile(name)
        has_bits = any(row.is_bit for row in profile.registers)
        rows = {row.address: row for row in profile.registers if row.functions[0] == 1 or not has_bits}
        for (function, address), one in writable(name).items():
            row = rows[address]
            assert row.writable or (row.device is not None and row.point == f"output.{one.arguments[0][1]}")
            assert function in (5, 15) or not has_bits
            kind = profile.kind if one.part is None else one.part.kind
            command = catalogue.command(kind, one.command)
            assert command is not None
            for value in one.values:
                command.check(one.filled(value))
            count += 1
    assert count == 4 * 8 + 2 * 2
